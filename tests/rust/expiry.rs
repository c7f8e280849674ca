//! Clusters that end themselves.

use std::time::Duration;

use efa_core::ClusterSpec;
use efa_core::ec2::Instance;
use efa_core::error::Code;
use efa_core::spec::Capacity;
use efa_core::testing::FakeAws;

use crate::{SMALL, reservation};
#[tokio::test]
async fn a_cluster_that_expires_says_when_and_is_extended() {
    let aws = FakeAws::new();
    let client = aws.client();
    let mut spec = aws.spec("train", SMALL, 2);
    spec.expires_after = Some(Duration::from_secs(3600));
    let plan = client.plan(&spec).await.unwrap();
    assert_eq!(plan.expires_at(), Some("2026-11-30T13:00:00Z"));
    assert!(
        plan.to_string()
            .contains("expires at     2026-11-30T13:00:00Z")
    );
    assert!(plan.to_cli().contains("InstanceInitiatedShutdownBehavior"));
    let policy = plan.caller_policy();
    assert!(policy.contains("efa-sdk:expires-at"), "{policy}");
    let stored = efa_core::Plan::from_json(&plan.to_json()).unwrap();
    assert_eq!(stored, plan);

    let cluster = client.apply(&plan).await.unwrap();
    assert_eq!(cluster.expires_at(), plan.expires_at());
    aws.clock().advance(Duration::from_secs(3000));
    let cluster = client.extend("train", Duration::from_secs(7200)).await;
    let cluster = cluster.unwrap();
    let at = cluster.expires_at();
    // `apply` waited for some seconds.
    assert!(at.unwrap().starts_with("2026-11-30T14:50:"), "{at:?}");
    let [summary] = client.clusters().await.unwrap().try_into().unwrap();
    assert_eq!(summary.expires_at.as_deref(), at);
    assert!(summary.to_string().contains("expires at 2026-11-30T14:50:"));
    assert!(client.verify("train").await.unwrap().is_as_planned());

    // Its plan's own time has passed: nothing is launched, so that nothing is refused.
    aws.clock().advance(Duration::from_secs(3600));
    assert_eq!(client.apply(&plan).await.unwrap().expires_at(), at);
    let id = aws.instances()[0].instance_id.clone();
    let cluster = client.replace("train", &[id]).await.unwrap();
    let of_all = |i: &Instance| i.tags.get("efa-sdk:expires-at").map(String::as_str) == at;
    assert!(cluster.instances.iter().all(of_all), "{cluster}");

    client.destroy("train").await.unwrap();
    let error = client.apply(&plan).await.unwrap_err();
    assert_eq!(error.code(), Code::PlanConflict);
    assert_eq!(error.context_value("field"), Some("expires_after"));
    assert!(aws.resources().is_empty(), "{error}");
}

#[tokio::test]
async fn what_cannot_expire_is_refused() {
    let aws = FakeAws::new();
    let client = aws.client();
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
    type Change = fn(&mut ClusterSpec);
    let changes: [(&str, Change); 4] = [
        ("expires_after", |s| {
            s.expires_after = Some(Duration::from_secs(599))
        }),
        ("expires_after", |s| {
            s.expires_after = Some(Duration::from_millis(3_600_500))
        }),
        ("expires_after", |s| {
            s.user_data = Some("#!/bin/sh".to_owned())
        }),
        ("metadata_tags", |s| {
            s.tags
                .insert("karpenter.sh/discovery".to_owned(), "prod".to_owned());
        }),
    ];
    for (field, change) in changes {
        let mut spec = aws.spec("train", SMALL, 1);
        spec.expires_after = hours(1);
        change(&mut spec);
        let error = client.plan(&spec).await.unwrap_err();
        assert_eq!(error.context_value("field"), Some(field), "{error}");
        assert!(error.cure().is_some() && error.context_value("limit").is_some());
    }

    let lasting = client.plan(&aws.spec("train", SMALL, 1)).await.unwrap();
    client.apply(&lasting).await.unwrap();
    let error = client.extend("train", Duration::from_secs(3600)).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::PlanConflict, "{error}");
    let error = client.extend("none", Duration::from_secs(3600)).await;
    assert_eq!(error.unwrap_err().code(), Code::VerifyClusterNotFound);
}

#[tokio::test]
async fn a_cluster_expires_before_its_capacity_block_ends() {
    let aws = FakeAws::new();
    let client = aws.client();
    let mut spec = aws.spec("train", "p5.48xlarge", 1);
    spec.capacity = Capacity::Reservation("cr-1".to_owned());
    let mut block = reservation("cr-1", 2);
    "capacity-block".clone_into(&mut block.reservation_type);
    "p5.48xlarge".clone_into(&mut block.instance_type);
    block.end_date = Some("2026-12-01T11:30:00Z".to_owned());
    aws.add_reservation(block);
    spec.expires_after = Some(Duration::from_secs(24 * 3600));
    let error = client.plan(&spec).await.unwrap_err();
    assert_eq!(error.code(), Code::PlanConflict);
    assert_eq!(error.context_value("limit"), Some("2026-12-01T11:30:00Z"));
    spec.expires_after = Some(Duration::from_secs(23 * 3600));
    let plan = client.plan(&spec).await.unwrap();
    client.apply(&plan).await.unwrap();
    let error = client.extend("train", Duration::from_secs(24 * 3600)).await;
    assert_eq!(
        error.unwrap_err().context_value("limit"),
        Some("2026-12-01T11:30:00Z")
    );
}
