//! What can go wrong between a plan and its launch, looked at without changing anything.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ec2::{CapacityReservation, Ec2, Filter, Market};
use crate::error::Result;
use crate::plan::Plan;
use crate::plan::way_out::{self, Needs, WayOut};
use crate::services::Aws;

mod check;
mod dry_run;
pub(crate) mod quotas;

pub use check::{Check, Status};

use check::{new_check, passed_if, unknown};
use quotas::RegionQuota;

/// The verdict of all checks together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Everything was looked at, and nothing is in the way.
    Ready,
    /// Nothing that was looked at is in the way, and not everything was looked at.
    Partial,
    /// The launch would fail, or the nodes would be of no use.
    NotReady,
}

impl Verdict {
    /// Returns the words that are printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Partial => "partial",
            Self::NotReady => "not ready",
        }
    }
}

/// The result of looking before a launch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Name of the cluster.
    pub name: String,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// Returns the verdict of all checks together.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let has = |status| self.checks.iter().any(|check| check.status == status);
        if has(Status::Failed) {
            Verdict::NotReady
        } else if has(Status::Unknown) {
            Verdict::Partial
        } else {
            Verdict::Ready
        }
    }

    /// Returns whether everything was looked at and nothing is in the way.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.verdict() == Verdict::Ready
    }

    /// Returns the names of the checks that could not be made.
    #[must_use]
    pub fn unchecked(&self) -> Vec<&str> {
        let unknown = |check: &&Check| check.status == Status::Unknown;
        let checks = self.checks.iter().filter(unknown);
        checks.map(|check| check.name.as_str()).collect()
    }

    /// Returns the text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::html::preformatted(&self.to_string())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "preflight of '{}': {}",
            self.name,
            self.verdict().as_str()
        )?;
        let unchecked = self.unchecked();
        if !unchecked.is_empty() {
            write!(f, "; not checked: {}", unchecked.join(", "))?;
        }
        writeln!(f)?;
        for check in &self.checks {
            let status = check.status.as_str();
            writeln!(f, "  {status:<7} {:<20} {}", check.name, check.detail)?;
            if let Some(cure) = &check.cure {
                writeln!(f, "          {cure}")?;
            }
        }
        Ok(())
    }
}

/// Makes all checks.
pub(crate) async fn check_plan(aws: &dyn Aws, plan: &Plan) -> Result<Report> {
    let mut checks = vec![free_addresses(aws, plan).await?];
    checks.extend(reservations(aws, plan).await?);
    checks.push(image(aws, plan).await?);
    checks.extend(key_pair(aws, plan).await);
    checks.extend(way_out(aws, plan).await);
    checks.push(vcpu_quota(aws, plan).await?);
    checks.push(interface_quota(aws, plan).await);
    checks.extend(volume_quota(aws, plan).await);
    checks.extend(volume_keys(plan));
    if plan.wants_elastic_ips() {
        checks.push(elastic_ip_quota(aws, plan).await);
    }
    checks.push(dry_run::try_launch(aws, plan).await?);
    Ok(Report {
        name: plan.name().to_owned(),
        checks,
    })
}

/// KMS is not asked, and EC2 finds a key that it cannot use only when it starts the instances.
fn volume_keys(plan: &Plan) -> Option<Check> {
    let keys: Vec<&str> = plan.spec().volume_keys().into_iter().collect();
    let detail = "whether they are enabled and the caller may use them: see aws kms describe-key";
    (!keys.is_empty()).then(|| unknown("volume_keys", format!("{}: {detail}", keys.join(", "))))
}

async fn free_addresses(ec2: &dyn Aws, plan: &Plan) -> Result<Check> {
    let ids = plan.subnets().iter().map(|subnet| &subnet.subnet_id);
    let now = ec2
        .describe_subnets(&[Filter::any("subnet-id", ids)])
        .await?;
    if let Some(subnet) = now.iter().find(|subnet| subnet.ipv6_native) {
        let detail = format!("{} is IPv6-only: its /64 is not used up", subnet.subnet_id);
        return Ok(passed_if(true, "free_addresses", detail, ""));
    }
    let needed = u64::from(plan.spec().count) * plan.layout().private_ip_address_count();
    let most = now.iter().max_by_key(|s| s.available_ip_address_count);
    let (id, free) = most.map_or(("no subnet", 0), |subnet| {
        (subnet.subnet_id.as_str(), subnet.available_ip_address_count)
    });
    Ok(passed_if(
        needed <= u64::from(free),
        "free_addresses",
        format!("{needed} needed, {free} free in {id}"),
        "choose a larger subnet, fewer instances, or the save-ips profile",
    ))
}

