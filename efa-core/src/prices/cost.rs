//! What of a price list a plan pays, and what it pays besides.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::money::Money;
use super::table::{Prices, Rate};
use crate::ec2::{CapacityBlockOffering, CapacityReservation, Market};
use crate::plan::Plan;

/// What no figure contains.
const EXCLUDED: [&str; 5] = [
    "EBS volumes",
    "data transfer",
    "public IPv4 addresses",
    "taxes",
    "discounts: Savings Plans, Reserved Instances, contracts",
];

/// The cost of a plan's instances per hour, or why it is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cost {
    /// Name of the cluster.
    pub name: String,
    /// The Region.
    pub region: String,
    /// The instance type's name.
    pub instance_type: String,
    /// How many instances.
    pub count: u32,
    /// The figure.
    pub figure: Figure,
    /// When AWS published the price list that it is from; `None` for a fee that EC2 or the
    /// specification states, or where the list does not state it.
    pub published: Option<String>,
    /// What it contains, and how it is paid.
    pub includes: Vec<String>,
    /// What it does not contain.
    pub excludes: Vec<String>,
}

/// A figure per hour.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Figure {
    /// What all instances together cost per hour.
    PerHour(Money),
    /// What they cost per hour at most.
    AtMostPerHour(Money),
    /// Not known here.
    Unknown {
        /// Why, and what would show it.
        why: String,
    },
}

impl Figure {
    /// Returns one word: `per_hour`, `at_most_per_hour` or `unknown`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::PerHour(_) => "per_hour",
            Self::AtMostPerHour(_) => "at_most_per_hour",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Returns the money, where it is known.
    #[must_use]
    pub const fn money(&self) -> Option<&Money> {
        match self {
            Self::PerHour(money) | Self::AtMostPerHour(money) => Some(money),
            Self::Unknown { .. } => None,
        }
    }
}

impl Cost {
    /// Returns why it is unknown, where it is.
    #[must_use]
    pub fn unknown_because(&self) -> Option<&str> {
        match &self.figure {
            Figure::Unknown { why } => Some(why),
            _ => None,
        }
    }

    /// Returns the text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::html::preformatted(&self.to_string())
    }
}

impl CapacityBlockOffering {
    /// Returns the fee spread over the block's instances and hours, rounded up; `None` where EC2
    /// does not state the fee or its currency.
    #[must_use]
    pub fn price_per_instance_hour(&self) -> Option<Money> {
        let per_hour = self.upfront()?.split(self.duration_hours)?;
        per_hour.split(self.instance_count)
    }

    /// Returns the fee, which is paid in advance.
    #[must_use]
    pub fn upfront(&self) -> Option<Money> {
        Money::parse(self.upfront_fee.as_deref()?, self.currency_code.as_deref()?)
    }

    /// Whether a reservation is the block of this offering.
    fn is_of(&self, block: &CapacityReservation) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        (&self.instance_type, &self.availability_zone)
            == (&block.instance_type, &block.availability_zone)
            && self.instance_count == block.total_instance_count
            && same(&self.start_date, &block.start_date)
            && same(&self.end_date, &block.end_date)
    }
}

impl Plan {
    /// Returns what its instances cost per hour by this price list; for a plan in a Capacity Block
    /// by the offering that the block was bought with, since EC2 shows no fee afterwards.
    ///
    /// Never guessed: what neither states is [`Figure::Unknown`].
    #[must_use]
    pub fn cost(&self, prices: &Prices, offering: Option<&CapacityBlockOffering>) -> Cost {
        let mut cost = Cost {
            name: self.name().to_owned(),
            region: self.region().to_owned(),
            instance_type: self.instance_type().name.clone(),
            count: self.spec().count,
            figure: Figure::Unknown { why: String::new() },
            published: None,
            includes: Vec::new(),
            excludes: EXCLUDED.map(str::to_owned).to_vec(),
        };
        match (&self.capacity().market, &self.capacity().reservation) {
            _ if self.parts() > 1 => {
                let why = "the cluster is in several reservations, each at its own price";
                cost.figure = Figure::Unknown {
                    why: why.to_owned(),
                };
            }
            (Market::CapacityBlock(_), Some(block)) => cost.of_block(block, offering),
            (Market::Spot, _) => self.cost_of_spot(&mut cost, prices),
            (market, _) => {
                if matches!(market, Market::Reservation(_) | Market::ReservationGroup(_)) {
                    cost.includes.push(
                        "the reservation is paid for whether its instances run or not".to_owned(),
                    );
                }
                match self.on_demand(prices) {
                    Ok(rate) => cost.of_rate(rate, prices, Figure::PerHour),
                    Err(why) => cost.figure = Figure::Unknown { why },
                }
            }
        }
        cost
    }

    fn cost_of_spot(&self, cost: &mut Cost, prices: &Prices) {
        cost.excludes
            .push("the spot price itself, which changes".to_owned());
        match &self.spec().spot_maximum_price {
            // EC2 takes it in dollars: SpotOptions of the EC2 API reference.
            Some(price) => match Money::parse(price, "USD") {
                Some(price) => {
                    cost.figure = Figure::AtMostPerHour(price.times(cost.count));
                    cost.includes
                        .push(format!("the spot maximum price, {price} per instance"));
                }
                None => {
                    let why = format!("the spot maximum price '{price}' is not an amount");
                    cost.figure = Figure::Unknown { why };
                }
            },
            None => match self.on_demand(prices) {
                Ok(rate) => {
                    cost.includes
                        .push("spot is at most at the on-demand price".to_owned());
                    cost.of_rate(rate, prices, Figure::AtMostPerHour);
                }
                Err(why) => cost.figure = Figure::Unknown { why },
            },
        }
    }

