//! The plan as text: what exists, what would be made.

use std::fmt;

use super::Plan;

/// Marks of the lines: what is used as it is, and what would be made.
const USED: char = '=';
const MADE: char = '+';

pub(super) fn plan(plan: &Plan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let spec = &plan.spec;
    writeln!(
        f,
        "plan {} for cluster '{}' in {}",
        plan.fingerprint, spec.name, plan.region
    )?;
    writeln!(
        f,
        "  {USED} subnet           {} in {} ({}, {} free addresses)",
        plan.subnet.subnet_id,
        plan.subnet.vpc_id,
        plan.subnet.availability_zone,
        plan.subnet.available_ip_address_count
    )?;
    writeln!(
        f,
        "  {USED} image            {} {} ({}, owner {})",
        plan.image.image_id, plan.image.name, plan.image.architecture, plan.image.owner_id
    )?;
    let group = &plan.security_group;
    match &group.group_id {
        Some(id) => writeln!(f, "  {USED} security group   {id} {}", group.group_name)?,
        None => writeln!(f, "  {MADE} security group   {}", group.group_name)?,
    }
    for direction in &group.missing_self_rules {
        writeln!(
            f,
            "  {MADE}   {:<7} rule    all protocols, peer: the group itself",
            direction.as_str()
        )?;
    }
    match &plan.placement_group {
        Some(group) if group.exists => writeln!(
            f,
            "  {USED} placement group  {} (cluster)",
            group.group_name
        )?,
        Some(group) => writeln!(
            f,
            "  {MADE} placement group  {} (cluster)",
            group.group_name
        )?,
        None => writeln!(f, "    placement group  none")?,
    }
    writeln!(
        f,
        "  {MADE} {} x {}, all or nothing, IMDSv2 required, {}",
        spec.count,
        spec.instance_type,
        match (&plan.image.root_device_name, spec.volume_size_gib) {
            (Some(device), Some(size)) => format!("{size} GiB encrypted root volume {device}"),
            (Some(device), None) => format!("encrypted root volume {device}"),
            (None, _) => "volumes as the image has them".to_owned(),
        }
    )?;
    writeln!(f, "      interfaces     {}", plan.layout)?;
    writeln!(f, "                     {}", plan.layout.notation())?;
    if plan.wants_elastic_ips() {
        writeln!(
            f,
            "  {MADE} {} Elastic IPs, one on each primary interface",
            spec.count
        )?;
    }
    for note in &plan.layout.notes {
        writeln!(f, "    note: {note}")?;
    }
    Ok(())
}