async fn reservations(ec2: &dyn Aws, plan: &Plan) -> Result<Vec<Check>> {
    let capacity = plan.capacity();
    if capacity.reservations().next().is_none() {
        return Ok(Vec::new());
    }
    let spec = plan.spec();
    let filter = Filter::new("instance-type", &spec.instance_type);
    let now = ec2.describe_capacity_reservations(&[filter]).await?;
    let now_of = |planned: &CapacityReservation| {
        let id = &planned.capacity_reservation_id;
        now.iter().find(|one| one.capacity_reservation_id == *id)
    };
    let cure = "wait until it has begun and its places are free, or choose other capacity";
    if let Market::ReservationGroup(arn) = &capacity.market {
        let zone = &plan.subnet().availability_zone;
        let shown = capacity.reservations().filter_map(now_of);
        let free = shown
            .filter(|one| one.state == "active" && one.availability_zone == *zone)
            .map(|one| one.available_instance_count);
        let free: u32 = free.sum();
        let detail = format!("{free} free in {zone} in the reservations of {arn}");
        let enough = free >= spec.least_count();
        return Ok(vec![passed_if(enough, "reservation", detail, cure)]);
    }
    let check = |(part, planned): (usize, &CapacityReservation)| {
        let shown = now_of(planned);
        let id = &planned.capacity_reservation_id;
        let state = shown.map_or("gone", |reservation| reservation.state.as_str());
        let free = shown.map_or(0, |reservation| reservation.available_instance_count);
        let begins = planned.start_date.as_deref().unwrap_or("an unknown time");
        let ends = planned.end_date.as_deref().unwrap_or("no planned time");
        passed_if(
            state == "active" && free >= spec.least_count().min(plan.count_of(part)),
            "reservation",
            format!("{id} is {state}, {free} free; it begins at {begins} and ends at {ends}"),
            cure,
        )
    };
    Ok(capacity.reservations().enumerate().map(check).collect())
}

/// The image's state now: an owner can take it back, or it is still being copied.
async fn image(ec2: &dyn Aws, plan: &Plan) -> Result<Check> {
    let id = &plan.image().image_id;
    let filter = [Filter::new("image-id", id)];
    let found = ec2.describe_images(&[], &filter).await?;
    let state = found.first().map_or("gone", |image| image.state.as_str());
    Ok(passed_if(
        state == "available",
        "image",
        format!("{id} is {state}"),
        "wait until the image is available, or plan with another",
    ))
}

async fn key_pair(ec2: &dyn Aws, plan: &Plan) -> Option<Check> {
    let (check, name) = ("key_pair", plan.spec().key_name.as_ref()?);
    let filter = [Filter::new("key-name", name)];
    let exists = match ec2.describe_key_pairs(&filter).await {
        Ok(found) => found.contains(name),
        Err(error) => return Some(unknown(check, error.message().to_owned())),
    };
    let state = if exists { "exists" } else { "does not exist" };
    Some(passed_if(
        exists,
        check,
        format!("key pair '{name}' {state} in {}", plan.region()),
        "create or import the key pair, or plan without it",
    ))
}

/// Whether the instances of every usable subnet get out to what they install from.
async fn way_out(ec2: &dyn Aws, plan: &Plan) -> Option<Check> {
    let name = "way_out";
    let needs = Needs::of(plan.spec())?;
    let ways = match way_out::look(ec2, &plan.subnet().vpc_id).await {
        Ok(ways) => ways,
        Err(error) => return Some(unknown(name, error.message().to_owned())),
    };
    let mut open = Vec::new();
    for subnet in plan.subnets() {
        match way_out::judge(needs, plan.layout(), subnet, &ways) {
            WayOut::Open(by) => open.push(by),
            WayOut::Unknown(why) => return Some(unknown(name, why)),
            WayOut::Closed(why) => {
                let why = format!("{why}: {}", needs.loss());
                return Some(new_check(
                    name,
                    Status::Failed,
                    why,
                    Some(way_out::cure(subnet)),
                ));
            }
        }
    }
    Some(new_check(name, Status::Passed, open.join("; "), None))
}