    /// The one rate of the list for what the plan launches.
    fn on_demand<'a>(&self, prices: &'a Prices) -> Result<(&'a Rate, &'a Money), String> {
        let name = &self.instance_type().name;
        let region = self.region();
        let platform = self.image().platform_details.as_deref();
        let system = operating_system(platform).ok_or_else(|| {
            let platform = platform.unwrap_or("unknown");
            format!("the image is billed as '{platform}', whose price is not looked up")
        })?;
        let tenancy = if self.is_dedicated() {
            "Dedicated"
        } else {
            "Shared"
        };
        let fitting = prices.rates.iter().filter(|rate| {
            (rate.instance_type.as_str(), rate.region.as_str()) == (name, region)
                && (rate.operating_system.as_str(), rate.tenancy.as_str()) == (system, tenancy)
        });
        let fitting: Vec<&Rate> = fitting.collect();
        let what = format!("{name} with {system}, {tenancy}, on demand in {region}");
        let Some(first) = fitting.first() else {
            let part = match prices.is_partial {
                true => ", and it continues on further pages",
                false => "",
            };
            return Err(format!("the price list has no {what}{part}"));
        };
        if fitting.iter().any(|rate| rate.per_hour != first.per_hour) {
            let skus: Vec<&str> = fitting.iter().map(|rate| rate.sku.as_str()).collect();
            return Err(format!(
                "the price list has several prices of {what}: {}",
                skus.join(", ")
            ));
        }
        let sku = &first.sku;
        match &first.per_hour {
            Some(price) => Ok((first, price)),
            None => Err(format!(
                "the price list has no single hourly price of {what} ({sku})"
            )),
        }
    }
}

impl Cost {
    fn of_rate(
        &mut self,
        (rate, price): (&Rate, &Money),
        prices: &Prices,
        figure: impl FnOnce(Money) -> Figure,
    ) {
        self.figure = figure(price.times(self.count));
        self.published.clone_from(&prices.published);
        self.includes.push(format!(
            "{} x {} at {price} ({}, {}, SKU {})",
            self.count, rate.instance_type, rate.operating_system, rate.tenancy, rate.sku
        ));
        if rate.tenancy == "Dedicated" {
            let fee = "the fee per hour and Region for any dedicated instance";
            self.excludes.push(fee.to_owned());
        }
    }

    fn of_block(&mut self, block: &CapacityReservation, offering: Option<&CapacityBlockOffering>) {
        let id = &block.capacity_reservation_id;
        let unknown = |why: String| Figure::Unknown { why };
        self.excludes
            .push("the operating system's fee in a Capacity Block".to_owned());
        let Some(offering) = offering else {
            self.figure = unknown(format!(
                "EC2 does not show what the Capacity Block {id} cost; give the offering that it \
                 was bought with"
            ));
            return;
        };
        let offer = &offering.capacity_block_offering_id;
        if !offering.is_of(block) {
            self.figure = unknown(format!(
                "the offering {offer} is not the one of the Capacity Block {id}: type, zone, count \
                 and time must be the same"
            ));
            return;
        }
        let fee = offering.upfront();
        let per_hour = fee
            .as_ref()
            .and_then(|fee| fee.split(offering.duration_hours));
        let (Some(fee), Some(per_hour)) = (fee, per_hour) else {
            self.figure = unknown(format!(
                "EC2 reports no fee or duration of the offering {offer}"
            ));
            return;
        };
        self.figure = Figure::PerHour(per_hour);
        self.includes.push(format!(
            "{fee}, paid in advance for all {} instances of {id} and {} hours, whether they run or \
             not",
            offering.instance_count, offering.duration_hours
        ));
    }
}

/// The price list's name for what an image is billed as. Origin: EC2 user guide, "AMI billing
/// information fields" (platform details), and the list's attribute `operatingSystem`.
fn operating_system(platform_details: Option<&str>) -> Option<&'static str> {
    match platform_details? {
        "Linux/UNIX" => Some("Linux"),
        "Red Hat Enterprise Linux" => Some("RHEL"),
        "SUSE Linux" => Some("SUSE"),
        _ => None,
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster '{}': ", self.name)?;
        match &self.figure {
            Figure::PerHour(money) => writeln!(f, "{money} per hour")?,
            Figure::AtMostPerHour(money) => writeln!(f, "at most {money} per hour")?,
            Figure::Unknown { why } => writeln!(f, "cost per hour unknown: {why}")?,
        }
        if self.figure.money().is_some() && !self.includes.is_empty() {
            writeln!(f, "  included: {}", self.includes.join("; "))?;
        }
        writeln!(f, "  not included: {}", self.excludes.join("; "))?;
        match &self.published {
            Some(published) => writeln!(f, "  price list of {published}"),
            None => Ok(()),
        }
    }
}
