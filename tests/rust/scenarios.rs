//! One list of scenarios, run on the AWS in memory and over HTTP on the stand-in: the same calls
//! have the same outcomes, so that the two keep the same rules.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::fmt::Debug;
use std::time::Duration;

use efa_core::ec2::{CreateSecurityGroup, Direction, Filter, Peer, Rule, Tags};
use efa_core::layout::{NetworkInterface, PublicIp};
use efa_core::spec::{InstanceProfileChoice, InstanceRole};
use efa_core::types::InterfaceType;
use efa_core::{Result, run_command};

#[path = "scenarios/iam.rs"]
mod iam;
#[path = "../../efa-core/examples/support/stand_in.rs"]
mod stand_in;
#[path = "scenarios/world.rs"]
mod world;

use iam::{new_profiles, roles};
use world::{Base, SMALL, World};

/// What was done, and what came of it, line by line.
#[derive(Default)]
struct Log(Vec<String>);

impl Log {
    /// Notes `ok` or the code of the error.
    fn note<T>(&mut self, what: &str, result: Result<T>) -> Option<T> {
        let outcome = match &result {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.ec2_code().unwrap_or(error.code().as_str()).to_owned(),
        };
        self.0.push(format!("{what}: {outcome}"));
        if let Err(error) = &result {
            println!("{what}: {error}"); // shown where a scenario fails
        }
        result.ok()
    }

    fn see(&mut self, what: &str, seen: impl Debug) {
        self.0.push(format!("{what}: {seen:?}"));
    }
}

/// Lines of a scenario that differ for a reason: what is in memory follows AWS's API reference.
const KNOWN: &[(&str, &str)] = &[
    // moto knows of no role and lists none; IAM's ListRolePolicies answers NoSuchEntity.
    ("roles", "policies of none"),
    // moto's default VPC has no route to the internet; the VPC of the fake has a NAT gateway.
    ("verbs", "way_out"),
];

