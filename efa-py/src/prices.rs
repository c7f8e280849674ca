//! What plans cost, from AWS's own price list.

use std::borrow::Cow;
use std::collections::BTreeMap;

use efa_core::prices as core;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyIterator, PyString};

use crate::argument::{Given, Refusal, Taken, given, invalid};
use crate::cluster::CapacityBlockOffering;
use crate::errors;
use crate::plan::Plan;
use crate::value::value_class;

value_class! {
    /// Hourly prices of instance types, as one price list of AWS has them. There is no table of
    /// prices in this package: `Prices.from_price_list` reads AWS's.
    Prices(core::Prices) {
        /// When AWS published the list, as it writes it; None where it does not report it.
        published: Option<String> = |prices| prices.published.clone();
        /// The list's version, where it has one.
        version: Option<String> = |prices| prices.version.clone();
        /// Whether the list states that it goes on in further pages.
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
    /// Returns the on-demand prices of a price list, from its text: AmazonEC2's offer file (JSON),
    /// or what `aws pricing get-products --service-code AmazonEC2` prints. Raises PlanError
    /// (`plan.prices_unreadable`) for what is neither, or has no instance.
    #[staticmethod]
    fn from_price_list(text: &str) -> PyResult<Self> {
        let prices = core::Prices::from_price_list(text).map_err(errors::exception)?;
        Ok(Self(prices))
    }

    /// Returns the on-demand prices of all pages that GetProducts answers, in their order: each a
    /// text as `from_price_list` takes it, or a page of boto3's paginator:
    /// `pricing.get_paginator("get_products").paginate(ServiceCode="AmazonEC2",
    /// Filters=Prices.product_filters(instance_type, region))`.
    ///
    /// Raises PlanError (`plan.prices_unreadable`) for a page that is no price list, or where none
    /// has an instance.
    #[staticmethod]
    #[pyo3(signature = (
        pages: "collections.abc.Iterable[str | dict[str, typing.Any]]"
    ))]
    fn from_pages(#[pyo3(from_py_with = given)] pages: Pages<'_>) -> PyResult<Self> {
        let texts: PyResult<Vec<String>> = pages.0.map(|page| text_of(&page?)).collect();
        let texts = texts?;
        let prices = core::Prices::from_pages(texts.iter().map(String::as_str));
        prices.map(Self).map_err(errors::exception)
    }

    /// Returns what GetProducts of the service `AmazonEC2` filters by, to answer an instance_type's
    /// products in a region and no others: the `Filters` of boto3.
    #[staticmethod]
    #[pyo3(signature = (instance_type: "str", region: "str"))]
    fn product_filters(
        #[pyo3(from_py_with = given)] instance_type: &str,
        #[pyo3(from_py_with = given)] region: &str,
    ) -> Vec<BTreeMap<&'static str, String>> {
        let filters = core::Prices::product_filters(instance_type, region);
        let form = |(field, value): (&str, String)| {
            let parts = [
                ("Type", "TERM_MATCH".to_owned()),
                ("Field", field.to_owned()),
            ];
            BTreeMap::from_iter(parts.into_iter().chain([("Value", value)]))
        };
        filters.into_iter().map(form).collect()
    }
}

/// The pages of an answer, as they come; what their source raises is raised.
struct Pages<'py>(Bound<'py, PyIterator>);

impl<'py> Given<'_, 'py> for Pages<'py> {
    fn wanted() -> Cow<'static, str> {
        "an iterable of str or dict".into()
    }

    fn take(given: &Bound<'py, PyAny>) -> Taken<Self> {
        let is_one = given.is_instance_of::<PyString>()
            || given.is_instance_of::<PyBytes>()
            || given.is_instance_of::<PyDict>();
        if is_one {
            return Err(Refusal::Type);
        }
        given.try_iter().map(Self).map_err(|_| Refusal::Type)
    }
}

/// A page as JSON; boto3's has times in it, which are not read.
fn text_of(page: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = page.extract() {
        return Ok(text);
    }
    if !page.is_instance_of::<PyDict>() {
        return Err(invalid("pages", &page.repr()?, "must be texts or dicts"));
    }
    let py = page.py();
    let options = [("default", py.get_type::<PyString>())].into_py_dict(py)?;
    let json = py.import("json")?;
    json.call_method("dumps", (page,), Some(&options))?
        .extract()
}

value_class! {
    /// The cost of a plan's instances per hour, or why it is unknown: `str()` shows all.
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
    /// Returns what its instances cost per hour by these prices; for a plan in a Capacity Block by
    /// the `offering` that the block was bought with, since EC2 shows no fee afterwards. Never
    /// guessed: what neither states is `unknown`, with the reason.
    #[pyo3(signature = (prices, *, offering=None))]
    fn cost(&self, prices: &Prices, offering: Option<&CapacityBlockOffering>) -> Cost {
        Cost(self.0.cost(&prices.0, offering.map(|offering| &offering.0)))
    }
}

#[pymethods]
impl CapacityBlockOffering {
    /// The fee spread over the block's instances and hours, rounded up in the tenth digit; None
    /// where EC2 does not report the fee or its currency.
    #[getter]
    fn price_per_instance_hour(&self) -> Option<String> {
        let price = self.0.price_per_instance_hour();
        price.as_ref().map(core::Money::amount)
    }
}
