//! A cluster over several reservations, and one in a resource group of them.

use efa_core::ec2::CapacityReservation;
use efa_core::error::Code;
use efa_core::provision::Shrink;
use efa_core::spec::{Capacity, PlacementGroupChoice};
use efa_core::testing::{Call, Failing, FakeAws, Fault};
use efa_core::{Client, ClusterSpec};

use crate::reservation;

const ONE: &str = "cr-00000001";
const TWO: &str = "cr-00000002";

fn block(id: &str, count: u32) -> CapacityReservation {
    let mut block = reservation(id, count);
    "p5.48xlarge".clone_into(&mut block.instance_type);
    "capacity-block".clone_into(&mut block.reservation_type);
    "targeted".clone_into(&mut block.instance_match_criteria);
    block
}

/// A region with two blocks, of two instances and of one, and a specification that fills both.
fn blocks() -> (Failing<FakeAws>, ClusterSpec) {
    let aws = Failing::new(FakeAws::new());
    aws.inner().add_reservation(block(TWO, 1));
    aws.inner().add_reservation(block(ONE, 2));
    let mut spec = aws.inner().spec("train", "p5.48xlarge", 3);
    spec.capacity = format!("{ONE}:2,{TWO}:1").parse().unwrap();
    (aws, spec)
}

/// How many live instances run in each reservation.
fn in_each(aws: &FakeAws) -> (usize, usize) {
    let instances = aws.instances();
    let of = |id: &str| {
        let inside = instances
            .iter()
            .filter(|i| i.capacity_reservation_id.as_deref() == Some(id));
        inside.count()
    };
    (of(ONE), of(TWO))
}

async fn is_as_planned(client: &Client) {
    let report = client.verify("train").await.unwrap();
    assert!(report.is_as_planned(), "{report}");
}

#[tokio::test]
async fn each_block_has_a_launch_and_each_node_its_place() {
    let (aws, spec) = blocks();
    let client = aws.client();
    let plan = client.plan(&spec).await.unwrap();
    let text = plan.to_string();
    assert!(text.contains(ONE) && text.contains(TWO), "{text}");
    assert!(plan.placement_group().is_none() && plan.parts() == 2);
    assert_eq!(efa_core::Plan::from_json(&plan.to_json()).unwrap(), plan);
    assert!(client.preflight(&plan).await.unwrap().is_ready());
    let cluster = client.apply(&plan).await.unwrap();
    assert_eq!(in_each(aws.inner()), (2, 1));
    assert_eq!(aws.count(Call::RunInstances), 2);
    is_as_planned(&client).await;
    assert_eq!(client.apply(&plan).await.unwrap(), cluster);
    assert_eq!(aws.count(Call::RunInstances), 2);

    // A node of each block: each replacement goes where its place is.
    let of = |id: &str| {
        let mut all = cluster.instances.iter();
        let found = all.find(|i| i.capacity_reservation_id.as_deref() == Some(id));
        found.unwrap().instance_id.clone()
    };
    client.replace("train", &[of(ONE), of(TWO)]).await.unwrap();
    assert_eq!(in_each(aws.inner()), (2, 1));
    is_as_planned(&client).await;
    let report = client.shrink("train", &Shrink::To(2)).await.unwrap();
    assert_eq!(report.instances.len(), 2);
    assert_eq!(plan.to_cli().matches("\nrequest=").count(), 2);
    let error = plan.to_terraform(efa_core::handoff::LaunchTemplateFor::Ec2);
    assert_eq!(error.unwrap_err().code(), Code::HandoffNotPossible);
}

#[tokio::test]
async fn all_of_the_launches_or_none() {
    let (aws, spec) = blocks();
    let client = aws.client();
    let plan = client.plan(&spec).await.unwrap();
    let full = || Fault::refused("ReservationCapacityExceeded");
    aws.fail(Call::RunInstances, 2, full());
    let error = client.apply(&plan).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionNoCapacity, "{error}");
    assert_eq!(in_each(aws.inner()), (0, 0));
    aws.reset();
    client.apply(&plan).await.unwrap();
    assert_eq!(in_each(aws.inner()), (2, 1));
    is_as_planned(&client).await;

    // A launch that was not answered and did not happen: the next call finishes the cluster.
    let (aws, spec) = blocks();
    let client = aws.client();
    let plan = client.plan(&spec).await.unwrap();
    let lost = || Fault::lost_then_refused("RequestLimitExceeded");
    aws.fail(Call::RunInstances, 2, lost());
    let error = client.apply(&plan).await.unwrap_err();
    assert_eq!(
        error.context_value("took_effect"),
        Some("unknown"),
        "{error}"
    );
    assert_eq!(in_each(aws.inner()).0, 2);
    aws.reset();
    client.apply(&plan).await.unwrap();
    assert_eq!(in_each(aws.inner()), (2, 1));
    client.destroy("train").await.unwrap();

    let mut other = spec.clone();
    other.capacity = format!("{ONE}:1,{TWO}:2").parse().unwrap();
    let error = client.plan(&other).await.unwrap_err();
    assert_eq!(error.context_value("value"), Some(TWO), "{error}");
    aws.inner().add_reservation({
        let mut far = block("cr-00000003", 2);
        "us-east-1c".clone_into(&mut far.availability_zone);
        far
    });
    let mut apart = spec.clone();
    apart.capacity = format!("{TWO}:1,cr-00000003:2").parse().unwrap();
    let error = client.plan(&apart).await.unwrap_err();
    assert!(error.message().contains("zone"), "{error}");
}

#[tokio::test]
async fn a_resource_group_is_used_and_nothing_outside_of_it() {
    let aws = FakeAws::new();
    let client = aws.client();
    for id in [ONE, TWO] {
        aws.add_reservation(reservation(id, 2));
    }
    aws.add_reservation(reservation("cr-00000004", 9));
    let arn = aws.add_reservation_group("train", &[ONE, TWO]);
    let mut spec = aws.spec("train", "c5n.18xlarge", 5);
    spec.capacity = Capacity::ReservationGroup(arn.clone());
    spec.placement_group = PlacementGroupChoice::None;
    let error = client.plan(&spec).await.unwrap_err();
    assert!(error.message().contains("room for 4"), "{error}");
    spec.count = 4;
    let plan = client.plan(&spec).await.unwrap();
    assert_eq!(efa_core::Plan::from_json(&plan.to_json()).unwrap(), plan);
    assert!(client.preflight(&plan).await.unwrap().is_ready());
    assert!(plan.caller_policy().to_string().contains(&arn));
    client.apply(&plan).await.unwrap();
    assert_eq!(in_each(&aws), (2, 2));
    is_as_planned(&client).await;
    let node = aws.instances()[0].instance_id.clone();
    client.replace("train", &[node]).await.unwrap();
    assert_eq!(in_each(&aws), (2, 2));

    let blocks_only = aws.add_reservation_group("blocks", &[]);
    spec.capacity = Capacity::ReservationGroup(blocks_only);
    let error = client.plan(&spec).await.unwrap_err();
    assert_eq!(error.context_value("field"), Some("capacity"), "{error}");
}
