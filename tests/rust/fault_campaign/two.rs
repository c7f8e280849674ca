//! Two faults in a row: every pair of (call, kind), for each verb that changes AWS.
//!
//! The first fault strikes the first call of its name, the second the next call of its own name
//! after that: later in the same run, or in the run of another client that finishes the job. Kinds
//! that do the same to AWS and to the verb are one kind here, since the error's words are proved for
//! each kind alone in `fault_campaign.rs`: "refused" stands for throttled, unreachable and killed
//! before, which end a run and change nothing; "lost, then refused" for a reply that is lost. To a
//! call that only reads, a lost reply is a call that never arrived. Calls are counted by name: one
//! of each.

use std::collections::BTreeSet;

use efa_core::testing::{Call, Failing, FakeAws, Fault};

use super::{Plans, State, Verb, applies, check, ids};

const VERBS: [Verb; 5] = [
    Verb::Apply,
    Verb::Grow,
    Verb::Replace,
    Verb::Shrink,
    Verb::Destroy,
];

type Strike = (Call, Fault);

fn kinds(call: Call) -> Vec<Fault> {
    let mut kinds = vec![Fault::refused("UnauthorizedOperation"), Fault::NotFound];
    if call.changes() {
        kinds.extend([
            Fault::SentTwice,
            Fault::lost_then_refused("RequestLimitExceeded"),
            Fault::HangsAfter,
        ]);
    }
    kinds
}

#[tokio::test]
async fn two_faults_in_a_row_at_every_pair_of_calls() {
    let plans = Plans::new().await;
    let (mut pairs, mut wrong) = (0, Vec::new());
    for verb in VERBS {
        let undisturbed = plans.region_for(verb);
        plans.run(verb, &undisturbed).await.unwrap();
        let calls: BTreeSet<Call> = undisturbed.sent().into_iter().collect();
        let done = State::of(undisturbed.inner());
        let strikes: Vec<Strike> = calls
            .iter()
            .flat_map(|call| kinds(*call).into_iter().map(|kind| (*call, kind)))
            .filter(|(call, kind)| applies(verb, *call, kind))
            .collect();
        for first in &strikes {
            for second in &strikes {
                pairs += 1;
                if let Err(why) = pair(&plans, verb, [first, second], &done).await {
                    wrong.push(format!("{verb:?}: {first:?}, then {second:?}: {why}"));
                }
            }
        }
        println!(
            "{verb:?}: {} faults, {} pairs",
            strikes.len(),
            strikes.len().pow(2)
        );
    }
    println!("two faults in a row: {pairs} pairs");
    assert!(pairs > 9_000, "{pairs}");
    let shown: Vec<&String> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} pairs: {shown:#?}", wrong.len());
}

/// One pair: other clients finish the job, and nothing is left, made twice or lost.
async fn pair(
    plans: &Plans,
    verb: Verb,
    strikes: [&Strike; 2],
    done: &State,
) -> Result<(), String> {
    let aws = plans.region_for(verb);
    order(&aws, strikes);
    let mut runs = 0;
    loop {
        runs += 1;
        check(runs <= 3, || "three clients did not finish it".to_owned())?;
        let struck = aws.struck();
        let ended = tokio::select! {
            biased;
            result = plans.run(verb, &aws) => match result {
                Ok(()) => break,
                Err(error) => {
                    let text = error.to_string();
                    check(error.cure().is_some(), || format!("no cure: {text}"))?;
                    let there = ids(&aws.inner().resources());
                    let listed = ids(error.leftovers());
                    check(listed.is_subset(&there), || format!("not there: {listed:?}"))?;
                    let unread = error.context_value("leftovers_unread");
                    let made = &there - &plans.others;
                    check(unread.is_some() || made.is_subset(&listed), || {
                        format!("not listed: {:?}: {text}", &made - &listed)
                    })
                }
            },
            () = hangs(&aws, struck, strikes) => Ok(()),
        };
        ended?;
    }
    if strikes[0].0 == Call::AllocateAddress {
        // The call has no token: an address too many is released once EC2 lists it.
        aws.reset();
        plans.run(verb, &aws).await.map_err(|e| e.to_string())?;
    }
    done.same(&State::of(aws.inner()), "the end state differs")?;
    aws.reset();
    aws.client()
        .destroy(super::NAME)
        .await
        .map_err(|error| format!("destroy: {error}"))?;
    let left = ids(&aws.inner().resources());
    check(left == plans.others, || format!("left: {left:?}"))
}

/// The first fault, and after it the second.
fn order(aws: &Failing<FakeAws>, [first, second]: [&Strike; 2]) {
    let mut coming = vec![second.clone(), first.clone()];
    aws.fail_when(move |sent| {
        let (call, _) = coming.last()?;
        if *call != sent.call {
            return None;
        }
        coming.pop().map(|(_, fault)| fault)
    });
}

/// Ends when one more fault has struck and its call hangs.
async fn hangs(aws: &Failing<FakeAws>, before: usize, strikes: [&Strike; 2]) {
    loop {
        let struck = aws.struck();
        let last = struck.checked_sub(1).map(|index| &strikes[index].1);
        if struck > before && matches!(last, Some(Fault::HangsAfter)) {
            return;
        }
        tokio::task::yield_now().await;
    }
}
