//! Every call of the verbs that change AWS, disturbed in every way: what is healed, and what the
//! error states. Proof by exhaustion, on the AWS in memory.
//!
//! After each disturbance another client finishes the job. The end state is then that of an
//! undisturbed run, nothing is left after `destroy`, and nothing of another owner has changed. What
//! the SDK decides (how often it sends a call again, what it makes of a lost connection) is tested
//! over HTTP, in `tests/python/test_fault_matrix.py`.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use efa_core::ec2::Tags;
use efa_core::error::{Code, Leftover};
use efa_core::layout::PublicIp;
use efa_core::provision::Shrink;
use efa_core::spec::{InstanceProfileChoice, InstanceRole};
use efa_core::testing::{Call, Failing, FakeAws, Fault};
use efa_core::{ClusterSpec, Error, Plan};

#[path = "fault_campaign/two.rs"]
mod two;

const SMALL: &str = "c5n.18xlarge";
const NAME: &str = "train";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Prepare,
    Apply,
    Grow,
    Replace,
    Shrink,
    Destroy,
}

const VERBS: [Verb; 6] = [
    Verb::Prepare,
    Verb::Apply,
    Verb::Grow,
    Verb::Replace,
    Verb::Shrink,
    Verb::Destroy,
];

fn faults() -> [(&'static str, Fault); 9] {
    [
        ("refused", Fault::refused("UnauthorizedOperation")),
        ("throttled", Fault::Throttled),
        ("unreachable", Fault::Unreachable),
        ("reply lost", Fault::ReplyLost),
        ("sent twice", Fault::SentTwice),
        (
            "lost, then refused",
            Fault::lost_then_refused("UnauthorizedOperation"),
        ),
        ("not found", Fault::NotFound),
        ("killed before", Fault::Hangs),
        ("killed after", Fault::HangsAfter),
    ]
}

/// A cluster with everything that `apply` can make.
fn full_spec(aws: &FakeAws, count: u32) -> ClusterSpec {
    let mut spec = aws.spec(NAME, SMALL, count);
    spec.public_ip = PublicIp::ElasticIp;
    spec.volume_size_gib = Some(100);
    spec.user_data = Some("#!/bin/sh\ntrue\n".to_owned());
    spec.ssh_cidrs = vec!["203.0.113.7/32".to_owned()];
    spec.tags = Tags::from([("team".to_owned(), "ml".to_owned())]);
    let mut role = InstanceRole::default();
    role.scripts_bucket = Some("scripts".to_owned());
    spec.instance_profile = InstanceProfileChoice::Make(role);
    spec
}

/// A region with resources of others in it: another cluster whose name begins like this one's.
async fn region(other: &Plan) -> FakeAws {
    let aws = FakeAws::new();
    aws.client().apply(other).await.unwrap();
    aws.add_security_group("train", Tags::new());
    aws
}

/// The plans of the smaller and of the whole cluster, and what the verbs find.
struct Plans {
    /// The region without the cluster.
    empty: FakeAws,
    /// The region with the smaller cluster.
    running: FakeAws,
    small: Plan,
    whole: Plan,
    /// The node that is replaced: ids are the same in every region.
    named: Vec<String>,
    others: BTreeSet<String>,
}

impl Plans {
    async fn new() -> Self {
        let aws = FakeAws::new();
        let other = aws
            .client()
            .plan(&aws.spec("train-2", SMALL, 1))
            .await
            .unwrap();
        let aws = region(&other).await;
        let others = ids(&aws.resources());
        let small = aws.client().plan(&full_spec(&aws, 2)).await.unwrap();
        let whole = aws.client().plan(&full_spec(&aws, 3)).await.unwrap();
        let running = aws.fork();
        let cluster = running.client().apply(&small).await.unwrap();
        Self {
            empty: aws,
            running,
            small,
            whole,
            named: vec![cluster.instances[0].instance_id.clone()],
            others,
        }
    }

    /// What the verb finds.
    fn region_for(&self, verb: Verb) -> Failing<FakeAws> {
        Failing::new(match verb {
            Verb::Prepare | Verb::Apply => self.empty.fork(),
            Verb::Grow | Verb::Destroy | Verb::Replace | Verb::Shrink => self.running.fork(),
        })
    }

    async fn run(&self, verb: Verb, aws: &Failing<FakeAws>) -> Result<(), Error> {
        let client = aws.client();
        match verb {
            Verb::Prepare => client.prepare(&self.small).await.map(drop),
            Verb::Apply => client.apply(&self.small).await.map(drop),
            Verb::Grow => client.grow(&self.whole).await.map(drop),
            Verb::Replace => client.replace(NAME, &self.named).await.map(drop),
            Verb::Shrink => client.shrink(NAME, &Shrink::To(1)).await.map(drop),
            Verb::Destroy => client.destroy(NAME).await.map(drop),
        }
    }
}

#[tokio::test]
async fn every_call_of_every_verb_under_every_fault() {
    let plans = Plans::new().await;
    let (mut cells, mut wrong, mut outcomes) = (0, Vec::new(), BTreeMap::new());
    for verb in VERBS {
        let undisturbed = plans.region_for(verb);
        plans.run(verb, &undisturbed).await.unwrap();
        let calls = undisturbed.sent();
        let done = State::of(undisturbed.inner());
        for (number, call) in (1..).zip(&calls) {
            for (kind, fault) in faults() {
                if !applies(verb, *call, &fault) {
                    continue;
                }
                cells += 1;
                match cell(&plans, verb, number, &fault, &done).await {
                    Ok(outcome) => *outcomes.entry(outcome).or_insert(0) += 1,
                    Err(why) => wrong.push(format!(
                        "{verb:?}, call {number} ({}), {kind}: {why}",
                        call.action()
                    )),
                }
            }
        }
        println!("{verb:?}: {} calls", calls.len());
    }
    println!("fault campaign: {cells} cells: {outcomes:?}");
    assert!(cells > 600, "{cells}");
    assert!(
        wrong.is_empty(),
        "{} cells:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Whether the fault can happen at this call: only what was made in the same run may be unseen.
fn applies(verb: Verb, call: Call, fault: &Fault) -> bool {
    let makes = matches!(verb, Verb::Prepare | Verb::Apply);
    let names_none = [
        Call::CreateSecurityGroup,
        Call::CreatePlacementGroup,
        Call::CreateRole,
        Call::CreateInstanceProfile,
        Call::AllocateAddress,
    ];
    // What was there before is seen; a change of it may be refused by a part of EC2 that is late.
    let late = call.changes() && call != Call::RunInstances && !matches!(verb, Verb::Grow);
    *fault != Fault::NotFound || ((makes || late) && !names_none.contains(&call))
}

/// One call disturbed in one way, and all that must hold after it.
async fn cell(
    plans: &Plans,
    verb: Verb,
    number: usize,
    fault: &Fault,
    done: &State,
) -> Result<&'static str, String> {
    let aws = plans.region_for(verb);
    let others = &plans.others;
    let strike = fault.clone();
    aws.fail_when(move |sent| (sent.number == number).then(|| strike.clone()));
    let outcome = tokio::select! {
        biased;
        result = plans.run(verb, &aws) => match result {
            Ok(()) => "healed",
            Err(error) => {
                honest(fault, &aws, others, &error)?;
                "raised"
            }
        },
        () = killed(&aws, fault) => "killed",
    };
    check(aws.struck() == 1, || "the fault did not strike".to_owned())?;
    let passing = matches!(fault, Fault::SentTwice | Fault::NotFound);
    check(!passing || outcome == "healed", || outcome.to_owned())?;
    if outcome == "healed" {
        done.same(&State::of(aws.inner()), "what the verb calls done is not")?;
    }
    aws.reset();
    plans
        .run(verb, &aws)
        .await
        .map_err(|error| format!("again: {error}"))?;
    done.same(&State::of(aws.inner()), "another client did not heal it")?;
    if !matches!(verb, Verb::Prepare | Verb::Destroy) {
        let report = aws.client().verify(NAME).await.map_err(|e| e.to_string())?;
        check(report.is_as_planned(), || report.to_string())?;
    }
    aws.client()
        .destroy(NAME)
        .await
        .map_err(|error| format!("destroy: {error}"))?;
    let left = ids(&aws.inner().resources());
    check(left == *others, || format!("left after destroy: {left:?}"))?;
    Ok(outcome)
}

/// Ends when a call hangs that will never be answered.
async fn killed(aws: &Failing<FakeAws>, fault: &Fault) {
    if !matches!(fault, Fault::Hangs | Fault::HangsAfter) {
        std::future::pending::<()>().await;
    }
    while aws.struck() == 0 {
        tokio::task::yield_now().await;
    }
}

/// The error states what happened, and no more.
fn honest(
    fault: &Fault,
    aws: &Failing<FakeAws>,
    others: &BTreeSet<String>,
    error: &Error,
) -> Result<(), String> {
    let text = error.to_string();
    check(!text.contains('\n') && error.cure().is_some(), || {
        text.clone()
    })?;
    let sent = aws.sent();
    let changing = |call: &Call| call.changes() || *call == Call::DryRunInstances;
    check(
        error.may_have_changed_aws() == sent.iter().any(changing),
        || format!("may have changed AWS is wrong: {text}"),
    )?;
    if matches!(error.code(), Code::Ec2Unreachable) {
        check(error.is_retryable(), || format!("not retryable: {text}"))?;
    }
    let there = ids(&aws.inner().resources());
    let made = &there - others;
    let listed = ids(error.leftovers());
    check(listed.len() == error.leftovers().len(), || {
        "listed twice".to_owned()
    })?;
    check(listed.is_subset(&made), || {
        format!("not there: {:?}", &listed - &made)
    })?;
    // What exists is looked up, so that the effect of a call that never answered is listed too.
    check(made.is_subset(&listed), || {
        format!("not listed: {:?}", &made - &listed)
    })?;
    let effect = error.context_value("took_effect");
    let expected = match fault {
        Fault::LostThenRefused(..) | Fault::ReplyLost | Fault::Unreachable => Some("unknown"),
        Fault::Refused(..) | Fault::Throttled => Some("no"),
        _ => effect,
    };
    check(effect.is_none() || effect == expected, || {
        format!("took effect: {effect:?}: {text}")
    })
}

fn check(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

fn ids(resources: &[Leftover]) -> BTreeSet<String> {
    let word = |one: &Leftover| format!("{} {}", one.resource_type, one.id);
    resources.iter().map(word).collect()
}

/// What is in a region, without what differs from run to run: ids and addresses.
#[derive(PartialEq, Eq)]
struct State(Vec<String>);

impl State {
    fn of(aws: &FakeAws) -> Self {
        let mut lines = Vec::new();
        for mut instance in aws.instances() {
            instance.private_ip_address = None;
            instance.public_ip_address = instance.public_ip_address.map(|_| "ip".to_owned());
            for interface in &mut instance.interfaces {
                interface.private_ip_address = None;
                interface.public_ip = interface.public_ip.take().map(|_| "ip".to_owned());
            }
            lines.push(serde_json::to_string(&instance).unwrap());
        }
        for group in aws.security_groups() {
            lines.push(serde_json::to_string(&group).unwrap());
        }
        for group in aws.placement_groups() {
            lines.push(serde_json::to_string(&group).unwrap());
        }
        for mut address in aws.addresses() {
            address.public_ip = String::new();
            lines.push(serde_json::to_string(&address).unwrap());
        }
        let roles = aws
            .resources()
            .into_iter()
            .filter(|r| r.resource_type.contains("role"));
        lines.extend(roles.map(|role| role.id));
        let mut lines: Vec<String> = lines.iter().map(|line| without_ids(line)).collect();
        lines.sort();
        Self(lines)
    }

    fn same(&self, other: &Self, complaint: &str) -> Result<(), String> {
        if self == other {
            return Ok(());
        }
        let mut why = complaint.to_owned();
        for line in other.0.iter().filter(|line| !self.0.contains(line)) {
            let _ = write!(why, "\n  too much: {line}");
        }
        for line in self.0.iter().filter(|line| !other.0.contains(line)) {
            let _ = write!(why, "\n  too little: {line}");
        }
        Err(why)
    }
}

/// A text in which every id is its kind alone.
fn without_ids(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split('"') {
        let kind = word.rsplit_once('-').filter(|(_, tail)| {
            tail.len() == 17 && tail.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        words.push(kind.map_or(word, |(kind, _)| kind));
    }
    words.join("\"")
}
