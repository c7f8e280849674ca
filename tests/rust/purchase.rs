//! Capacity Blocks that are bought, over the AWS in memory.

use std::sync::{Arc, Mutex};

use efa_core::Client;
use efa_core::ec2::{CapacityBlockOffering, CapacityBlockSearch, CapacityReservation, Ec2};
use efa_core::error::{Code, Error};
use efa_core::prices::Money;
use efa_core::provision::PurchaseOptions;
use efa_core::testing::{Call, Failing, FakeAws, Fault};

fn offering() -> CapacityBlockOffering {
    CapacityBlockOffering {
        capacity_block_offering_id: "cbo-1".into(),
        instance_type: "p5.48xlarge".into(),
        availability_zone: "us-east-1a".into(),
        instance_count: 2,
        duration_hours: 24,
        start_date: Some("2026-12-01T11:30:00Z".into()),
        end_date: Some("2026-12-02T11:30:00Z".into()),
        upfront_fee: Some("1000.00".into()),
        currency_code: Some("USD".into()),
    }
}

fn usd(amount: &str) -> Money {
    Money::parse(amount, "USD").unwrap()
}

/// An AWS that fails on order and sells the offering, and a client of it.
fn market() -> (Failing<FakeAws>, Client) {
    let aws = Failing::new(FakeAws::new());
    aws.inner().add_block_offering(offering());
    let client = aws.client();
    (aws, client)
}

async fn buy(client: &Client, price: &str) -> Result<CapacityReservation, Error> {
    let options = PurchaseOptions::default();
    client
        .purchase_capacity_block(&offering(), &usd(price), &options)
        .await
}

/// How often a purchase was sent, and the blocks that there are.
async fn bought(aws: &Failing<FakeAws>) -> (usize, usize) {
    let blocks = aws
        .inner()
        .describe_capacity_reservations(&[])
        .await
        .unwrap();
    (aws.count(Call::PurchaseCapacityBlock), blocks.len())
}

#[tokio::test]
async fn an_offering_is_bought_once_at_the_confirmed_price() {
    let (aws, client) = market();
    let events = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&events);
    let client =
        client.with_progress(move |event| listener.lock().unwrap().push(event.to_string()));
    let search = CapacityBlockSearch::new("p5.48xlarge", 2, 24);
    let listed = client.capacity_block_offerings(&search).await.unwrap();
    assert_eq!(listed, [offering()]);
    let mut options = PurchaseOptions::default();
    options.tags.insert("team".into(), "ml".into());
    // 1000 is 1000.00.
    let price = usd("1000");
    let buy_it = || client.purchase_capacity_block(&listed[0], &price, &options);
    let block = buy_it().await.unwrap();
    assert_eq!(block.state, "payment-pending");
    assert_eq!(
        (block.total_instance_count, block.available_instance_count),
        (2, 0)
    );
    assert_eq!(block.start_date, offering().start_date);
    assert_eq!(client.capacity_block_offerings(&search).await.unwrap(), []);
    assert_eq!(
        buy_it().await.unwrap(),
        block,
        "again gives what was bought"
    );
    assert_eq!(bought(&aws).await, (1, 1));
    let events = events.lock().unwrap().join("\n");
    assert!(
        events.contains("bought for 1000.00 USD") && events.contains("bought before"),
        "{events}"
    );
}

#[tokio::test]
async fn another_price_buys_nothing() {
    let (aws, client) = market();
    for price in ["999.99", "1000.01", "0"] {
        let error = buy(&client, price).await.unwrap_err();
        assert_eq!(error.code(), Code::PlanConflict);
        assert_eq!(error.context_value("limit"), Some("1000.00 USD"));
        assert!(
            error.to_string().contains("costs 1000.00 USD, and "),
            "{error}"
        );
    }
    let euros = Money::parse("1000.00", "EUR").unwrap();
    let options = PurchaseOptions::default();
    let error = client
        .purchase_capacity_block(&offering(), &euros, &options)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::PlanConflict);
    assert_eq!(bought(&aws).await, (0, 0));
}

#[tokio::test]
async fn the_price_of_this_moment_counts() {
    for (change, code) in [
        (
            (|o| o.upfront_fee = Some("1200.00".into())) as fn(&mut CapacityBlockOffering),
            Code::PlanConflict,
        ),
        (|o| o.upfront_fee = None, Code::PlanConflict),
        (
            |o| o.start_date = Some("2026-12-03T11:30:00Z".into()),
            Code::PlanResourceNotFound,
        ),
        (|o| o.instance_count = 3, Code::PlanResourceNotFound),
    ] {
        let aws = Failing::new(FakeAws::new());
        let mut now = offering();
        change(&mut now);
        aws.inner().add_block_offering(now);
        let error = buy(&aws.client(), "1000.00").await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(bought(&aws).await, (0, 0));
    }
    // Another id of the same goods at the same price is the same.
    let aws = Failing::new(FakeAws::new());
    let mut now = offering();
    now.capacity_block_offering_id = "cbo-2".into();
    aws.inner().add_block_offering(now);
    let client = aws.client();
    let block = buy(&client, "1000.00").await.unwrap();
    assert_eq!(buy(&client, "1000.00").await.unwrap(), block);
    assert_eq!(bought(&aws).await, (1, 1));
}

#[tokio::test]
async fn a_lost_answer_is_looked_up() {
    let (aws, client) = market();
    aws.fail(Call::PurchaseCapacityBlock, 1, Fault::ReplyLost);
    let block = buy(&client, "1000.00").await.unwrap();
    assert_eq!(block.state, "payment-pending");
    assert_eq!(bought(&aws).await, (1, 1));
}

#[tokio::test]
async fn what_cannot_be_looked_up_is_unknown_and_not_bought_again() {
    let (aws, client) = market();
    aws.fail(Call::PurchaseCapacityBlock, 1, Fault::Unreachable);
    let error = buy(&client, "1000.00").await.unwrap_err();
    assert_eq!(error.context_value("took_effect"), Some("unknown"));
    assert!(error.may_have_changed_aws() && !error.is_retryable());
    assert!(
        error.cure().unwrap().contains("tag:efa-sdk:offering=cbo-1"),
        "{error}"
    );
    assert!(
        error
            .next_command()
            .unwrap()
            .contains("describe-capacity-reservations")
    );
    assert_eq!(bought(&aws).await, (1, 0));
}

#[tokio::test]
async fn a_refusal_says_that_nothing_was_bought() {
    let (aws, client) = market();
    aws.fail(
        Call::PurchaseCapacityBlock,
        1,
        Fault::refused("UnauthorizedOperation"),
    );
    let error = buy(&client, "1000.00").await.unwrap_err();
    assert_eq!(error.context_value("took_effect"), Some("no"));
    assert_eq!(bought(&aws).await, (1, 0));
    for call in [
        Call::DescribeCapacityReservations,
        Call::DescribeCapacityBlockOfferings,
    ] {
        let (aws, client) = market();
        aws.fail(call, 1, Fault::refused("UnauthorizedOperation"));
        let error = buy(&client, "1000.00").await.unwrap_err();
        assert_eq!(error.ec2_code(), Some("UnauthorizedOperation"));
        assert_eq!(bought(&aws).await, (0, 0));
    }
    let mut options = PurchaseOptions::default();
    options.tags.insert("efa-sdk:offering".into(), "x".into());
    let error = client
        .purchase_capacity_block(&offering(), &usd("1000"), &options)
        .await;
    assert_eq!(error.unwrap_err().code(), Code::PlanInvalidSpec);
}
