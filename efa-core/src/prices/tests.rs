use serde_json::{Value, json};

use super::*;
use crate::ec2::CapacityBlockOffering;
use crate::error::Code;
use crate::fixtures::{decide_plan, seen, spec};
use crate::plan::Plan;
use crate::spec::{Capacity, ClusterSpec, Tenancy};

const P5: &str = "p5.48xlarge";

/// A product of the list; these prices are nobody's.
fn product(sku: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut product = json!({
        "sku": sku,
        "productFamily": "Compute Instance",
        "attributes": {
            "servicecode": "AmazonEC2", "instanceType": P5, "regionCode": "us-east-1",
            "operatingSystem": "Linux", "tenancy": "Shared", "capacitystatus": "Used",
            "preInstalledSw": "NA", "marketoption": "OnDemand", "vcpu": "192",
        },
    });
    change(&mut product["attributes"]);
    product
}

fn term(sku: &str, price: &str) -> Value {
    json!({
        format!("{sku}.T"): {
            "offerTermCode": "T", "sku": sku, "effectiveDate": "2026-11-01T00:00:00Z",
            "priceDimensions": { format!("{sku}.T.R"): {
                "rateCode": "r", "unit": "Hrs", "beginRange": "0", "endRange": "Inf",
                "pricePerUnit": { "USD": price },
            } },
            "termAttributes": {},
        },
    })
}

fn priced(sku: &str, price: &str, change: impl FnOnce(&mut Value)) -> Value {
    json!({
        "product": product(sku, change), "serviceCode": "AmazonEC2",
        "terms": { "OnDemand": term(sku, price) },
        "version": "20261120", "publicationDate": "2026-11-20T00:00:00Z",
    })
}

fn answer(products: &[Value]) -> Prices {
    let texts: Vec<String> = products.iter().map(Value::to_string).collect();
    let json = json!({ "FormatVersion": "aws_v1", "PriceList": texts });
    Prices::from_price_list(&json.to_string()).unwrap()
}

fn prices() -> Prices {
    answer(&[
        priced("A", "12.5000000000", |_| {}),
        priced("B", "0.0000000000", |of| {
            of["capacitystatus"] = json!("AllocatedCapacityReservation")
        }),
        priced("C", "99.0000000000", |of| {
            of["operatingSystem"] = json!("Windows")
        }),
        priced("D", "13.7500000000", |of| {
            of["tenancy"] = json!("Dedicated")
        }),
        priced("E", "77.0000000000", |of| {
            of["regionCode"] = json!("us-west-2")
        }),
        priced("F", "5.0000000000", |of| {
            of["marketoption"] = json!("CapacityBlock")
        }),
        priced("G", "88.0000000000", |of| {
            of["preInstalledSw"] = json!("SQL Std")
        }),
    ])
}

fn planned(change: impl FnOnce(&mut ClusterSpec)) -> Plan {
    let mut spec = spec(P5);
    spec.count = 2;
    change(&mut spec);
    decide_plan(&spec, seen(&spec)).unwrap()
}

fn figure(cost: &Cost) -> (&'static str, Option<String>) {
    let money = cost.figure.money().map(ToString::to_string);
    (cost.figure.as_str(), money)
}

