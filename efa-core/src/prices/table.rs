//! The hourly prices of one price list.

use serde::{Deserialize, Serialize};

use super::money::Money;

/// Hourly prices of instance types, as one price list of AWS has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prices {
    /// When AWS published the list, as it writes it; `None` where it does not have one.
    pub published: Option<String>,
    /// The list's version, where it has one.
    pub version: Option<String>,
    /// Whether the list states that it goes on elsewhere: a further page of GetProducts.
    pub is_partial: bool,
    /// The prices, of on-demand instances in use only.
    pub rates: Vec<Rate>,
}

/// The hourly price of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rate {
    /// The product's SKU.
    pub sku: String,
    /// The instance type's name.
    pub instance_type: String,
    /// The Region, such as `us-east-1`.
    pub region: String,
    /// The operating system as the list names it, such as `Linux`.
    pub operating_system: String,
    /// `Shared` or `Dedicated`.
    pub tenancy: String,
    /// The price of an hour, where the list has one price for it.
    pub per_hour: Option<Money>,
}

impl Prices {
    /// Returns the types that it has prices of, by name.
    #[must_use]
    pub fn instance_types(&self) -> Vec<String> {
        let mut names: Vec<String> = (self.rates.iter())
            .map(|rate| rate.instance_type.clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
