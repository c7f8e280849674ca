//! Whether a stored plan follows from its specification: everything that is derived is derived
//! again, and what was looked up must be what the specification names.

use super::decided::Decided;
use super::fingerprint::fingerprint;
use super::placement::Wanted;
use super::{
    capacity, cpu, expiry, image, instance_role, instance_store, interfaces, ipv6, placement,
    volume,
};
use crate::spec::{Capacity, ImageChoice, InstanceProfileChoice, SecurityGroupChoice, Selector};
use crate::tags;

/// The first field that does not follow; `None` for a plan that `decide_plan` could have made.
pub(super) fn contradiction(decided: &Decided) -> Option<&'static str> {
    let spec = &decided.spec;
    let of_type = &decided.instance_type;
    let layout = || interfaces::plan_interfaces(spec, of_type).is_ok_and(|l| l == decided.layout);
    let volume = || {
        volume::plan_root_volume(spec, of_type, &decided.image, &mut Vec::new())
            .is_ok_and(|volume| volume == decided.root_volume)
    };
    let expiry = || expiry::follows(spec, decided.expires_at.as_deref(), &decided.capacity);
    let cpu =
        || cpu::plan_cpu_options(spec, of_type).is_ok_and(|options| options == decided.cpu_options);
    let checks: [(&'static str, &dyn Fn() -> bool); 14] = [
        ("account", &|| is_account(&decided.account)),
        ("instance_type", &|| of_type.name == spec.instance_type),
        ("layout", &layout),
        ("instance_store", &|| {
            instance_store::require_fit(spec, of_type).is_ok()
        }),
        ("capacity", &|| capacity_follows(decided)),
        ("expires_at", &expiry),
        ("subnets", &|| subnets_follow(decided)),
        ("image", &|| image_follows(decided)),
        ("root_volume", &volume),
        ("security_group", &|| security_group_follows(decided)),
        ("further_security_groups", &|| {
            decided.further_security_groups.follow(spec)
        }),
        ("cpu_options", &cpu),
        ("placement_group", &|| placement_group_follows(decided)),
        ("instance_profile", &|| instance_profile_follows(decided)),
    ];
    checks
        .iter()
        .find(|(_, follows)| !follows())
        .map(|(field, _)| *field)
        .or_else(|| {
            let derived = fingerprint(spec, &decided.region, &decided.layout);
            (derived != decided.fingerprint).then_some("fingerprint")
        })
}

fn is_account(account: &str) -> bool {
    account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())
}

fn capacity_follows(decided: &Decided) -> bool {
    let spec = &decided.spec;
    let reservations: Vec<_> = decided.capacity.reservations().cloned().collect();
    let shown = reservations
        .iter()
        .map(|r| r.capacity_reservation_id.as_str());
    let named = spec.capacity.reserved(spec.count);
    let is_named = match spec.capacity {
        Capacity::ReservationGroup(_) => !reservations.is_empty(),
        _ => shown.eq(named.iter().map(|(id, _)| *id)),
    };
    is_named
        && capacity::plan_capacity(spec, &decided.instance_type, reservations)
            .is_ok_and(|capacity| capacity == decided.capacity)
}

/// All usable subnets are of one VPC, and where the specification has ids only, they are those.
fn subnets_follow(decided: &Decided) -> bool {
    let spec = &decided.spec;
    let first = decided.subnets.first();
    let named: Option<Vec<&str>> = spec
        .subnets
        .iter()
        .map(|selector| match selector {
            Selector::Id(id) => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let in_vpc = |vpc: &str| match &spec.vpc {
        Some(Selector::Id(id)) => vpc == id,
        _ => true,
    };
    decided.subnets.all().iter().all(|subnet| {
        subnet.vpc_id == first.vpc_id
            && !(subnet.ipv6_native && ipv6::refusal(spec, &decided.layout, subnet).is_some())
            && in_vpc(&subnet.vpc_id)
            && named
                .as_ref()
                .is_none_or(|ids| ids.is_empty() || ids.contains(&subnet.subnet_id.as_str()))
    })
}

fn image_follows(decided: &Decided) -> bool {
    let (spec, image) = (&decided.spec, &decided.image);
    let is_named = match &spec.image {
        ImageChoice::Id(id) => image.image_id == *id,
        _ => true,
    };
    is_named
        && image::require_fit(
            spec,
            &decided.instance_type,
            image,
            &decided.account,
            &mut Vec::new(),
        )
        .is_ok()
        && image::require_platform(
            image,
            decided.capacity.reservation.as_ref(),
            &mut Vec::new(),
        )
        .is_ok()
}

fn security_group_follows(decided: &Decided) -> bool {
    let group = &decided.security_group;
    match &decided.spec.security_group {
        SecurityGroupChoice::Make => {
            group.ours && group.group_name == tags::default_group_name(&decided.spec.name)
        }
        SecurityGroupChoice::Use(selector) | SecurityGroupChoice::Adopt(selector) => match selector
        {
            Selector::Id(id) => group.group_id.as_ref() == Some(id),
            Selector::Name(name) => group.group_id.is_some() && group.group_name == *name,
            Selector::Tag(..) => group.group_id.is_some(),
        },
    }
}

fn placement_group_follows(decided: &Decided) -> bool {
    let group = decided.placement_group.as_ref();
    match placement::wanted(&decided.spec, &decided.capacity, &decided.account) {
        Ok(Wanted::None) => group.is_none(),
        Ok(Wanted::Existing(name)) => group.is_some_and(|g| g.launch_name() == name && g.exists),
        Ok(Wanted::Ours(name)) => group.is_some_and(|g| g.group_name == name && g.ours),
        Err(_) => false,
    }
}

fn instance_profile_follows(decided: &Decided) -> bool {
    let profile = decided.instance_profile.as_ref();
    match &decided.spec.instance_profile {
        InstanceProfileChoice::None => profile.is_none(),
        InstanceProfileChoice::Use(name) => {
            profile.is_some_and(|p| p.name == *name && p.exists && p.role.is_none())
        }
        InstanceProfileChoice::Make(role) => profile.is_some_and(|p| {
            p.name == instance_role::name(&decided.spec.name, &decided.region)
                && p.role.as_ref() == Some(role)
        }),
    }
}
