//! The plan as text: what exists, what would be made.

use std::fmt;

use super::{FurtherSecurityGroups, Plan, PlannedSecurityGroup, launch};
use crate::html::preformatted;
use crate::launch::{BlockDeviceMapping, UserData};
use crate::svg::to_img;

/// Marks of the lines: what is used as it is, and what would be made.
const USED: char = '=';
const MADE: char = '+';
/// A subnet for the case that the one before has no capacity.
const ELSE: char = '|';

impl Plan {
    /// Returns the picture and the text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        let picture = to_img(
            &self.to_svg(),
            &format!("the plan of cluster '{}'", self.name()),
        );
        format!("<div>{picture}{}</div>", preformatted(&self.to_string()))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan {} for cluster '{}' in {}",
            self.fingerprint(),
            self.spec().name,
            self.region()
        )?;
        if let Some(base) = &self.spec().launch_template {
            let (id, version) = (&base.template, &base.version);
            writeln!(
                f,
                "  {USED} launch template  {id}, version {version}: merged into this plan"
            )?;
        }
        write_subnets_and_image(self, f)?;
        write_security_group(self.security_group(), f)?;
        write_further_groups(self.further_security_groups(), f)?;
        write_other_resources(self, f)?;
        write_instances(self, f)?;
        write_remarks(self, f)
    }
}

fn write_subnets_and_image(plan: &Plan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, subnet) in plan.subnets().iter().enumerate() {
        let mark = if index == 0 { USED } else { ELSE };
        let addresses = if subnet.ipv6_native {
            "IPv6-only".to_owned()
        } else {
            format!("{} free addresses", subnet.available_ip_address_count)
        };
        writeln!(
            f,
            "  {mark} subnet           {} in {} ({}, {addresses})",
            subnet.subnet_id, subnet.vpc_id, subnet.availability_zone
        )?;
    }
    for subnet in plan.rejected_subnets() {
        writeln!(f, "    not {}", subnet.reason)?;
    }
    writeln!(
        f,
        "  {USED} image            {} {} ({}, owner {})",
        plan.image().image_id,
        plan.image().name,
        plan.image().architecture,
        plan.image().owner_id
    )
}

fn write_security_group(group: &PlannedSecurityGroup, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    for cidr in &group.missing_ssh_cidrs {
        writeln!(
            f,
            "  {MADE}   ingress rule    tcp port 22 (SSH) from {cidr}"
        )?;
    }
    Ok(())
}

fn write_further_groups(groups: &FurtherSecurityGroups, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let of = [
        (&groups.all, "every interface"),
        (&groups.ena, "not EFA-only"),
    ];
    for (groups, what) in of {
        for group in groups {
            let (id, name) = (&group.group_id, &group.group_name);
            writeln!(f, "  {USED} security group   {id} {name} ({what})")?;
        }
    }
    Ok(())
}

