//! The whole flow over HTTP against the EC2 stand-in, and every way that a call of it can fail.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use efa_core::{
    Address, AwsEc2, Catalog, Client, ClusterSpec, Code, ConnectOptions, CreateSecurityGroup,
    Direction, Ec2, Error, Filter, FreeInterface, Image, Instance, InstanceType, Offering,
    PlacementGroup, PublicIp, Result, Rule, RunInstances, SecurityGroup, Subnet, Tags, Wait,
};

mod stand_in;

use stand_in::StandIn;

/// EC2, but one of the mutating calls fails, before or after it was carried out.
#[derive(Debug)]
struct Faulty {
    ec2: Arc<AwsEc2>,
    calls: AtomicU32,
    fails: Mutex<Option<(u32, Moment, Error)>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// The request never arrived.
    Before,
    /// It was carried out, and the reply was lost.
    After,
}

impl Faulty {
    fn new(ec2: &Arc<AwsEc2>, fails: Option<(u32, Moment, Error)>) -> Arc<Self> {
        Arc::new(Self {
            ec2: ec2.clone(),
            calls: AtomicU32::new(0),
            fails: Mutex::new(fails),
        })
    }

    async fn mutate<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let fails = self
            .fails
            .lock()
            .unwrap()
            .take_if(|(nth, ..)| *nth == number);
        match fails {
            Some((_, Moment::Before, error)) => Err(error),
            Some((_, Moment::After, error)) => {
                call.await?;
                Err(error)
            }
            None => call.await,
        }
    }
}

/// A real "no answer": nothing listens there.
async fn lost() -> Error {
    let nowhere = AwsEc2::connect(&ConnectOptions::stand_in("http://127.0.0.1:1"))
        .await
        .unwrap();
    let client = tokio::time::timeout(Duration::from_secs(30), nowhere.describe_subnets(&[])).await;
    client.unwrap().unwrap_err()
}

#[async_trait]
impl Ec2 for Faulty {
    fn region(&self) -> &str {
        self.ec2.region()
    }
    async fn describe_instance_types(&self, f: &[Filter]) -> Result<Vec<InstanceType>> {
        self.ec2.describe_instance_types(f).await
    }
    async fn describe_instance_type_offerings(&self, f: &[Filter]) -> Result<Vec<Offering>> {
        self.ec2.describe_instance_type_offerings(f).await
    }
    async fn describe_subnets(&self, f: &[Filter]) -> Result<Vec<Subnet>> {
        self.ec2.describe_subnets(f).await
    }
    async fn describe_images(&self, f: &[Filter]) -> Result<Vec<Image>> {
        self.ec2.describe_images(f).await
    }
    async fn describe_security_groups(&self, f: &[Filter]) -> Result<Vec<SecurityGroup>> {
        self.ec2.describe_security_groups(f).await
    }
    async fn describe_placement_groups(&self, f: &[Filter]) -> Result<Vec<PlacementGroup>> {
        self.ec2.describe_placement_groups(f).await
    }
    async fn describe_instances(&self, f: &[Filter]) -> Result<Vec<Instance>> {
        self.ec2.describe_instances(f).await
    }
    async fn describe_network_interfaces(&self, f: &[Filter]) -> Result<Vec<FreeInterface>> {
        self.ec2.describe_network_interfaces(f).await
    }
    async fn describe_addresses(&self, f: &[Filter]) -> Result<Vec<Address>> {
        self.ec2.describe_addresses(f).await
    }
    async fn create_security_group(&self, request: &CreateSecurityGroup) -> Result<String> {
        self.mutate(self.ec2.create_security_group(request)).await
    }
    async fn authorize_security_group(
        &self,
        id: &str,
        direction: Direction,
        rule: &Rule,
    ) -> Result<()> {
        self.mutate(self.ec2.authorize_security_group(id, direction, rule))
            .await
    }
    async fn delete_security_group(&self, id: &str) -> Result<()> {
        self.mutate(self.ec2.delete_security_group(id)).await
    }
    async fn create_cluster_placement_group(&self, name: &str, tags: &Tags) -> Result<()> {
        self.mutate(self.ec2.create_cluster_placement_group(name, tags))
            .await
    }
    async fn delete_placement_group(&self, name: &str) -> Result<()> {
        self.mutate(self.ec2.delete_placement_group(name)).await
    }
    async fn run_instances(&self, request: &RunInstances) -> Result<Vec<Instance>> {
        self.mutate(self.ec2.run_instances(request)).await
    }
    async fn terminate_instances(&self, ids: &[String]) -> Result<()> {
        self.mutate(self.ec2.terminate_instances(ids)).await
    }
    async fn delete_network_interface(&self, id: &str) -> Result<()> {
        self.mutate(self.ec2.delete_network_interface(id)).await
    }
    async fn allocate_address(&self, tags: &Tags) -> Result<Address> {
        self.mutate(self.ec2.allocate_address(tags)).await
    }
    async fn associate_address(&self, allocation: &str, interface: &str) -> Result<()> {
        self.mutate(self.ec2.associate_address(allocation, interface))
            .await
    }
    async fn disassociate_address(&self, association: &str) -> Result<()> {
        self.mutate(self.ec2.disassociate_address(association))
            .await
    }
    async fn release_address(&self, allocation: &str) -> Result<()> {
        self.mutate(self.ec2.release_address(allocation)).await
    }
}

