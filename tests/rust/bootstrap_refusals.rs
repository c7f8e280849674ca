//! What the bootstrap refuses to install, and how it reports what failed.

use efa_core::spec::Bootstrap;

use crate::bootstrap_machine::Machine;
use crate::bootstrap_release::{EXPIRED, OTHER_KEY, Release, VERSION};
use crate::{AL2023, UBUNTU, failed, ok, tagged, user_data};

/// A failure is reported, and nothing of the installer ran.
fn assert_refused(machine: &Machine, user_data: &str, stage: &str, reason: &str) {
    assert!(!machine.first_boot(user_data));
    assert_eq!(machine.state(), failed(stage, reason));
    assert_eq!(machine.calls_of("installer"), [""; 0]);
    assert_eq!(
        machine.calls_of("aws"),
        [tagged(&format!("failed {stage}"))]
    );
    assert_eq!(machine.next_boot(), 0);
}

#[test]
fn another_checksum_than_the_pinned_one_is_refused() {
    let Some(machine) = Machine::new("checksum", AL2023) else {
        return;
    };
    let mut bootstrap = machine.serve(&Release::default());
    bootstrap.installer.sha256 = "0".repeat(64);
    let reason = "the SHA-256 is not the pinned one";
    assert_refused(&machine, &user_data(&bootstrap), "checksum", reason);
}

/// The checksum fits in each of these: the signature alone must stop them.
#[test]
fn a_signature_that_is_not_the_pinned_keys_is_refused() {
    let tampered = Release {
        tampered: true,
        ..Release::default()
    };
    let by = |signer| Release {
        signer,
        ..Release::default()
    };
    let another = "signed by another key than the pinned one";
    let cases = [
        ("tampered", tampered, "no good signature"),
        ("another key", by(&OTHER_KEY), another),
        ("expired", by(&EXPIRED), "no good signature"),
    ];
    for (name, release, reason) in cases {
        let Some(machine) = Machine::new(name, AL2023) else {
            return;
        };
        let mut bootstrap = machine.serve(&release);
        if name == "expired" {
            bootstrap.installer.key_fingerprint = EXPIRED.fingerprint.clone();
        }
        assert_refused(&machine, &user_data(&bootstrap), "signature", reason);
    }
}

#[test]
fn a_missing_signature_is_refused() {
    let Some(machine) = Machine::new("unsigned", AL2023) else {
        return;
    };
    let bootstrap = machine.serve(&Release {
        signature: false,
        ..Release::default()
    });
    let reason = format!("could not fetch aws-efa-installer-{VERSION}.tar.gz.sig");
    assert_refused(&machine, &user_data(&bootstrap), "download", &reason);
}

#[test]
fn a_site_that_does_not_answer_is_said() {
    let Some(machine) = Machine::new("no-site", AL2023) else {
        return;
    };
    let reason = "could not fetch aws-efa-installer-1.47.0.tar.gz";
    let script = user_data(&Bootstrap::default());
    assert_refused(&machine, &script, "download", reason);
}

#[test]
fn a_site_with_an_untrusted_certificate_is_refused() {
    let Some(machine) = Machine::new("untrusted", AL2023) else {
        return;
    };
    let mut bootstrap = machine.serve(&Release::default());
    bootstrap.installer.base_url = "https://localhost".to_owned();
    let reason = format!("could not fetch aws-efa-installer-{VERSION}.tar.gz");
    assert_refused(&machine, &user_data(&bootstrap), "download", &reason);
}

#[test]
fn an_installer_that_fails_is_said_and_not_tried_at_each_boot() {
    let Some(machine) = Machine::new("installer-fails", UBUNTU) else {
        return;
    };
    let bootstrap = machine.serve(&Release::default());
    machine.sh("touch /fail/installer");
    assert!(!machine.first_boot(&user_data(&bootstrap)));
    assert_eq!(
        machine.state(),
        failed("install", "efa_installer.sh failed")
    );
    assert_eq!(machine.calls_of("aws"), [tagged("failed install")]);
    assert_eq!(machine.next_boot(), 0);
}

#[test]
fn an_extra_script_that_fails_is_the_bootstraps_failure() {
    let Some(machine) = Machine::new("extra-fails", AL2023) else {
        return;
    };
    let mut bootstrap = machine.serve(&Release::default());
    bootstrap.extra_script = Some("exit 42".to_owned());
    assert!(!machine.first_boot(&user_data(&bootstrap)));
    assert_eq!(machine.state(), failed("extra-script", "exit status 42"));
}

#[test]
fn a_signal_is_never_a_success() {
    // SIGINT is for the foreground: bash goes on where the program that got it too ends well.
    for signal in ["TERM", "HUP"] {
        // While something is fetched: curl ends the script that started it, and goes on a while.
        let Some(machine) = Machine::new(&format!("signal-download-{signal}"), AL2023) else {
            return;
        };
        let bootstrap = machine.serve(&Release::default());
        machine.sh(&format!(
            "printf '#!/bin/bash\\n[[ $* == *169.254* ]] && exit 1\\nkill -{signal} $PPID; sleep 1\\n' \
             >/usr/local/sbin/curl; chmod 755 /usr/local/sbin/curl"
        ));
        assert!(!machine.first_boot(&user_data(&bootstrap)), "{signal}");
        let [state, stage, reason] = machine.state();
        assert_eq!(
            (state.as_str(), stage.as_str()),
            ("failed", "download"),
            "{signal}"
        );
        assert!(!reason.is_empty(), "{signal}");
        assert_eq!(machine.calls_of("installer"), [""; 0]);

        let Some(machine) = Machine::new(&format!("signal-extra-{signal}"), AL2023) else {
            return;
        };
        let mut bootstrap = machine.serve(&Release::default());
        bootstrap.extra_script = Some(format!("kill -{signal} $PPID; sleep 1"));
        assert!(!machine.first_boot(&user_data(&bootstrap)), "{signal}");
        let [state, stage, reason] = machine.state();
        assert_eq!(
            (state.as_str(), stage.as_str()),
            ("failed", "extra-script"),
            "{signal}"
        );
        assert!(!reason.is_empty(), "{signal}");
    }
}