/// The placement group, the instance profile, the capacity reservation.
fn write_other_resources(plan: &Plan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match plan.placement_group() {
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
    match plan.instance_profile() {
        Some(profile) if profile.exists => {
            writeln!(f, "  {USED} instance profile {}", profile.name)?;
        }
        Some(profile) => {
            let boundary = profile.role.as_ref();
            let boundary = boundary.and_then(|role| role.permissions_boundary.as_deref());
            let bound = boundary.map_or_else(String::new, |arn| format!(", bounded by {arn}"));
            writeln!(
                f,
                "  {MADE} instance profile {} with a role for SSM{bound}",
                profile.name
            )?;
        }
        None => {}
    }
    for reservation in plan.capacity().reservations() {
        writeln!(
            f,
            "  {USED} capacity         {} ({}, {}, {} of {} free, {} to {})",
            reservation.capacity_reservation_id,
            reservation.reservation_type,
            reservation.state,
            reservation.available_instance_count,
            reservation.total_instance_count,
            reservation.start_date.as_deref().unwrap_or("now"),
            reservation.end_date.as_deref().unwrap_or("no end"),
        )?;
    }
    Ok(())
}

fn write_instances(plan: &Plan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let spec = plan.spec();
    let devices = launch::block_devices(plan);
    let counts = match spec.minimum_count {
        Some(minimum) if minimum < spec.count => format!("at least {minimum}"),
        _ => "all or nothing".to_owned(),
    };
    writeln!(
        f,
        "  {MADE} {} x {}, {counts}, {}, IMDSv2 {}, {}",
        spec.count,
        spec.instance_type,
        spec.capacity,
        launch::metadata_options(None, false, false).http_tokens,
        match (plan.root_volume(), devices.first()) {
            (Some(_), Some(root)) => volume(root, "root volume"),
            _ => "volumes as the image has them".to_owned(),
        }
    )?;
    for further in devices
        .iter()
        .skip(usize::from(plan.root_volume().is_some()))
    {
        writeln!(f, "      and            {}", volume(further, "volume"))?;
    }
    write_options(plan, f)?;
    if let Some(bootstrap) = &spec.bootstrap {
        writeln!(
            f,
            "      bootstrap      EFA installer {}, signature verified",
            bootstrap.installer.version
        )?;
        if let Some(path) = &bootstrap.instance_store {
            writeln!(f, "      instance store at {path}, all disks as one")?;
        }
    }
    if let (Some(text), Some(UserData::Gzip(packed))) =
        (plan.user_data(), plan.spec().sent_user_data())
    {
        let (from, to) = (text.len(), packed.len());
        writeln!(f, "      user data      {from} bytes, {to} with gzip")?;
    }
    if let Some(at) = plan.expires_at() {
        writeln!(f, "      expires at     {at}: each node ends itself")?;
    }
    writeln!(f, "      interfaces     {}", plan.layout())?;
    writeln!(f, "                     {}", plan.layout().notation())?;
    if plan.wants_elastic_ips() {
        writeln!(
            f,
            "  {MADE} {} Elastic IPs, one on each primary interface",
            spec.count
        )?;
    }
    Ok(())
}

/// What the specification sets beyond the defaults.
fn write_options(plan: &Plan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let spec = plan.spec();
    let mut options = Vec::new();
    options.extend(
        spec.tenancy
            .map(|tenancy| format!("{} tenancy", tenancy.as_str())),
    );
    options.extend(
        spec.threads_per_core
            .map(|n| format!("{n} threads per core")),
    );
    let price = spec.spot_maximum_price.as_ref();
    options.extend(price.map(|price| format!("at most {price} dollars per hour")));
    let hops = spec.metadata_hop_limit;
    options.extend(hops.map(|hops| format!("metadata over {hops} hops")));
    let names = spec.host_names;
    options.extend(names.map(|names| format!("host names by {}", names.as_str())));
    options.extend(spec.metadata_tags.then(|| "tags in metadata".to_owned()));
    options.extend(spec.name_tag.as_ref().map(|name| format!("named '{name}'")));
    if options.is_empty() {
        return Ok(());
    }
    writeln!(f, "      options        {}", options.join(", "))
}

fn write_remarks(plan: &Plan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for warning in plan.warnings() {
        writeln!(f, "  ! {warning}")?;
    }
    for note in &plan.layout().notes {
        writeln!(f, "    note: {note}")?;
    }
    Ok(())
}

/// `200 GiB encrypted gp3 root volume /dev/xvda`, with what was asked for of it.
fn volume(device: &BlockDeviceMapping, kind: &str) -> String {
    let ebs = &device.ebs;
    let mut text = String::new();
    if let Some(size) = ebs.volume_size {
        text += &format!("{size} GiB ");
    }
    if ebs.encrypted {
        text += "encrypted ";
    }
    text += &format!("{} {kind} {}", ebs.volume_type, device.device_name);
    if let Some(iops) = ebs.iops {
        text += &format!(", {iops} IOPS");
    }
    if let Some(throughput) = ebs.throughput {
        text += &format!(", {throughput} MiB/s");
    }
    if let Some(key) = &ebs.kms_key_id {
        text += &format!(", KMS key {key}");
    }
    text
}
