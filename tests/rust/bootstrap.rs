//! The bootstrap script really run: on a scratch machine, against a site with a signed installer.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

mod bootstrap_expiry;
mod bootstrap_instance_store;
mod bootstrap_machine;
mod bootstrap_refusals;
mod bootstrap_release;

use std::process::Command;

use bootstrap_machine::Machine;
use bootstrap_release::{Release, VERSION};
use efa_core::spec::Bootstrap;

const AL2023: &str = "NAME=\"Amazon Linux\"\nID=\"amzn\"\nVERSION_ID=\"2023\"\n";
const UBUNTU: &str = "NAME=Ubuntu\nVERSION_ID=\"24.04\"\nID=ubuntu\nID_LIKE=debian\n";
const TAG: &str = "aws ec2 create-tags --region eu-north-1 --resources i-0123456789abcdef0 --tags";

fn user_data(bootstrap: &Bootstrap) -> String {
    bootstrap.user_data("train").unwrap()
}

fn tagged(value: &str) -> String {
    format!("{TAG} Key=efa-sdk:bootstrap,Value={value}")
}

fn ok() -> [String; 3] {
    ["ok", "done", ""].map(str::to_owned)
}

fn failed(stage: &str, reason: &str) -> [String; 3] {
    ["failed", stage, reason].map(str::to_owned)
}

#[test]
fn shellcheck_finds_nothing() {
    let file = std::env::temp_dir().join(format!("efa-bootstrap-{}.sh", std::process::id()));
    let mut bootstrap = Bootstrap::default();
    bootstrap.extra_script = Some("it's \"$(x)\" `y`".to_owned());
    bootstrap.instance_store = Some("/scratch".to_owned());
    std::fs::write(&file, user_data(&bootstrap)).unwrap();
    // SC2016: what is between single quotes is meant to stay as it is.
    let shellcheck = Command::new("shellcheck")
        .args(["-e", "SC2016"])
        .arg(&file)
        .output();
    let bash = Command::new("bash").arg("-n").arg(&file).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(bash.status.success(), "{bash:?}");
    match shellcheck {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), ""),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}

