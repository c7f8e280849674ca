//! The timer that ends a node, really run on a scratch machine whose clock the test holds.

use std::time::Duration;

use efa_core::ClusterSpec;
use efa_core::spec::{Bootstrap, CheckedSpec};

use crate::AL2023;
use crate::bootstrap_machine::Machine;

/// 2026-11-30T12:00:00Z.
const NOON: u64 = 1_796_040_000;
const HOUR: u64 = 3600;

/// The time of day is a file's; other times are read as ever.
const DATE: &str =
    "#!/bin/bash\nif [[ $* == +%s ]]; then cat /fake/now; else exec /usr/bin/date \"$@\"; fi\n";

fn user_data(bootstrap: Option<Bootstrap>) -> String {
    let mut spec = ClusterSpec::new(
        "train",
        "p5.48xlarge",
        2,
        "subnet-0123456789abcdef0",
        "ami-0123456789abcdef0",
    );
    spec.expires_after = Some(Duration::from_secs(HOUR));
    spec.bootstrap = bootstrap;
    let checked = CheckedSpec::parse(&spec).unwrap();
    checked.rendered_user_data().unwrap().to_owned()
}

/// Whether the timer's check ends the node at this time.
fn ends_at(machine: &Machine, now: u64) -> bool {
    machine.place("fake/now", &format!("{now}\n"));
    let before = machine.calls_of("shutdown").len();
    let check = machine.sh("/usr/local/sbin/efa-sdk-expiry");
    assert!(check.status.success(), "{check:?}");
    let calls = machine.calls_of("shutdown").split_off(before);
    assert!(
        calls.is_empty() || calls == ["shutdown -h now"],
        "{calls:?}"
    );
    !calls.is_empty()
}

#[test]
fn a_node_ends_itself_at_the_time_in_its_tag() {
    let Some(machine) = Machine::new("expiry", AL2023) else {
        return;
    };
    machine.place("usr/local/sbin/date", DATE);
    machine.place("fake/now", &format!("{NOON}\n"));
    assert!(machine.first_boot(&user_data(None)));
    assert_eq!(
        machine.calls(),
        [
            "systemctl daemon-reload",
            "systemctl enable --now efa-sdk-expiry.timer"
        ]
    );
    let timer = machine.read("etc/systemd/system/efa-sdk-expiry.timer");
    assert!(timer.contains("OnCalendar=minutely") && timer.contains("WantedBy=timers.target"));

    // No tag is seen yet: an hour from the first boot, which another boot does not move.
    assert!(!ends_at(&machine, NOON + HOUR - 1));
    assert!(machine.first_boot(&user_data(None)));
    assert!(!ends_at(&machine, NOON + HOUR - 1));
    assert!(ends_at(&machine, NOON + HOUR));

    // The tag counts, once it is seen, and what is no time does not.
    machine.place("fake/expires-at", "2026-11-30T14:00:00Z");
    assert!(!ends_at(&machine, NOON + 2 * HOUR - 1));
    machine.place("fake/expires-at", "soon");
    assert!(!ends_at(&machine, NOON + 2 * HOUR - 1));
    assert!(ends_at(&machine, NOON + 2 * HOUR));

    // Extended, and then without an answer of the metadata service: the last that was read counts.
    machine.place("fake/expires-at", "2026-11-30T16:00:00Z");
    assert!(!ends_at(&machine, NOON + 2 * HOUR));
    machine.sh("rm /fake/expires-at");
    assert!(!ends_at(&machine, NOON + 4 * HOUR - 1));
    assert!(ends_at(&machine, NOON + 4 * HOUR));
}

#[test]
fn a_node_without_systemd_and_one_whose_bootstrap_fails_end_too() {
    let Some(machine) = Machine::new("expiry-fails", "ID=other\n") else {
        return;
    };
    machine.place("fail/systemctl", "");
    assert!(!machine.first_boot(&user_data(Some(Bootstrap::default()))));
    assert_eq!(machine.calls_of("shutdown"), ["shutdown -h +60"]);

    machine.sh("rm /fail/systemctl");
    assert!(!machine.first_boot(&user_data(Some(Bootstrap::default()))));
    assert_eq!(machine.state()[0], "failed");
    let calls = machine.calls_of("systemctl");
    assert_eq!(
        calls.last().unwrap(),
        "systemctl enable --now efa-sdk-expiry.timer"
    );
    assert_eq!(machine.calls_of("shutdown").len(), 1);
}