#[test]
fn what_a_plan_costs_is_what_the_list_says_times_its_count() {
    let plan = planned(|_| {});
    let cost = plan.cost(&prices(), None);
    assert_eq!(figure(&cost), ("per_hour", Some("25.00 USD".into())));
    assert_eq!(cost.published.as_deref(), Some("2026-11-20T00:00:00Z"));
    let said = cost.to_string();
    for part in [
        "25.00 USD per hour",
        "2 x p5.48xlarge at 12.50 USD (Linux, Shared, SKU A)",
        "not included: EBS volumes; data transfer; public IPv4 addresses",
        "price list of 2026-11-20T00:00:00Z",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let dedicated = planned(|spec| spec.tenancy = Some(Tenancy::Dedicated));
    let cost = dedicated.cost(&prices(), None);
    assert_eq!(figure(&cost), ("per_hour", Some("27.50 USD".into())));
    assert!(
        cost.excludes
            .iter()
            .any(|one| one.contains("any dedicated instance"))
    );
    let json = serde_json::to_string(&cost).unwrap();
    assert_eq!(serde_json::from_str::<Cost>(&json).unwrap(), cost);
}

#[test]
fn every_form_of_the_list_is_read() {
    let one = priced("A", "12.5000000000", |_| {});
    let file = json!({
        "formatVersion": "v1.0", "disclaimer": "…", "offerCode": "AmazonEC2",
        "version": "20261120", "publicationDate": "2026-11-20T00:00:00Z",
        "products": { "A": product("A", |_| {}), "N": {"sku": "N", "attributes": {}} },
        "terms": { "OnDemand": { "A": term("A", "12.5000000000") }, "Reserved": {} },
    });
    for form in [
        file.to_string(),
        one.to_string(),
        json!([one]).to_string(),
        json!([one.to_string()]).to_string(),
        json!({ "PriceList": [one] }).to_string(),
    ] {
        let prices = Prices::from_price_list(&form).unwrap();
        assert_eq!(prices.rates.len(), 1, "{form}");
        assert_eq!(prices.version.as_deref(), Some("20261120"));
        let cost = planned(|_| {}).cost(&prices, None);
        assert_eq!(figure(&cost), ("per_hour", Some("25.00 USD".into())));
        let json = serde_json::to_string(&prices).unwrap();
        assert_eq!(serde_json::from_str::<Prices>(&json).unwrap(), prices);
    }
    // A list without this attribute is older.
    let older = answer(&[priced("A", "1.0", |of| {
        of.as_object_mut().unwrap().remove("marketoption");
    })]);
    assert_eq!(older.instance_types(), [P5]);
}

#[test]
fn pages_of_one_answer_are_read_as_one_list() {
    let page = |product: Value, more: Option<&str>| {
        json!({ "PriceList": [product.to_string()], "NextToken": more }).to_string()
    };
    let mut newer = priced("E", "77.0000000000", |of| {
        of["regionCode"] = json!("us-west-2")
    });
    newer["publicationDate"] = json!("2026-11-25T00:00:00Z");
    let first = page(newer, Some("t"));
    let second = page(priced("A", "12.5000000000", |_| {}), None);
    let whole = Prices::from_pages([first.as_str(), second.as_str()]).unwrap();
    assert_eq!((whole.rates.len(), whole.is_partial), (2, false));
    assert_eq!(whole.published.as_deref(), Some("2026-11-20T00:00:00Z"));
    let cost = planned(|_| {}).cost(&whole, None);
    assert_eq!(figure(&cost), ("per_hour", Some("25.00 USD".into())));

    let none = json!({ "PriceList": [] }).to_string();
    let first_only = Prices::from_pages([none.as_str(), first.as_str()]).unwrap();
    assert!(first_only.is_partial);
    let cost = planned(|_| {}).cost(&first_only, None);
    let why = cost.unknown_because().unwrap();
    assert!(why.contains("it continues on further pages"), "{why}");
    for pages in [vec![], vec![none.as_str()], vec![second.as_str(), "{}"]] {
        let error = Prices::from_pages(pages).unwrap_err();
        assert_eq!(error.code(), Code::PlanPricesUnreadable);
    }
}

#[test]
fn what_the_list_does_not_say_is_unknown_and_why() {
    let plan = planned(|_| {});
    let two = [priced("A", "1.0", |_| {}), priced("B", "2.0", |_| {})];
    let mut monthly = priced("A", "1.0", |_| {});
    monthly["terms"]["OnDemand"]["A.T"]["priceDimensions"]["A.T.R"]["unit"] = json!("Month");
    let mut yuan = priced("A", "1.0", |_| {});
    yuan["terms"]["OnDemand"]["A.T"]["priceDimensions"]["A.T.R"]["pricePerUnit"]["CNY"] =
        json!("7");
    let mut none = priced("A", "1.0", |_| {});
    none["terms"] = json!({});
    let mut windows = spec(P5);
    windows.count = 2;
    let mut of_windows = seen(&windows);
    of_windows.image.platform_details = Some("Ubuntu Pro".into());
    let other_image = decide_plan(&windows, of_windows).unwrap();
    let elsewhere = answer(&[priced("E", "7.0", |of| {
        of["regionCode"] = json!("us-west-2")
    })]);
    let mut part = elsewhere.clone();
    part.is_partial = true;
    for (plan, prices, why) in [
        (
            &plan,
            elsewhere,
            "has no p5.48xlarge with Linux, Shared, on demand in us-east-1",
        ),
        (&plan, part, "it continues on further pages"),
        (&plan, answer(&two), "has several prices of p5.48xlarge"),
        (&plan, answer(&[monthly]), "no single hourly price"),
        (&plan, answer(&[yuan]), "no single hourly price"),
        (&plan, answer(&[none]), "no single hourly price"),
        (&other_image, prices(), "billed as 'Ubuntu Pro'"),
    ] {
        let cost = plan.cost(&prices, None);
        assert_eq!(figure(&cost), ("unknown", None));
        let said = cost.unknown_because().unwrap();
        assert!(said.contains(why), "{why}: {said}");
        assert!(cost.to_string().contains("cost per hour unknown: "));
    }
    // The same price twice is one.
    let same = [priced("A", "1.0", |_| {}), priced("B", "1.00", |_| {})];
    assert_eq!(figure(&plan.cost(&answer(&same), None)).0, "per_hour");
}

#[test]
fn spot_is_known_by_its_limit_only() {
    let capped = planned(|spec| {
        spec.capacity = Capacity::Spot;
        spec.spot_maximum_price = Some("4.5".into());
    });
    let cost = capped.cost(&Prices::default(), None);
    assert_eq!(figure(&cost), ("at_most_per_hour", Some("9.00 USD".into())));
    assert_eq!(cost.published, None);
    let open = planned(|spec| spec.capacity = Capacity::Spot);
    let cost = open.cost(&prices(), None);
    assert_eq!(
        figure(&cost),
        ("at_most_per_hour", Some("25.00 USD".into()))
    );
    assert!(cost.to_string().contains("at most 25.00 USD per hour"));
    assert_eq!(figure(&open.cost(&Prices::default(), None)).0, "unknown");
}

fn offering() -> CapacityBlockOffering {
    CapacityBlockOffering {
        capacity_block_offering_id: "cbo-1".into(),
        instance_type: P5.into(),
        availability_zone: "us-east-1a".into(),
        instance_count: 4,
        duration_hours: 24,
        start_date: Some("2026-12-01T11:30:00Z".into()),
        end_date: Some("2026-12-02T11:30:00Z".into()),
        upfront_fee: Some("960.00".into()),
        currency_code: Some("USD".into()),
    }
}

fn in_block() -> Plan {
    let mut spec = spec(P5);
    let id = "cr-0123456789abcdef0";
    spec.capacity = Capacity::Reservation(id.into());
    let mut observed = seen(&spec);
    let offering = offering();
    observed.reservations = vec![crate::ec2::CapacityReservation {
        capacity_reservation_id: id.into(),
        instance_type: P5.into(),
        availability_zone: offering.availability_zone,
        tenancy: "default".into(),
        state: "active".into(),
        reservation_type: "capacity-block".into(),
        instance_match_criteria: "targeted".into(),
        instance_platform: Some("Linux/UNIX".into()),
        owner_id: "123456789012".into(),
        total_instance_count: 4,
        available_instance_count: 4,
        placement_group_arn: None,
        start_date: offering.start_date,
        end_date: offering.end_date,
    }];
    decide_plan(&spec, observed).unwrap()
}

#[test]
fn a_capacity_block_costs_what_its_offering_said() {
    let plan = in_block();
    let cost = plan.cost(&prices(), Some(&offering()));
    assert_eq!(figure(&cost), ("per_hour", Some("40.00 USD".into())));
    let said = cost.to_string();
    assert!(
        said.contains("960.00 USD, paid in advance for all 4 instances"),
        "{said}"
    );
    assert_eq!(cost.published, None, "no price list says it");
    let per_instance = offering().price_per_instance_hour().unwrap();
    assert_eq!(per_instance.to_string(), "10.00 USD");

    let said = |change: fn(&mut CapacityBlockOffering)| {
        let mut other = offering();
        change(&mut other);
        let cost = plan.cost(&prices(), Some(&other));
        cost.unknown_because().unwrap().to_owned()
    };
    assert!(said(|o| o.instance_count = 2).contains("is not the one of the Capacity Block"));
    assert!(said(|o| o.start_date = None).contains("is not the one of the Capacity Block"));
    assert!(said(|o| o.upfront_fee = None).contains("EC2 reports no fee"));
    assert!(said(|o| o.currency_code = None).contains("EC2 reports no fee"));
    let cost = plan.cost(&prices(), None);
    let why = cost.unknown_because().unwrap();
    assert!(
        why.contains("EC2 does not show what the Capacity Block"),
        "{why}"
    );
}

#[test]
fn what_is_no_price_list_is_refused_with_the_way_to_get_one() {
    for text in [
        "",
        "{}",
        "[]",
        "3",
        r#"{"PriceList": []}"#,
        r#"{"PriceList": ["x"]}"#,
        r#"{"products": {}}"#,
    ] {
        let error = Prices::from_price_list(text).unwrap_err();
        assert_eq!(error.code(), Code::PlanPricesUnreadable, "{text}");
        assert!(error.cure().unwrap().contains("aws pricing get-products"));
    }
}