/// The network interfaces of all instances against the region's quota: 160 of a type with 33 are
/// more than AWS gives an account at first.
async fn interface_quota(aws: &dyn Aws, plan: &Plan) -> Check {
    let each = plan.layout().interfaces.len();
    let needed = plan.spec().count as usize * each;
    let what = format!("{needed} network interfaces needed ({each} per instance)");
    #[allow(clippy::cast_precision_loss)] // a count of interfaces
    let needed = needed as f64;
    let cure = "raise the quota of network interfaces per Region in Service Quotas, or plan with \
                fewer instances or interfaces";
    region_quota(
        aws,
        "interface_quota",
        needed,
        &what,
        quotas::INTERFACES,
        cure,
    )
    .await
}

/// The gp3 volumes of all instances against the region's quota.
async fn volume_quota(aws: &dyn Aws, plan: &Plan) -> Option<Check> {
    let data = plan.launch_data("", "");
    let volumes = data.block_device_mappings.iter().map(|device| &device.ebs);
    let gp3 = volumes.filter(|volume| volume.volume_type.is_gp3());
    let each: u32 = gp3.filter_map(|volume| volume.volume_size).sum();
    if each == 0 {
        return None;
    }
    let needed = f64::from(plan.spec().count) * f64::from(each) / 1024.0;
    let what = format!("{needed:.1} TiB of gp3 needed ({each} GiB per instance)");
    let cure = "raise the quota of gp3 storage in Service Quotas, or plan with smaller volumes or \
                fewer instances";
    Some(
        region_quota(
            aws,
            "volume_quota",
            needed,
            &what,
            quotas::GP3_STORAGE_TIB,
            cure,
        )
        .await,
    )
}

async fn region_quota(
    aws: &dyn Aws,
    name: &str,
    needed: f64,
    what: &str,
    quota: RegionQuota,
    cure: &str,
) -> Check {
    let RegionQuota { service, code, .. } = quota;
    match aws.service_quota(service, code).await {
        Ok(Some(limit)) => {
            let detail = format!("{what}, {limit} allowed ({code}); excludes what exists already");
            passed_if(needed <= limit, name, detail, cure)
        }
        Ok(None) => unknown(name, format!("{what}; no quota {code} of {service}")),
        Err(error) => unknown(name, format!("{what}; {}", error.message())),
    }
}

async fn vcpu_quota(aws: &dyn Aws, plan: &Plan) -> Result<Check> {
    let name = "vcpu_quota";
    let spec = plan.spec();
    let Some(code) = quotas::vcpu_quota_code(&spec.instance_type, &spec.capacity) else {
        return Ok(match spec.capacity {
            _ if spec.capacity.is_reserved() => {
                let why = "the capacity is reserved: no quota is asked".to_owned();
                new_check(name, Status::Skipped, why, None)
            }
            _ => unknown(
                name,
                "which quota the instance type counts against is not known here".to_owned(),
            ),
        });
    };
    let filter = Filter::new("instance-type", &spec.instance_type);
    let types = aws.describe_instance_types(&[filter]).await?;
    let each = types.first().map_or(0, |t| t.default_vcpus);
    let needed = f64::from(spec.count) * f64::from(each);
    Ok(match aws.service_quota(quotas::SERVICE, code).await {
        Ok(Some(limit)) => passed_if(
            needed <= limit,
            name,
            format!("{needed} vCPUs needed, {limit} allowed ({code}); excludes running instances"),
            "raise the quota in Service Quotas",
        ),
        Ok(None) => unknown(name, format!("no quota {code}")),
        Err(error) => unknown(name, error.message().to_owned()),
    })
}

async fn elastic_ip_quota(aws: &dyn Aws, plan: &Plan) -> Check {
    let name = "elastic_ip_quota";
    let ec2: &dyn Ec2 = aws;
    let (used, limit) = match (
        ec2.describe_addresses(&[]).await,
        aws.service_quota(quotas::ELASTIC_IPS.service, quotas::ELASTIC_IPS.code)
            .await,
    ) {
        (Ok(used), Ok(Some(limit))) => (used.len(), limit),
        (Err(error), _) | (_, Err(error)) => {
            return unknown(name, error.message().to_owned());
        }
        (_, Ok(None)) => {
            let why = format!("no quota {}", quotas::ELASTIC_IPS.code);
            return unknown(name, why);
        }
    };
    let needed = plan.spec().count;
    #[allow(clippy::cast_precision_loss)] // a count of addresses
    let fits = used as f64 + f64::from(needed) <= limit;
    passed_if(
        fits,
        name,
        format!("{needed} needed, {used} of {limit} used"),
        "raise the Elastic IP quota in Service Quotas, or plan without public addresses",
    )
}