#[tokio::test]
async fn both_keep_the_same_rules() {
    let mut memory = World::in_memory();
    let mut http = World::over_http().await;
    let mut differ = Vec::new();
    macro_rules! compare {
        ($($scenario:ident),+ $(,)?) => {$(
            memory.reset();
            http.reset();
            let (mut ours, mut theirs) = (Log::default(), Log::default());
            $scenario(&memory, &Base::of(&memory).await, &mut ours).await;
            $scenario(&http, &Base::of(&http).await, &mut theirs).await;
            println!("{}: {} outcomes", stringify!($scenario), ours.0.len());
            for (ours, theirs) in ours.0.iter().zip(&theirs.0) {
                let step = ours.split(':').next().unwrap_or_default();
                let known = KNOWN.contains(&(stringify!($scenario), step));
                assert!(!known || ours != theirs, "no longer differs: {step}");
                if ours != theirs && !known {
                    differ.push(format!(
                        "{}: in memory {ours}, over HTTP {theirs}",
                        stringify!($scenario)
                    ));
                }
            }
            assert_eq!(ours.0.len(), theirs.0.len());
        )+};
    }
    compare!(
        security_groups,
        placement_groups,
        refused_launches,
        refused_interfaces,
        tokens,
        a_life,
        room,
        addresses,
        roles,
        new_profiles,
        commands,
        eventual,
        verbs,
    );
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// AWS refuses an empty list of tags.
fn some_tags() -> Tags {
    Tags::from([("of".to_owned(), "a scenario".to_owned())])
}

fn group(base: &Base, name: &str) -> CreateSecurityGroup {
    let mut group = CreateSecurityGroup::new(name, "of a scenario", &base.vpc_id);
    group.tags = some_tags();
    group
}

async fn security_groups(world: &World, base: &Base, log: &mut Log) {
    let aws = world.aws();
    let one = aws.create_security_group(&group(base, "one")).await;
    let one = log.note("create", one).unwrap();
    log.note(
        "create again",
        aws.create_security_group(&group(base, "one")).await,
    );
    let two = aws
        .create_security_group(&group(base, "two"))
        .await
        .unwrap();
    let all = Rule::all_traffic_with_group(&one);
    for direction in [Direction::Ingress, Direction::Egress, Direction::Ingress] {
        log.note(
            "authorize",
            aws.authorize_security_group(&one, direction, &all).await,
        );
    }
    let other = Rule::all_traffic_with_group(&two);
    log.note(
        "peer",
        aws.authorize_security_group(&one, Direction::Ingress, &other)
            .await,
    );
    let ssh = Rule {
        ip_protocol: "tcp".to_owned(),
        from_port: Some(22),
        to_port: Some(22),
        peer: Peer::Cidr("203.0.113.7/32".to_owned()),
    };
    log.note(
        "ssh",
        aws.authorize_security_group(&two, Direction::Ingress, &ssh)
            .await,
    );
    log.note(
        "ssh again",
        aws.authorize_security_group(&two, Direction::Ingress, &ssh)
            .await,
    );
    let by_id = [Filter::new("group-id", &two)];
    let shown = aws
        .describe_security_groups(&by_id)
        .await
        .unwrap()
        .remove(0);
    log.see("rules", (&shown.ingress, &shown.egress));
    log.note("named by a rule", aws.delete_security_group(&two).await);
    log.note("delete", aws.delete_security_group(&one).await);
    log.note("delete the other", aws.delete_security_group(&two).await);
    log.note("delete again", aws.delete_security_group(&two).await);
    let unknown = "sg-0123456789abcdef0";
    log.note(
        "unknown",
        aws.authorize_security_group(unknown, Direction::Egress, &all)
            .await,
    );
    log.note("found", aws.describe_security_groups(&by_id).await);
    let filter = [Filter::new("no-such-filter", "x")];
    log.note("filter", aws.describe_placement_groups(&filter).await);
}

async fn placement_groups(world: &World, base: &Base, log: &mut Log) {
    let aws = world.aws();
    let tags = Tags::from([("team".to_owned(), "ml".to_owned())]);
    for what in ["create", "create again"] {
        log.note(
            what,
            aws.create_cluster_placement_group("close", &tags).await,
        );
    }
    for pattern in ["close", "cl*", "c?ose", "open"] {
        let filter = [Filter::new("group-name", pattern)];
        log.see(
            pattern,
            aws.describe_placement_groups(&filter).await.unwrap().len(),
        );
    }
    let filter = [Filter::tag("team", "ml"), Filter::new("tag-key", "t*")];
    log.see(
        "by tag",
        aws.describe_placement_groups(&filter).await.unwrap().len(),
    );
    let mut launch = base.launch("a");
    launch.placement_group = Some("close".to_owned());
    let ids = log.note("launch", launch.run(world).await).unwrap();
    log.note("in use", aws.delete_placement_group("close").await);
    launch.token = "b".to_owned();
    launch.subnet_id.clone_from(&base.subnets[1]);
    log.note("another zone", launch.run(world).await);
    log.note("terminate", aws.terminate_instances(&ids).await);
    log.note("still in use", aws.delete_placement_group("close").await);
    world.pass().await;
    log.note("delete", aws.delete_placement_group("close").await);
    log.note("delete again", aws.delete_placement_group("close").await);
}

async fn refused_launches(world: &World, base: &Base, log: &mut Log) {
    type Case<'a> = (&'a str, &'a dyn Fn(&mut world::Asked));
    let fine = base.launch("fine");
    log.note("fine", fine.dry_run(world).await);
    let text = str::to_owned;
    let cases: [Case<'_>; 13] = [
        ("type", &|l| l.instance_type = text("p99.large")),
        ("image", &|l| l.image_id = text("ami-0123456789abcdef0")),
        ("architecture", &|l| {
            l.image_id.clone_from(&base.arm_image_id)
        }),
        ("subnet", &|l| {
            l.subnet_id = text("subnet-0123456789abcdef0")
        }),
        ("group", &|l| l.group_id = text("sg-0123456789abcdef0")),
        ("placement group", &|l| {
            l.placement_group = Some(text("none"))
        }),
        ("profile", &|l| l.profile = Some(text("none"))),
        ("reservation", &|l| l.market = "cr-0123456789abcdef0"),
        ("volume", &|l| l.volume_gib = Some(1)),
        ("user data", &|l| l.user_data = Some("x".repeat(16_385))),
        ("no EFA", &|l| l.instance_type = text("m5.large")),
        ("not spot", &|l| {
            l.instance_type = text("hpc6a.48xlarge");
            l.market = "spot";
        }),
        ("user data that fits", &|l| {
            l.user_data = Some("x".repeat(16_384))
        }),
    ];
    for (what, change) in cases {
        let mut launch = fine.clone();
        change(&mut launch);
        let result = launch.dry_run(world).await;
        if what == "no EFA" || what == "not spot" {
            // The two catalogs differ in types without EFA and in zones: a refusal is enough.
            log.see(what, result.is_err());
            continue;
        }
        log.note(what, result);
    }
    log.see(
        "instances",
        world.aws().describe_instances(&[]).await.unwrap().len(),
    );
}

async fn refused_interfaces(world: &World, base: &Base, log: &mut Log) {
    use InterfaceType::{Efa, EfaOnly, Interface};
    let nic = NetworkInterface::new;
    let mut public = nic(0, 0, Efa);
    public.associate_public_ip_address = Some(true);
    let mut addressed = nic(0, 1, EfaOnly);
    addressed.ipv4_address_count = Some(1);
    let cases: [(&str, Vec<NetworkInterface>); 10] = [
        ("two interfaces", vec![nic(0, 0, Efa), nic(0, 1, Interface)]),
        ("no primary", vec![nic(0, 1, Efa)]),
        ("same slot", vec![nic(0, 0, Efa), nic(0, 0, Interface)]),
        (
            "device out of range",
            vec![nic(0, 0, Efa), nic(0, 40, Interface)],
        ),
        (
            "card out of range",
            vec![nic(0, 0, Efa), nic(1, 0, Interface)],
        ),
        ("two EFAs on a card", vec![nic(0, 0, Efa), nic(0, 1, Efa)]),
        ("EFA-only primary", vec![nic(0, 0, EfaOnly)]),
        ("EFA-only with IP", vec![nic(0, 0, Interface), addressed]),
        (
            "public IP of several",
            vec![public.clone(), nic(0, 1, Interface)],
        ),
        ("public IP of one", vec![public]),
    ];
    for (what, interfaces) in cases {
        let mut launch = base.launch(what);
        launch.interfaces = interfaces;
        log.note(what, launch.dry_run(world).await);
    }
}

async fn tokens(world: &World, base: &Base, log: &mut Log) {
    let mut launch = base.launch("token");
    let first = log.note("first", launch.run(world).await).unwrap();
    let again = log.note("again", launch.run(world).await).unwrap();
    log.see("the same", first == again);
    launch.user_data = Some("#!/bin/sh".to_owned());
    log.note("another request", launch.run(world).await);
    launch.user_data = None;
    launch.subnet_id.clone_from(&base.subnets[1]);
    let elsewhere = log.note("another zone", launch.run(world).await).unwrap();
    log.see("the same", first == elsewhere);
    log.note("terminate", world.aws().terminate_instances(&first).await);
    world.pass().await;
    launch.subnet_id.clone_from(&base.subnets[0]);
    log.note("terminated", launch.run(world).await);
}

async fn a_life(world: &World, base: &Base, log: &mut Log) {
    let aws = world.aws();
    let group_id = aws
        .create_security_group(&group(base, "life"))
        .await
        .unwrap();
    let mut launch = base.launch("life");
    launch.counts = (2, 2);
    launch.group_id.clone_from(&group_id);
    launch.interfaces = vec![
        NetworkInterface::new(0, 0, InterfaceType::Interface),
        NetworkInterface::new(0, 1, InterfaceType::EfaOnly),
    ];
    let request = launch.run(world).await;
    let ids = log.note("launch", request).unwrap();
    let mine = [Filter::any("instance-id", ids.iter())];
    world.pass().await;
    let mut running = aws.describe_instances(&mine).await.unwrap();
    running.sort_by_key(|instance| instance.launch_index);
    for instance in &running {
        log.see("state", instance.state.as_str());
        log.see("index", instance.launch_index);
        log.see("tags", &instance.tags);
        log.see("IMDSv2", instance.imds_v2_required);
        log.see("lifecycle", &instance.lifecycle);
        log.see("address", instance.private_ip_address.is_some());
        for interface in &instance.interfaces {
            let seen = (
                interface.network_card_index,
                interface.device_index,
                interface.interface_type.as_str(),
                interface.private_ip_address.is_some(),
                interface.delete_on_termination,
                interface.group_ids == [group_id.clone()],
            );
            log.see("interface", seen);
        }
    }
    let by_group = [Filter::new("instance.group-id", &group_id)];
    log.see(
        "by group",
        aws.describe_instances(&by_group).await.unwrap().len(),
    );
    log.see(
        "topology",
        aws.describe_instance_topology(&ids).await.unwrap().len(),
    );
    log.note("group in use", aws.delete_security_group(&group_id).await);
    log.note("terminate", aws.terminate_instances(&ids).await);
    log.note("terminate again", aws.terminate_instances(&ids).await);
    log.note(
        "group still in use",
        aws.delete_security_group(&group_id).await,
    );
    world.pass().await;
    let ended = aws.describe_instances(&mine).await.unwrap();
    log.see(
        "ended",
        ended.iter().map(|i| i.state.as_str()).collect::<Vec<_>>(),
    );
    log.see(
        "interfaces",
        ended.iter().map(|i| i.interfaces.len()).sum::<usize>(),
    );
    log.note("group", aws.delete_security_group(&group_id).await);
    let unknown = ["i-0123456789abcdef0".to_owned()];
    log.note("unknown", aws.terminate_instances(&unknown).await);
}

async fn room(world: &World, base: &Base, log: &mut Log) {
    world.set_capacity(&base.zones[0], 2);
    let mut launch = base.launch("much");
    launch.counts = (3, 3);
    log.note("too many", launch.run(world).await);
    launch.counts = (1, 3);
    let some = launch.run(world).await;
    log.see("as many as fit", log_len(&some));
    launch.token = "more".to_owned();
    launch.counts = (1, 1);
    log.note("full", launch.run(world).await);
    launch.subnet_id.clone_from(&base.subnets[1]);
    log.note("another zone", launch.run(world).await);
    world.set_quota("L-1216C47A", 3 * 72);
    launch.token = "quota".to_owned();
    log.note("over the quota", launch.run(world).await);
    let subnet = [Filter::new("subnet-id", &base.subnets[1])];
    let aws = world.aws();
    let free = aws.describe_subnets(&subnet).await.unwrap()[0].available_ip_address_count;
    log.see("free addresses", free);
}

fn log_len(result: &Result<Vec<String>>) -> Option<usize> {
    result.as_ref().ok().map(Vec::len)
}

async fn addresses(world: &World, base: &Base, log: &mut Log) {
    let aws = world.aws();
    let mut launch = base.launch("address");
    launch
        .interfaces
        .push(NetworkInterface::new(0, 1, InterfaceType::Interface));
    launch.run(world).await.unwrap();
    world.pass().await;
    let live = [Filter::new("instance-state-name", "running")];
    let instance = aws.describe_instances(&live).await.unwrap().remove(0);
    let nic = &instance.interfaces[0].network_interface_id;
    let tags = Tags::from([("team".to_owned(), "ml".to_owned())]);
    let one = log
        .note("allocate", aws.allocate_address(&tags).await)
        .unwrap();
    let two = aws.allocate_address(&some_tags()).await.unwrap();
    log.note(
        "associate",
        aws.associate_address(&one.allocation_id, nic).await,
    );
    log.note(
        "another takes its place",
        aws.associate_address(&two.allocation_id, nic).await,
    );
    let by_tag = [Filter::tag("team", "ml")];
    let shown = aws.describe_addresses(&by_tag).await.unwrap().remove(0);
    log.see(
        "the first is free",
        (shown.association_id.is_none(), shown.instance_id),
    );
    let by_id = [Filter::new("allocation-id", &two.allocation_id)];
    let shown = aws.describe_addresses(&by_id).await.unwrap().remove(0);
    log.see(
        "the second is on it",
        shown.network_interface_id.as_ref() == Some(nic),
    );
    let on = aws.describe_instances(&live).await.unwrap().remove(0);
    log.see("shown", on.interfaces[0].public_ip == Some(two.public_ip));
    let association = shown.association_id.unwrap();
    log.note("disassociate", aws.disassociate_address(&association).await);
    log.note("again", aws.disassociate_address(&association).await);
    log.note("release", aws.release_address(&two.allocation_id).await);
    log.note(
        "release again",
        aws.release_address(&two.allocation_id).await,
    );
    log.note("gone", aws.associate_address(&two.allocation_id, nic).await);
    let unknown = "eni-0123456789abcdef0";
    log.note(
        "no interface",
        aws.associate_address(&one.allocation_id, unknown).await,
    );
    log.note("delete", aws.delete_network_interface(unknown).await);
}

async fn commands(world: &World, base: &Base, log: &mut Log) {
    let aws = world.aws();
    let ids = base.launch("plain").run(world).await.unwrap();
    world.pass().await;
    let limit = Duration::from_secs(60);
    log.see("online", aws.online_instances(&ids).await.unwrap().len());
    log.note("send", aws.send_command(&ids, "true", limit).await);
    let command = "01234567-0123-0123-0123-0123456789ab";
    log.note(
        "invocation",
        aws.get_command_invocation(command, &ids[0]).await,
    );
    log.note("cancel", aws.cancel_command(command).await);
    let mut spec = base.spec("train", 2);
    spec.instance_profile = InstanceProfileChoice::Make(InstanceRole::default());
    let client = world.client();
    client
        .apply(&client.plan(&spec).await.unwrap())
        .await
        .unwrap();
    let options = run_command::Options::default();
    let report = client.run_command("train", "true", &options).await.unwrap();
    for node in &report.nodes {
        log.see(
            "node",
            (node.status, node.exit_code, &node.stdout, node.truncated),
        );
    }
}

async fn eventual(world: &World, base: &Base, log: &mut Log) {
    let aws = world.aws();
    world.set_eventual(2);
    let id = aws
        .create_security_group(&group(base, "new"))
        .await
        .unwrap();
    log.note(
        "taken",
        aws.create_security_group(&group(base, "new")).await,
    );
    let rule = Rule::all_traffic_with_group(&id);
    for what in ["first", "second", "third"] {
        let result = aws
            .authorize_security_group(&id, Direction::Ingress, &rule)
            .await;
        log.note(what, result);
    }
    aws.create_cluster_placement_group("new", &some_tags())
        .await
        .unwrap();
    for what in ["first", "second", "third"] {
        let shown = aws.describe_placement_groups(&[]).await.unwrap();
        log.see(what, shown.iter().any(|group| group.group_name == "new"));
    }
    let address = aws.allocate_address(&some_tags()).await.unwrap();
    for what in ["first", "second", "third"] {
        log.see(what, aws.describe_addresses(&[]).await.unwrap().len());
    }
    log.note("release", aws.release_address(&address.allocation_id).await);
    let ids = base.launch("new").run(world).await.unwrap();
    for what in ["first", "second", "third"] {
        log.note(what, aws.terminate_instances(&ids).await);
    }
}

async fn verbs(world: &World, base: &Base, log: &mut Log) {
    let client = world.client();
    let mut spec = base.spec("train", 2);
    spec.public_ip = PublicIp::ElasticIp;
    spec.ssh_cidrs = vec!["203.0.113.7/32".to_owned()];
    let mut role = InstanceRole::default();
    role.scripts_bucket = Some("scripts".to_owned());
    role.cloudwatch_logs = true;
    spec.instance_profile = InstanceProfileChoice::Make(role);
    let plan = client.plan(&spec).await.unwrap();
    let report = client.preflight(&plan).await.unwrap();
    for check in &report.checks {
        log.see(&check.name, check.status);
    }
    log.note("verify before", client.verify("train").await);
    log.note("prepare", client.prepare(&plan).await);
    let cluster = log.note("apply", client.apply(&plan).await).unwrap();
    log.see("instances", cluster.instances.len());
    let again = client.apply(&plan).await.unwrap();
    log.see("again", again == cluster);
    log.see("verify", client.verify("train").await.unwrap().findings);
    log.see(
        "verify plan",
        client.verify_plan(&plan).await.unwrap().findings,
    );
    spec.count = 3;
    let larger = client.plan(&spec).await.unwrap();
    log.note("larger", client.apply(&larger).await);
    let grown = log.note("grow", client.grow(&larger).await).unwrap();
    log.see("instances", grown.instances.len());
    let clusters = client.clusters().await.unwrap();
    let kinds = clusters.iter().flat_map(|cluster| &cluster.resources);
    log.see(
        "clusters",
        kinds.map(|r| &r.resource_type).collect::<Vec<_>>(),
    );
    let topology = client.topology("train").await.unwrap();
    log.see("distance", topology.distance(0, 2));
    let removed = client.destroy("train").await.unwrap().removed;
    let mut kinds: Vec<&String> = removed.iter().map(|r| &r.resource_type).collect();
    kinds.sort();
    log.see("removed", kinds);
    log.see("left", client.destroy("train").await.unwrap().removed.len());
    spec.instance_type = SMALL.to_owned();
    world.set_capacity(&base.zones[0], 0);
    spec.count = 1;
    let full = client.plan(&spec).await.unwrap();
    let error = client.apply(&full).await.unwrap_err();
    log.see("full", (error.code(), error.ec2_code()));
    let mut left: Vec<&String> = error.leftovers().iter().map(|l| &l.resource_type).collect();
    left.sort();
    log.see("leftovers", left);
    log.note("destroy", client.destroy("train").await);
}