#[test]
fn two_at_once_do_not_disturb_each_other() {
    let Some(machine) = Machine::new("two-at-once", AL2023) else {
        return;
    };
    let mut bootstrap = machine.serve(&Release::default());
    bootstrap.extra_script = Some(
        "\"/var/lib/cloud/instance/scripts/part-001\" >/second 2>&1; echo \"second $?\" >>/calls"
            .to_owned(),
    );
    assert!(
        machine.first_boot(&user_data(&bootstrap)),
        "{}",
        machine.log()
    );
    assert_eq!(machine.calls_of("second"), ["second 75"]);
    assert!(machine.read("second").contains("another bootstrap runs"));
    assert_eq!(machine.calls_of("installer").len(), 1);
    assert_eq!(machine.state(), ok());
}

#[test]
fn a_disk_that_is_full_is_said_and_leaves_no_empty_state() {
    let Some(machine) = Machine::new("disk-full", AL2023) else {
        return;
    };
    let mut bootstrap = machine.serve(&Release::default());
    // The state's directory is a file system of 2 MiB, and the extra script fills it.
    bootstrap.extra_script = Some(
        "cat /dev/zero >/var/lib/efa-sdk/work/fill 2>/dev/null; cp /etc/passwd /var/lib/efa-sdk/x"
            .to_owned(),
    );
    let script = user_data(&bootstrap);
    let output = machine.sh(&format!(
        "mkdir -p /var/lib/efa-sdk && mount -t tmpfs -o size=4m full /var/lib/efa-sdk && \
         cat >/script <<'SCRIPT_ENDS'\n{script}\nSCRIPT_ENDS\n\
         bash /script; echo \"status $?\"; cat /var/lib/efa-sdk/bootstrap.json"
    ));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("status 1"), "{printed}{}", machine.log());
    assert!(printed.contains("\"state\":\"failed\""), "{printed}");
    assert!(printed.contains("the disk is full"), "{printed}");
}

#[test]
fn a_reboot_that_fails_is_a_failure() {
    let Some(machine) = Machine::new("reboot-fails", AL2023) else {
        return;
    };
    let bootstrap = machine.serve(&Release::default());
    machine.sh("touch /fake/asks /fail/reboot");
    assert!(!machine.first_boot(&user_data(&bootstrap)));
    assert_eq!(machine.state(), failed("reboot", "the reboot failed"));
    assert_eq!(machine.next_boot(), 0);
}

#[test]
fn a_relative_path_is_as_good_and_a_pipe_says_that_it_cannot_go_on() {
    let Some(machine) = Machine::new("relative", AL2023) else {
        return;
    };
    let bootstrap = machine.serve(&Release::default());
    let place = |bootstrap: &Bootstrap| {
        format!(
            "mkdir -p /srv && cd /srv && cat >script.sh <<'SCRIPT_ENDS'\n{}\nSCRIPT_ENDS\n",
            user_data(bootstrap)
        )
    };
    machine.sh("touch /fake/asks");
    assert!(
        machine
            .sh(&format!("{} bash script.sh", place(&bootstrap)))
            .status
            .success()
    );
    assert_eq!(
        machine.state()[..2],
        ["rebooting", "reboot"],
        "{}",
        machine.log()
    );
    machine.sh("rm /fake/asks");
    assert_eq!(machine.next_boot(), 1);
    assert_eq!(machine.state(), ok(), "{}", machine.log());

    let Some(machine) = Machine::new("piped", AL2023) else {
        return;
    };
    let bootstrap = machine.serve(&Release::default());
    machine.sh("touch /fake/asks");
    assert!(
        !machine
            .sh(&format!("{} bash <script.sh", place(&bootstrap)))
            .status
            .success()
    );
    let [state, stage, reason] = machine.state();
    assert_eq!(
        (state.as_str(), stage.as_str()),
        ("failed", "reboot"),
        "{}",
        machine.log()
    );
    assert!(reason.contains("no file"), "{reason}");
}

#[test]
fn another_system_is_refused_unless_its_image_has_efa() {
    let Some(machine) = Machine::new("other-system", "ID=rocky\nVERSION_ID=9.4\n") else {
        return;
    };
    let script = user_data(&Bootstrap::default());
    assert_refused(
        &machine,
        &script,
        "tools",
        "neither Amazon Linux 2023 nor Ubuntu",
    );
    machine.sh(
        "mkdir -p /opt/amazon/efa/bin; cp /bin/true /opt/amazon/efa/bin/fi_info;
         echo '# EFA installer version: 1.47.0' >/opt/amazon/efa_installed_packages;
         touch /fake/module",
    );
    assert!(machine.first_boot(&script));
    assert_eq!(machine.state(), ok());
}
