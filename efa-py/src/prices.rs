//! What plans cost, from AWS's own price list.

use efa_core::error::{Code, Error};
use efa_core::prices as core;
use pyo3::prelude::*;

use crate::cluster::CapacityBlockOffering;
use crate::errors;
use crate::plan::Plan;
use crate::value::value_class;

value_class! {
    /// Hourly prices of instance types, as one price list of AWS has them. There is no table of
    /// prices in this package: `Prices.from_price_list` reads AWS's.
    Prices(core::Prices) {
        /// When AWS published the list, as it writes it; None where it does not say.
        published: Option<String> = |prices| prices.published.clone();
        /// The list's version, where it has one.
        version: Option<String> = |prices| prices.version.clone();
        /// Whether the list says that it goes on in further pages.
        is_partial: bool = |prices| prices.is_partial;
        /// The types that it has on-demand prices of, by name.
        instance_types: Vec<String> = |prices| prices.instance_types();
    }
    repr = |prices| format!(
        "<Prices of {} instance types, published {}>",
        prices.instance_types().len(),
        prices.published.as_deref().unwrap_or("at an unknown time")
    );
}

#[pymethods]
impl Prices {
    /// The on-demand prices of a price list, from its text: AmazonEC2's offer file (JSON), or what
    /// `aws pricing get-products --service-code AmazonEC2` prints. Raises PlanError
    /// (`plan.prices_unreadable`) for what is neither, or has no instance.
    #[staticmethod]
    fn from_price_list(text: &str) -> PyResult<Self> {
        let prices = core::Prices::from_price_list(text).map_err(errors::exception)?;
        Ok(Self(prices))
    }
}

value_class! {
    /// What the instances of a plan cost per hour, or why that is unknown: `str()` says all.
    Cost(core::Cost) {
        /// Name of the cluster.
        name: String = |cost| cost.name.clone();
        /// The Region.
        region: String = |cost| cost.region.clone();
        /// The instance type.
        instance_type: String = |cost| cost.instance_type.clone();
        /// How many instances.
        count: u32 = |cost| cost.count;
        /// `per_hour`, `at_most_per_hour` (spot), or `unknown`.
        kind: &'static str = |cost| cost.figure.as_str();
        /// What all instances together cost per hour, exact, such as `196.64`; None where unknown.
        per_hour: Option<String> = |cost| cost.figure.money().map(core::Money::amount);
        /// The currency of `per_hour`, such as `USD`.
        currency: Option<String> = |cost| {
            cost.figure.money().map(|money| money.currency().to_owned())
        };
        /// Why it is unknown, where it is.
        unknown_because: Option<String> = |cost| cost.unknown_because().map(str::to_owned);
        /// When AWS published the price list that it is from; None where it is from none.
        published: Option<String> = |cost| cost.published.clone();
        /// What the figure contains, and how it is paid.
        includes: Vec<String> = |cost| cost.includes.clone();
        /// What the figure does not contain.
        excludes: Vec<String> = |cost| cost.excludes.clone();
    }
    repr = |cost| format!("<Cost of '{}': {}>", cost.name, cost.figure.as_str());
    str = ToString::to_string;
    html = core::Cost::to_html;
}

#[pymethods]
impl Plan {
    /// What its instances cost per hour by this price list; for a plan in a Capacity Block by the
    /// offering that the block was bought with, since EC2 shows no fee afterwards. Never guessed:
    /// what neither says is `unknown`, with the reason.
    #[pyo3(signature = (prices, *, offering=None))]
    fn cost(&self, prices: &Prices, offering: Option<&CapacityBlockOffering>) -> Cost {
        Cost(self.0.cost(&prices.0, offering.map(|offering| &offering.0)))
    }
}

#[pymethods]
impl CapacityBlockOffering {
    /// The fee spread over the block's instances and hours, rounded up in the tenth digit; None
    /// where EC2 does not say the fee or its currency.
    #[getter]
    fn price_per_instance_hour(&self) -> Option<String> {
        let price = self.0.price_per_instance_hour();
        price.as_ref().map(core::Money::amount)
    }
}

/// The price that a caller confirms: an amount in the offering's currency, or with its own.
pub(crate) fn confirmed(text: &str, offering: &CapacityBlockOffering) -> PyResult<core::Money> {
    let own = offering.0.currency_code.as_deref().unwrap_or_default();
    let (amount, currency) = text.split_once(' ').unwrap_or((text, own));
    core::Money::parse(amount, currency).ok_or_else(|| {
        let limit = "an amount such as 1234.56, or with its currency: 1234.56 USD";
        let error = Error::new(
            Code::PlanInvalidSpec,
            format!("confirm_price is '{text}', must be {limit}"),
        )
        .with_cure("give the upfront_fee of the offering")
        .with_context("field", "confirm_price")
        .with_context("value", text)
        .with_context("limit", limit);
        errors::exception(error)
    })
}