#[test]
fn amazon_linux_is_made_ready_and_again_changes_nothing() {
    let Some(machine) = Machine::new("amazon-linux", AL2023) else {
        return;
    };
    let mut bootstrap = machine.serve(&Release::default());
    bootstrap.huge_pages = Some(5128);
    bootstrap.extra_script = Some("echo \"extra $PWD it's '$0'\" >>/calls".to_owned());
    let script = user_data(&bootstrap);

    assert!(machine.first_boot(&script), "{}", machine.log());
    assert_eq!(machine.state(), ok());
    let state = machine.read("var/lib/efa-sdk/bootstrap.json");
    assert!(state.contains(r#""cluster":"train","efa_installer":"1.47.3","at":"20"#));
    // The most that this machine's root may set, which in a container is not unlimited.
    let most = machine.sh("ulimit -l unlimited; echo memlock $(ulimit -l)");
    let memlock = String::from_utf8_lossy(&most.stdout).trim().to_owned();
    assert_eq!(
        machine.calls(),
        [
            "installer -y",
            &memlock,
            "systemctl daemon-reexec",
            "modprobe efa",
            "sysctl -q -p /etc/sysctl.d/99-efa-sdk.conf",
            "sysctl -n vm.nr_hugepages",
            "extra / it's 'bash'",
            &tagged(&format!("ok {VERSION}")),
        ]
    );
    let settings = "cat /etc/security/limits.d/99-efa-sdk.conf \
        /etc/systemd/system.conf.d/99-efa-sdk.conf /etc/sysctl.d/99-efa-sdk.conf";
    let settings = machine.sh(settings).stdout;
    assert_eq!(
        String::from_utf8(settings.clone()).unwrap(),
        "* - memlock unlimited\nroot - memlock unlimited\n\
         [Manager]\nDefaultLimitMEMLOCK=infinity\nvm.nr_hugepages = 5128\n"
    );
    assert_eq!(machine.next_boot(), 0);
    let left = machine.sh("cd /var/lib/efa-sdk; echo *").stdout;
    assert_eq!(left, b"bootstrap.json\n");

    assert!(machine.first_boot(&script));
    assert_eq!(machine.state(), ok());
    assert_eq!(machine.calls_of("installer").len(), 1);
    assert_eq!(machine.calls_of("reboot").len(), 0);
}

#[test]
fn ubuntu_is_made_ready_and_gets_gpg_first() {
    let Some(machine) = Machine::new("ubuntu", UBUNTU) else {
        return;
    };
    let mut bootstrap = machine.serve(&Release::default());
    bootstrap.minimal = true;
    machine.sh("mv /usr/bin/gpg /stash/gpg");
    assert!(
        machine.first_boot(&user_data(&bootstrap)),
        "{}",
        machine.log()
    );
    assert_eq!(machine.state(), ok());
    assert_eq!(
        machine.calls_of("apt-get"),
        ["apt-get update", "apt-get install -y gnupg"]
    );
    assert_eq!(machine.calls_of("installer"), ["installer -y --minimal"]);
    assert_eq!(machine.calls_of("sysctl"), [""; 0]);
}

#[test]
fn amazon_linux_without_gpg_gets_it() {
    let Some(machine) = Machine::new("amazon-linux-gpg", AL2023) else {
        return;
    };
    let bootstrap = machine.serve(&Release::default());
    machine.sh("mv /usr/bin/gpg /stash/gpg");
    assert!(
        machine.first_boot(&user_data(&bootstrap)),
        "{}",
        machine.log()
    );
    assert_eq!(machine.calls_of("dnf"), ["dnf install -y gnupg2-minimal"]);
    assert_eq!(machine.calls_of("installer").len(), 1);
}

/// What the image has, and whether the installer must run for it.
#[test]
fn what_the_image_has_already_is_skipped() {
    let cases = [
        (VERSION, "", false),
        ("1.100.0", "", false),
        ("1.47.2", "", true),
        ("1.9.0", "", true),
        ("unknown", "", true),
        (VERSION, "rm /fake/module", true),
        (VERSION, "rm /opt/amazon/efa/bin/fi_info", true),
    ];
    for (number, (version, broken, installs)) in cases.into_iter().enumerate() {
        let Some(machine) = Machine::new(&format!("has-{number}"), AL2023) else {
            return;
        };
        let bootstrap = machine.serve(&Release::default());
        machine.sh(&format!(
            "mkdir -p /opt/amazon/efa/bin; cp /bin/true /opt/amazon/efa/bin/fi_info;
             echo '# EFA installer version: {version}' >/opt/amazon/efa_installed_packages;
             touch /fake/module; {broken}"
        ));
        assert!(
            machine.first_boot(&user_data(&bootstrap)),
            "{}",
            machine.log()
        );
        let ran = !machine.calls_of("installer").is_empty();
        assert_eq!(ran, installs, "{version} {broken}");
        let now = if installs { VERSION } else { version };
        assert_eq!(machine.calls_of("aws"), [tagged(&format!("ok {now}"))]);
    }
}

#[test]
fn a_reboot_is_made_once_when_something_asks_for_it_and_then_it_goes_on() {
    let cases = [
        ("installer-asks", "touch /fake/asks", "rm /fake/asks"),
        ("system-asks", "touch /fake/system-asks", "true"),
        ("driver-waits", "touch /fail/modprobe", "rm /fail/modprobe"),
        (
            "fragmented",
            "touch /fake/fragmented",
            "echo 64 >/fake/huge-pages",
        ),
    ];
    for (name, ask, heal) in cases {
        let Some(machine) = Machine::new(name, AL2023) else {
            return;
        };
        let mut bootstrap = machine.serve(&Release::default());
        bootstrap.huge_pages = Some(64);
        bootstrap.extra_script = Some("echo extra >>/calls".to_owned());
        machine.sh(ask);
        assert!(
            machine.first_boot(&user_data(&bootstrap)),
            "{}",
            machine.log()
        );
        assert_eq!(machine.state()[..2], ["rebooting", "reboot"], "{name}");
        assert_eq!(machine.calls_of("aws"), [tagged("rebooting")]);
        assert_eq!(machine.calls_of("reboot").len(), 1, "{name}");
        assert_eq!(machine.calls_of("extra"), [""; 0]);

        machine.sh(heal);
        assert_eq!(machine.next_boot(), 1);
        assert_eq!(machine.state(), ok(), "{name}: {}", machine.log());
        assert_eq!(
            machine.calls_of("aws").last(),
            Some(&tagged(&format!("ok {VERSION}")))
        );
        for once in ["installer", "reboot", "extra"] {
            assert_eq!(machine.calls_of(once).len(), 1, "{name}: {once}");
        }
        assert_eq!(machine.next_boot(), 0);
    }
}

#[test]
fn what_a_reboot_does_not_cure_fails_without_another() {
    let cases = [
        (
            "driver-never",
            "touch /fail/modprobe",
            failed("driver", "modprobe efa fails after a reboot too"),
        ),
        (
            "fragmented-ever",
            "touch /fake/fragmented",
            failed(
                "huge-pages",
                "the kernel reserved fewer huge pages than asked for",
            ),
        ),
    ];
    for (name, break_it, expected) in cases {
        let Some(machine) = Machine::new(name, AL2023) else {
            return;
        };
        let mut bootstrap = machine.serve(&Release::default());
        bootstrap.huge_pages = Some(64);
        machine.sh(break_it);
        assert!(machine.first_boot(&user_data(&bootstrap)));
        assert_eq!(machine.next_boot(), 1);
        assert_eq!(machine.state(), expected);
        assert_eq!(machine.calls_of("reboot").len(), 1);
        assert_eq!(machine.next_boot(), 0);
    }
}

#[test]
fn without_a_tag_the_state_file_still_tells() {
    let remove = "PATH=/usr/local/sbin:/usr/local/bin:$PATH; rm -f $(type -ap aws)";
    for (name, prepare, why) in [
        ("no-permission", "touch /fail/aws", "the tag was not set"),
        ("no-aws", remove, "no aws command, so no tag"),
    ] {
        let Some(machine) = Machine::new(name, AL2023) else {
            return;
        };
        let bootstrap = machine.serve(&Release::default());
        machine.sh(prepare);
        assert!(
            machine.first_boot(&user_data(&bootstrap)),
            "{}",
            machine.log()
        );
        assert_eq!(machine.state(), ok());
        assert!(machine.log().contains(why), "{}", machine.log());
    }
}
