//! AWS's price list, read: a service's offer file, or what GetProducts answers.
//!
//! Origins: AWS Billing user guide, "Reading the service price list file for an AWS service"
//! (docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html);
//! Price List Query API, GetProducts, whose `PriceList` has one JSON text per product. That
//! `capacitystatus` separates the price of an instance in use (`Used`) from those of a capacity
//! reservation: hashicorp/terraform-provider-aws#12122, lyft/awspricing#29.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::money::Money;
use super::table::{Prices, Rate};
use crate::error::{Code, Error, Result};

/// A service's offer file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfferFile {
    publication_date: Option<String>,
    version: Option<String>,
    products: BTreeMap<String, Product>,
    #[serde(default)]
    terms: TermsOfAll,
}

#[derive(Default, Deserialize)]
struct TermsOfAll {
    #[serde(rename = "OnDemand", default)]
    on_demand: BTreeMap<String, BTreeMap<String, Term>>,
}

/// What GetProducts answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    price_list: Vec<Value>,
    next_token: Option<String>,
}

/// A product of that answer, with its terms.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Priced {
    product: Product,
    #[serde(default)]
    terms: Terms,
    publication_date: Option<String>,
    version: Option<String>,
}

#[derive(Default, Deserialize)]
struct Terms {
    #[serde(rename = "OnDemand", default)]
    on_demand: BTreeMap<String, Term>,
}

#[derive(Deserialize)]
struct Product {
    sku: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    instance_type: Option<String>,
    region_code: Option<String>,
    operating_system: Option<String>,
    tenancy: Option<String>,
    capacitystatus: Option<String>,
    pre_installed_sw: Option<String>,
    /// Newer lists have it; `OnDemand` among others such as `CapacityBlock`.
    marketoption: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term {
    #[serde(default)]
    price_dimensions: BTreeMap<String, Dimension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dimension {
    unit: Option<String>,
    #[serde(default)]
    price_per_unit: BTreeMap<String, String>,
}

impl Prices {
    /// Returns the on-demand prices of a price list: the text of AmazonEC2's offer file (JSON, of a
    /// Region or of all), or what `aws pricing get-products --service-code AmazonEC2` prints.
    /// Products other than instances in use, such as reserved and unused capacity, are left out.
    ///
    /// # Errors
    /// `plan.prices_unreadable` for what is neither, or has no instance.
    pub fn from_price_list(json: &str) -> Result<Self> {
        Self::from_pages([json])
    }

    /// Returns the on-demand prices of all pages that GetProducts answers, in their order: the text
    /// of each, as [`from_price_list`](Self::from_price_list) takes one. Partial only where the
    /// last page states that there is a further one.
    ///
    /// # Errors
    /// `plan.prices_unreadable` for a page that is no price list, or where none has an instance.
    pub fn from_pages<'a>(pages: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut prices = Self::default();
        for page in pages {
            prices.add(Self::of_page(page)?);
        }
        if prices.rates.is_empty() {
            return Err(unreadable(&"it has no on-demand price of an instance"));
        }
        Ok(prices)
    }

    /// Returns what GetProducts of the service `AmazonEC2` filters by, field and value, each of
    /// type `TERM_MATCH`, to answer a type's products in a Region and no others.
    #[must_use]
    pub fn product_filters(instance_type: &str, region: &str) -> [(&'static str, String); 2] {
        [
            ("regionCode", region.to_owned()),
            ("instanceType", instance_type.to_owned()),
        ]
    }

    fn of_page(json: &str) -> Result<Self> {
        let form: Value = serde_json::from_str(json).map_err(|e| unreadable(&e))?;
        if form.get("products").is_none() {
            return Self::of_answer(form);
        }
        let file: OfferFile = serde_json::from_value(form).map_err(|e| unreadable(&e))?;
        Ok(Self::of_offer_file(file))
    }

    /// Adds the page that follows.
    fn add(&mut self, page: Self) {
        self.published = oldest(self.published.take(), page.published);
        self.version = self.version.take().or(page.version);
        self.is_partial = page.is_partial;
        self.rates.extend(page.rates);
    }

    fn of_offer_file(file: OfferFile) -> Self {
        let none = BTreeMap::new();
        let rates = file.products.into_values().filter_map(|product| {
            let terms = file.terms.on_demand.get(&product.sku).unwrap_or(&none);
            rate(product, terms)
        });
        Self {
            rates: rates.collect(),
            published: file.publication_date,
            version: file.version,
            is_partial: false,
        }
    }

    fn of_answer(form: Value) -> Result<Self> {
        let (products, is_partial) = match form {
            Value::Array(products) => (products, false),
            form if form.get("product").is_some() => (vec![form], false),
            form => {
                let answer: Answer = serde_json::from_value(form).map_err(|e| unreadable(&e))?;
                let more = answer.next_token.is_some_and(|token| !token.is_empty());
                (answer.price_list, more)
            }
        };
        let mut prices = Self {
            is_partial,
            ..Self::default()
        };
        for product in products {
            let priced = match product {
                Value::String(text) => serde_json::from_str(&text),
                other => serde_json::from_value(other),
            };
            let priced: Priced = priced.map_err(|e| unreadable(&e))?;
            prices.published = oldest(prices.published, priced.publication_date);
            prices.version = prices.version.or(priced.version);
            prices
                .rates
                .extend(rate(priced.product, &priced.terms.on_demand));
        }
        Ok(prices)
    }
}

/// Of lists of several dates the oldest holds for all.
fn oldest(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The rate of a product that is an instance in use, on demand, without software of others.
fn rate(product: Product, terms: &BTreeMap<String, Term>) -> Option<Rate> {
    let of = product.attributes;
    let is = |value: &Option<String>, wanted: &str| value.as_deref() == Some(wanted);
    let on_demand = of.marketoption.is_none() || is(&of.marketoption, "OnDemand");
    if !is(&of.capacitystatus, "Used") || !is(&of.pre_installed_sw, "NA") || !on_demand {
        return None;
    }
    Some(Rate {
        sku: product.sku,
        instance_type: of.instance_type?,
        region: of.region_code?,
        operating_system: of.operating_system?,
        tenancy: of.tenancy?,
        per_hour: per_hour(terms),
    })
}

/// The price of an hour, where there is one term with one price in one currency.
fn per_hour(terms: &BTreeMap<String, Term>) -> Option<Money> {
    let dimensions = terms
        .values()
        .flat_map(|term| term.price_dimensions.values());
    let dimensions: Vec<&Dimension> = dimensions.collect();
    let [dimension] = dimensions.as_slice() else {
        return None;
    };
    if dimension.unit.as_deref() != Some("Hrs") || dimension.price_per_unit.len() != 1 {
        return None;
    }
    let (currency, amount) = dimension.price_per_unit.first_key_value()?;
    Money::parse(amount, currency)
}

fn unreadable(why: &dyn std::fmt::Display) -> Error {
    Error::new(
        Code::PlanPricesUnreadable,
        format!("not a price list of EC2: {why}"),
    )
    .with_cure(
        "give AmazonEC2's offer file as JSON, or what `aws pricing get-products --service-code \
         AmazonEC2 --filters Type=TERM_MATCH,Field=regionCode,Value=REGION \
         Type=TERM_MATCH,Field=instanceType,Value=TYPE` prints",
    )
}
