//! What can go wrong between a plan and its launch, looked at without changing anything.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cluster::live_instances;
use crate::ec2::{Ec2, Filter};
use crate::error::Result;
use crate::plan::Plan;
use crate::services::Aws;
use crate::spec::Capacity;

pub(crate) mod quotas;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Status {
    /// Nothing is in the way.
    Passed,
    /// The launch would fail.
    Failed,
    /// It could not be looked at, and the detail says why.
    Skipped,
}

impl Status {
    /// The word that is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at, such as `free_addresses` or `dry_run`.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// What was seen.
    pub detail: String,
    /// What to do about a failed check.
    pub cure: Option<String>,
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
    /// Whether no check failed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.checks.iter().any(|c| c.status == Status::Failed)
    }

    /// The text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::html::preformatted(&self.to_string())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_ready() {
            "ready"
        } else {
            "not ready"
        };
        writeln!(f, "preflight of '{}': {verdict}", self.name)?;
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

fn new_check(name: &str, status: Status, detail: String, cure: Option<&str>) -> Check {
    Check {
        name: name.to_owned(),
        status,
        detail,
        cure: cure.map(str::to_owned),
    }
}

fn passed_if(passed: bool, name: &str, detail: String, cure: &str) -> Check {
    if passed {
        new_check(name, Status::Passed, detail, None)
    } else {
        new_check(name, Status::Failed, detail, Some(cure))
    }
}

/// Makes all checks.
pub(crate) async fn check_plan(aws: &dyn Aws, plan: &Plan) -> Result<Report> {
    let mut checks = vec![free_addresses(aws, plan).await?];
    checks.extend(reservation(aws, plan).await?);
    checks.push(vcpu_quota(aws, plan).await?);
    if plan.wants_elastic_ips() {
        checks.push(elastic_ip_quota(aws, plan).await);
    }
    checks.push(dry_run(aws, plan).await?);
    Ok(Report {
        name: plan.name().to_owned(),
        checks,
    })
}

async fn free_addresses(ec2: &dyn Aws, plan: &Plan) -> Result<Check> {
    let ids = plan.subnets().iter().map(|subnet| &subnet.subnet_id);
    let now = ec2
        .describe_subnets(&[Filter::any("subnet-id", ids)])
        .await?;
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

async fn reservation(ec2: &dyn Aws, plan: &Plan) -> Result<Option<Check>> {
    let Some(planned) = &plan.capacity().reservation else {
        return Ok(None);
    };
    let filter = Filter::new("instance-type", &plan.spec().instance_type);
    let now = ec2.describe_capacity_reservations(&[filter]).await?;
    let id = &planned.capacity_reservation_id;
    let now = now.iter().find(|r| r.capacity_reservation_id == *id);
    let state = now.map_or("gone", |reservation| reservation.state.as_str());
    let free = now.map_or(0, |reservation| reservation.available_instance_count);
    let begins = planned.start_date.as_deref().unwrap_or("an unknown time");
    let ends = planned.end_date.as_deref().unwrap_or("no planned time");
    Ok(Some(passed_if(
        state == "active" && free >= plan.spec().least_count(),
        "reservation",
        format!("{id} is {state}, {free} free; it begins at {begins} and ends at {ends}"),
        "wait until it has begun and its places are free, or choose other capacity",
    )))
}

async fn vcpu_quota(aws: &dyn Aws, plan: &Plan) -> Result<Check> {
    let name = "vcpu_quota";
    let spec = plan.spec();
    let Some(code) = quotas::vcpu_quota_code(&spec.instance_type, &spec.capacity) else {
        let why = match spec.capacity {
            Capacity::Reservation(_) => "the capacity is reserved: no quota is asked",
            _ => "which quota the instance type counts against is not known here",
        };
        return Ok(new_check(name, Status::Skipped, why.to_owned(), None));
    };
    let filter = Filter::new("instance-type", &spec.instance_type);
    let types = aws.describe_instance_types(&[filter]).await?;
    let each = types.first().map_or(0, |t| t.default_vcpus);
    let needed = f64::from(spec.count) * f64::from(each);
    Ok(match aws.service_quota(quotas::SERVICE, code).await {
        Ok(Some(limit)) => passed_if(
            needed <= limit,
            name,
            format!(
                "{needed} vCPUs needed, {limit} allowed ({code}); what runs already is not counted"
            ),
            "raise the quota in Service Quotas",
        ),
        Ok(None) => new_check(name, Status::Skipped, format!("no quota {code}"), None),
        Err(error) => new_check(name, Status::Skipped, error.message().to_owned(), None),
    })
}

async fn elastic_ip_quota(aws: &dyn Aws, plan: &Plan) -> Check {
    let name = "elastic_ip_quota";
    let ec2: &dyn Ec2 = aws;
    let (used, limit) = match (
        ec2.describe_addresses(&[]).await,
        aws.service_quota(quotas::SERVICE, quotas::ELASTIC_IPS)
            .await,
    ) {
        (Ok(used), Ok(Some(limit))) => (used.len(), limit),
        (Err(error), _) | (_, Err(error)) => {
            return new_check(name, Status::Skipped, error.message().to_owned(), None);
        }
        (_, Ok(None)) => {
            let why = format!("no quota {}", quotas::ELASTIC_IPS);
            return new_check(name, Status::Skipped, why, None);
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

/// EC2's own check of the very request that `apply` sends, once what it names exists.
async fn dry_run(aws: &dyn Aws, plan: &Plan) -> Result<Check> {
    let name = "dry_run";
    let skipped = |why: &str| Ok(new_check(name, Status::Skipped, why.to_owned(), None));
    if !live_instances(aws, plan.name()).await?.is_empty() {
        return skipped("the cluster runs already");
    }
    let group = plan.security_group().group_id.as_deref();
    let (Some(group), false) = (group, plan.makes_groups()) else {
        return skipped("groups or profile are yet to be made; apply asks EC2 before it launches");
    };
    let request = plan.run_instances_request(&plan.launch(group, &plan.subnet().subnet_id));
    Ok(match aws.dry_run_instances(&request).await {
        Ok(()) => {
            let detail = "EC2 would take the request".to_owned();
            new_check(name, Status::Passed, detail, None)
        }
        Err(error) => new_check(
            name,
            Status::Failed,
            error.message().to_owned(),
            error
                .cure()
                .or(Some("change the specification and plan again")),
        ),
    })
}