async fn connect(stand_in: &StandIn) -> Arc<AwsEc2> {
    Arc::new(
        AwsEc2::connect(&ConnectOptions::stand_in(&stand_in.endpoint_url))
            .await
            .unwrap(),
    )
}

fn client(ec2: Arc<dyn Ec2>) -> Client {
    let mut wait = Wait::default();
    wait.first_poll = Duration::from_millis(5);
    wait.timeout = Duration::from_secs(60);
    Client::new(ec2).with_wait(wait)
}

async fn spec(ec2: &AwsEc2, name: &str, instance_type: &str) -> ClusterSpec {
    let zones = ec2
        .describe_instance_type_offerings(&[Filter::new("instance-type", instance_type)])
        .await
        .unwrap();
    let zone = Filter::new("availability-zone", &zones[0].availability_zone);
    let subnet = ec2.describe_subnets(&[zone]).await.unwrap().remove(0);
    let image = ec2
        .describe_images(&[Filter::new("name", "al2023-ami-2023*-x86_64")])
        .await
        .unwrap()
        .remove(0);
    ClusterSpec::new(name, instance_type, 2, subnet.subnet_id, image.image_id)
}

/// Everything in EC2 that carries the cluster's tag, and is not gone.
async fn tagged(ec2: &AwsEc2, name: &str) -> Vec<String> {
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
        let ec2 = Arc::new(AwsEc2::connect(&options).await.unwrap());
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
            .layout
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
async fn whatever_call_fails_apply_again_finishes_and_destroy_leaves_nothing() {
    let stand_in = StandIn::start().unwrap();
    let ec2 = connect(&stand_in).await;
    let mut spec = spec(&ec2, "faulty", "c5n.18xlarge").await;
    spec.public_ip = PublicIp::ElasticIp;

    // One clean round counts the mutating calls of each verb.
    let counting = Faulty::new(&ec2, None);
    let clean = client(counting.clone());
    let plan = clean.plan(&spec).await.unwrap();
    clean.apply(&plan).await.unwrap();
    let apply_calls = counting.calls.load(Ordering::SeqCst);
    clean.destroy("faulty").await.unwrap();
    let all_calls = counting.calls.load(Ordering::SeqCst);
    assert_eq!(
        (apply_calls, all_calls),
        (9, 14),
        "group, 2 rules, group, launch, 2 x 2 addresses; then 5"
    );

    // Real errors, made at once because the SDK retries for a second or two.
    let made: Vec<_> = (0..2 * all_calls).map(|_| tokio::spawn(lost())).collect();
    let mut errors = Vec::new();
    for error in made {
        errors.push(error.await.unwrap());
    }
    let mut faulty = |nth, moment| {
        client(Faulty::new(
            &ec2,
            errors.pop().map(|error| (nth, moment, error)),
        ))
    };

    let healthy = client(ec2.clone());
    for moment in [Moment::Before, Moment::After] {
        for nth in 0..apply_calls {
            let error = faulty(nth, moment).apply(&plan).await.unwrap_err();
            assert_eq!(
                error.code(),
                Code::Ec2Unreachable,
                "{nth} {moment:?}: {error}"
            );
            assert!(error.may_have_changed_aws() && error.is_retryable());
            // What the error lists exists; only what the failing call itself made may be missing.
            let exists = tagged(&ec2, "faulty").await;
            assert!(
                error.leftovers().iter().all(|l| exists.contains(&l.id)),
                "{nth} {moment:?}"
            );

            let cluster = healthy.apply(&plan).await.unwrap();
            assert_eq!(cluster.instances.len(), 2, "{nth} {moment:?}");
            // Instances, two groups and addresses; an interface has the tag too.
            let interfaces: usize = cluster.instances.iter().map(|i| i.interfaces.len()).sum();
            let all = tagged(&ec2, "faulty").await.len();
            assert_eq!(
                all,
                2 + 2 + 2 + interfaces,
                "{nth} {moment:?}: nothing is there twice"
            );
            assert!(
                healthy.verify("faulty").await.unwrap().is_as_planned(),
                "{nth} {moment:?}"
            );
            healthy.destroy("faulty").await.unwrap();
            assert_eq!(
                tagged(&ec2, "faulty").await,
                Vec::<String>::new(),
                "{nth} {moment:?}"
            );
        }
        for nth in 0..all_calls - apply_calls {
            healthy.apply(&plan).await.unwrap();
            let error = faulty(nth, moment).destroy("faulty").await.unwrap_err();
            assert!(error.may_have_changed_aws(), "{nth} {moment:?}: {error}");
            healthy.destroy("faulty").await.unwrap();
            assert_eq!(
                tagged(&ec2, "faulty").await,
                Vec::<String>::new(),
                "{nth} {moment:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_a_typed_error() {
    let error = lost().await;
    assert_eq!(error.code(), Code::Ec2Unreachable);
    assert_eq!(error.context_value("action"), Some("DescribeSubnets"));
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");

    for endpoint in ["127.0.0.1:1", "ftp://127.0.0.1", "http://", "http:// x"] {
        let error = AwsEc2::connect(&ConnectOptions::stand_in(endpoint))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::PlanInvalidSpec, "{endpoint}");
    }
}
