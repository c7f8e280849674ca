//! The whole flow over HTTP against the EC2 stand-in.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::sync::Arc;
use std::time::Duration;

use efa_core::aws::AwsSdk;
use efa_core::ec2::{Ec2, Filter};
use efa_core::error::Code;
use efa_core::iam::Iam;
use efa_core::layout::PublicIp;
use efa_core::provision::{Cancel, Wait};
use efa_core::services::Aws;
use efa_core::spec::{InstanceProfileChoice, InstanceRole, Selector};
use efa_core::{Catalog, Client, ClusterSpec, ConnectOptions, Error, run_command};

#[path = "../../efa-core/examples/support/stand_in.rs"]
mod stand_in;

use stand_in::StandIn;

/// A real "no answer": nothing listens there.
async fn lost() -> Error {
    let nowhere = AwsSdk::connect(&ConnectOptions::stand_in("http://127.0.0.1:1"))
        .await
        .unwrap();
    let client = tokio::time::timeout(Duration::from_secs(30), nowhere.describe_subnets(&[])).await;
    client.unwrap().unwrap_err()
}

async fn connect(stand_in: &StandIn) -> Arc<AwsSdk> {
    Arc::new(
        AwsSdk::connect(&ConnectOptions::stand_in(&stand_in.endpoint_url))
            .await
            .unwrap(),
    )
}

fn client(aws: Arc<dyn Aws>) -> Client {
    let mut wait = Wait::default();
    wait.first_poll = Duration::from_millis(5);
    wait.timeout = Duration::from_secs(60);
    Client::new(aws).with_wait(wait)
}

async fn spec(ec2: &AwsSdk, name: &str, instance_type: &str) -> ClusterSpec {
    let zones = ec2
        .describe_instance_type_offerings(&[Filter::new("instance-type", instance_type)])
        .await
        .unwrap();
    let zone = Filter::new("availability-zone", &zones[0].availability_zone);
    let subnet = ec2.describe_subnets(&[zone]).await.unwrap().remove(0);
    let image = ec2
        .describe_images(&[], &[Filter::new("name", "al2023-ami-2023*-x86_64")])
        .await
        .unwrap()
        .remove(0);
    ClusterSpec::new(name, instance_type, 2, subnet.subnet_id, image.image_id)
}

/// Everything in EC2 that carries the cluster's tag, and is not gone.
async fn tagged(ec2: &AwsSdk, name: &str) -> Vec<String> {
    let filter = [Filter::tag("efa-sdk:cluster", name)];
    let mut ids = Vec::new();
    for instance in ec2.describe_instances(&filter).await.unwrap() {
        if instance.state.as_str() != "terminated" {
            ids.push(instance.instance_id);
        }
    }
    ids.extend(
        ec2.describe_security_groups(&filter)
            .await
            .unwrap()
            .into_iter()
            .map(|g| g.group_id),
    );
    ids.extend(
        ec2.describe_placement_groups(&filter)
            .await
            .unwrap()
            .into_iter()
            .map(|g| g.group_name),
    );
    ids.extend(
        ec2.describe_addresses(&filter)
            .await
            .unwrap()
            .into_iter()
            .map(|a| a.allocation_id),
    );
    ids.extend(
        ec2.describe_network_interfaces(&filter)
            .await
            .unwrap()
            .into_iter()
            .map(|i| i.network_interface_id),
    );
    ids
}

#[tokio::test]
async fn the_live_catalog_is_the_bundled_one() {
    let stand_in = StandIn::start().unwrap();
    let live = client(connect(&stand_in).await).catalog().await.unwrap();
    let bundled = Catalog::bundled();
    assert_eq!(live.len(), 303);
    for t in &live {
        let mut expected = bundled.require(&t.name).unwrap().clone();
        expected.origin = t.origin.clone();
        assert_eq!(*t, expected);
    }
    assert!(
        live.zones("p5.48xlarge")
            .is_some_and(|zones| !zones.is_empty())
    );
}

#[tokio::test]
async fn a_cluster_comes_up_as_planned_and_goes_without_a_trace() {
    let stand_in = StandIn::start().unwrap();
    for (region, instance_type) in [
        ("us-east-1", "p5.48xlarge"),
        ("us-west-2", "p6-b300.48xlarge"),
        ("us-east-2", "hpc6id.32xlarge"),
        ("us-east-1", "c5n.18xlarge"),
    ] {
        let mut options = ConnectOptions::stand_in(&stand_in.endpoint_url);
        options.region = Some(region.to_owned());
        let ec2 = Arc::new(AwsSdk::connect(&options).await.unwrap());
        let client = client(ec2.clone());
        let mut spec = spec(&ec2, "flow", instance_type).await;
        spec.tags.insert("team".to_owned(), "fabric".to_owned());
        spec.public_ip = if instance_type == "c5n.18xlarge" {
            PublicIp::ElasticIp
        } else {
            PublicIp::None
        };
        let plan = client.plan(&spec).await.unwrap();
        assert_eq!(
            tagged(&ec2, "flow").await,
            Vec::<String>::new(),
            "planning changes nothing"
        );

        let cluster = client.apply(&plan).await.unwrap();
        let seen: Vec<_> = cluster.instances[1]
            .interfaces
            .iter()
            .map(|i| {
                (
                    i.network_card_index,
                    i.device_index,
                    i.interface_type.clone(),
                )
            })
            .collect();
        let planned: Vec<_> = plan
            .layout()
            .interfaces
            .iter()
            .map(|i| {
                (
                    i.network_card_index,
                    i.device_index,
                    i.interface_type.clone(),
                )
            })
            .collect();
        assert_eq!(seen, planned, "{instance_type}");
        assert!(
            cluster
                .instances
                .iter()
                .all(|i| i.tags["team"] == "fabric" && i.tags["Name"] == "flow")
        );

        let before = tagged(&ec2, "flow").await;
        assert_eq!(
            client.apply(&plan).await.unwrap(),
            cluster,
            "applying again changes nothing"
        );
        assert_eq!(tagged(&ec2, "flow").await, before);
        for report in [
            client.verify("flow").await.unwrap(),
            client.verify_plan(&plan).await.unwrap(),
        ] {
            assert!(report.is_as_planned(), "{report}");
        }

        let report = client.destroy("flow").await.unwrap();
        assert_eq!(tagged(&ec2, "flow").await, Vec::<String>::new());
        let addresses = if spec.public_ip == PublicIp::ElasticIp {
            2
        } else {
            0
        };
        assert_eq!(report.removed.len(), 2 + 2 + addresses);
        assert!(client.destroy("flow").await.unwrap().removed.is_empty());
    }
}

#[tokio::test]
async fn any_zone_of_a_vpc_the_newest_image_and_a_role() {
    let stand_in = StandIn::start().unwrap();
    let aws = connect(&stand_in).await;
    let client = client(aws.clone());
    let image = "al2023".parse().unwrap();
    let mut spec = ClusterSpec::with_image("named", "c5n.18xlarge", 2, image);
    let vpc = aws.describe_vpcs(&[]).await.unwrap().remove(0);
    spec.vpc = Some(Selector::vpc(&vpc.vpc_id).unwrap());
    spec.ssh_cidrs = vec!["203.0.113.7/32".to_owned()];
    let mut role = InstanceRole::default();
    role.scripts_bucket = Some("my-scripts".to_owned());
    spec.instance_profile = InstanceProfileChoice::Make(role);
    let plan = client.plan(&spec).await.unwrap();
    assert!(plan.subnets().len() > 1, "every zone that offers the type");
    assert!(
        plan.image().name.starts_with("al2023-ami-"),
        "{}",
        plan.image().name
    );
    // The default VPC of this EC2 has no way out: the role's instances would not reach SSM.
    let looked = client.preflight(&plan).await.unwrap();
    assert!(
        !looked.is_ready() && looked.to_string().contains("way_out"),
        "{looked}"
    );

    let cluster = client.apply(&plan).await.unwrap();
    let profile = "efa-sdk-us-east-1-named";
    assert!(cluster.instances.iter().all(|i| {
        i.iam_instance_profile_arn
            .as_ref()
            .is_some_and(|arn| arn.ends_with(profile))
    }));
    assert_eq!(aws.list_role_policies(profile).await.unwrap(), ["efa-sdk"]);
    assert_eq!(
        aws.list_attached_role_policies(profile)
            .await
            .unwrap()
            .len(),
        1
    );
    let report = client.verify_plan(&plan).await.unwrap();
    assert!(report.is_as_planned(), "{report}");
    let again = client.plan(&spec).await.unwrap();
    let report = client.preflight(&again).await.unwrap();
    assert!(
        report
            .to_string()
            .contains("the cluster is already running"),
        "{report}"
    );

    let clusters = client.clusters().await.unwrap();
    assert_eq!(clusters.len(), 1);
    assert_eq!(clusters[0].name, "named");
    let topology = client.topology("named").await.unwrap();
    assert_eq!(topology.hostfile(Some(8)).lines().count(), 2, "{topology}");
    assert_eq!(
        topology.distance(0, 1),
        Some(0),
        "one placement group, one bottom node"
    );
    let options = run_command::Options::default();
    let report = client.run_command("named", "true", &options).await.unwrap();
    assert!(report.succeeded() && report.nodes.len() == 2, "{report}");
    let policy = plan.caller_policy();
    assert!(
        policy.contains("iam:PassRole") && policy.contains("parameter/aws/service/"),
        "{policy}"
    );

    let removed = client.destroy("named").await.unwrap();
    assert_eq!(removed.removed.len(), 2 + 2 + 2, "{removed}");
    assert!(aws.get_role(profile).await.unwrap().is_none());
    assert!(aws.get_instance_profile(profile).await.unwrap().is_none());
    assert_eq!(tagged(&aws, "named").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_larger_plan_grows_a_cluster_only_when_asked() {
    let stand_in = StandIn::start().unwrap();
    let aws = connect(&stand_in).await;
    let client = client(aws.clone());
    let mut spec = spec(&aws, "growing", "c5n.18xlarge").await;
    client
        .apply(&client.plan(&spec).await.unwrap())
        .await
        .unwrap();
    spec.count = 3;
    let larger = client.plan(&spec).await.unwrap();
    let error = client.apply(&larger).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionClusterDiffers);
    assert!(
        error.cure().is_some_and(|cure| cure.contains("call grow")),
        "{error}"
    );
    let mut kinds: Vec<&str> = error
        .leftovers()
        .iter()
        .map(|leftover| leftover.resource_type.as_str())
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["instance", "instance", "placement-group", "security-group"]
    );

    let grown = client.grow(&larger).await.unwrap();
    assert_eq!(grown.instances.len(), 3);
    for report in [
        client.verify("growing").await,
        client.verify_plan(&larger).await,
    ] {
        let report = report.unwrap();
        assert!(report.is_as_planned(), "{report}");
    }
    assert_eq!(
        client.grow(&larger).await.unwrap(),
        grown,
        "again changes nothing"
    );

    spec.user_data = Some("#!/bin/sh".to_owned());
    spec.count = 4;
    let other = client.plan(&spec).await.unwrap();
    client.destroy("growing").await.unwrap();
    client.apply(&other).await.unwrap();
    assert_eq!(client.describe("growing").await.unwrap().instances.len(), 4);
    client.destroy("growing").await.unwrap();
    assert_eq!(tagged(&aws, "growing").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_request_to_stop_is_obeyed_between_two_calls() {
    let stand_in = StandIn::start().unwrap();
    let aws = connect(&stand_in).await;
    let spec = spec(&aws, "stopped", "c5n.18xlarge").await;
    let plan = client(aws.clone()).plan(&spec).await.unwrap();
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let stopping = client(aws.clone())
        .with_cancel(cancel)
        .with_progress(move |event| {
            if event.resource_type == "placement-group" {
                stop.cancel();
            }
        });
    let error = stopping.apply(&plan).await.unwrap_err();
    assert_eq!(error.code(), Code::ProvisionCancelled);
    assert!(error.may_have_changed_aws());
    assert_eq!(error.leftovers().len(), 2, "both groups, and no instance");
    assert!(
        error
            .next_command()
            .is_some_and(|next| next.contains("destroy('stopped')"))
    );
    assert_eq!(tagged(&aws, "stopped").await.len(), 2);

    let healthy = client(aws.clone());
    assert_eq!(healthy.apply(&plan).await.unwrap().instances.len(), 2);
    healthy.destroy("stopped").await.unwrap();
    assert_eq!(tagged(&aws, "stopped").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_a_typed_error() {
    let error = lost().await;
    assert_eq!(error.code(), Code::Ec2Unreachable);
    assert_eq!(error.context_value("action"), Some("DescribeSubnets"));
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");

    for endpoint in ["127.0.0.1:1", "ftp://127.0.0.1", "http://", "http:// x"] {
        let error = AwsSdk::connect(&ConnectOptions::stand_in(endpoint))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::PlanInvalidSpec, "{endpoint}");
    }
}
