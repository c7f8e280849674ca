//! A scratch machine to boot user data on: this machine's disk with a layer over it, a network of
//! its own, and recorders in place of the commands that would change a real machine.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use efa_core::spec::Bootstrap;
use serde_json::Value;

use crate::bootstrap_release::Release;

/// Commands that are recorded in `/calls` and fail when `/fail/<name>` exists.
const RECORDERS: &[(&str, &str)] = &[
    ("reboot", ""),
    ("shutdown", ""),
    ("systemctl", ""),
    ("aws", ""),
    ("dnf", "cp /stash/* /usr/bin/ 2>/dev/null; true"),
    ("apt-get", "cp /stash/* /usr/bin/ 2>/dev/null; true"),
    ("modinfo", "[[ -e /fake/module ]]"),
    ("modprobe", "[[ -e /fake/module ]]"),
    (
        "sysctl",
        "case $1 in
           -n) cat /fake/huge-pages ;;
           *) [[ -e /fake/fragmented ]] || grep -oE '[0-9]+$' \"${@: -1}\" >/fake/huge-pages ;;
         esac",
    ),
];

/// Why this machine cannot hold scratch machines; `None` when it can.
static OBSTACLE: LazyLock<Option<String>> = LazyLock::new(|| {
    let overlay = "mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w /mnt/m && \
         mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/m";
    let obstacle = match as_root(["unshare", "-mn", "bash", "-c", overlay]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("sudo: {error}")),
    };
    if let Some(why) = &obstacle {
        // Not eprintln, which the test harness hides.
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: the bootstrap script was not run, it needs root and mounts: {why}\n"
        );
    }
    obstacle
});

pub(crate) struct Machine {
    directory: PathBuf,
}

impl Machine {
    /// A machine with the given `/etc/os-release`, or `None` (printed) where there can be none.
    pub(crate) fn new(name: &str, os_release: &str) -> Option<Self> {
        if OBSTACLE.is_some() {
            return None;
        }
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        must(&mut as_root(["rm", "-rf", utf8(&directory)]));
        for part in ["root", "work", "upper/fake", "upper/fail", "upper/stash"] {
            fs::create_dir_all(directory.join(part)).unwrap();
        }
        let machine = Self { directory };
        machine.place("etc/os-release", os_release);
        machine.place("calls", "");
        machine.place("fake/huge-pages", "0\n");
        for (command, then) in RECORDERS {
            machine.record(command, then);
        }
        Some(machine)
    }

    /// Serves a release at the installer's address; a bootstrap that is pinned to it.
    pub(crate) fn serve(&self, release: &Release) -> Bootstrap {
        must(
            Command::new("openssl")
                .current_dir(&self.directory)
                .args(
                    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
                        .split(' '),
                )
                .args("-keyout key.pem -out certificate.pem".split(' '))
                .args(["-subj", "/CN=efa-installer.amazonaws.com"])
                .args(["-addext", "subjectAltName=DNS:efa-installer.amazonaws.com"]),
        );
        release.publish(&self.directory.join("site"))
    }

    /// Runs user data as cloud-init does on a first boot; whether it succeeded.
    pub(crate) fn first_boot(&self, user_data: &str) -> bool {
        let part = self.directory.join("part-001");
        fs::write(&part, user_data).unwrap();
        let scripts = "/var/lib/cloud/instance/scripts";
        self.sh(&format!(
            "mkdir -p {scripts} && cp '{}' {scripts} && cd {scripts} && \
             chmod 700 part-001 && {scripts}/part-001",
            utf8(&part)
        ))
        .status
        .success()
    }

    /// Runs what cloud-init runs on each later boot; how many scripts that were.
    pub(crate) fn next_boot(&self) -> usize {
        let output = self.sh("cd /; for script in /var/lib/cloud/scripts/per-boot/*; do \
             [[ -x $script ]] || continue; echo \"$script\"; \"$script\" >/dev/null; done");
        String::from_utf8_lossy(&output.stdout).lines().count()
    }

    /// Runs commands on the machine.
    pub(crate) fn sh(&self, commands: &str) -> Output {
        let python = std::env::var("EFA_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let helper = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/rust/bootstrap_machine.py"
        );
        let directory = utf8(&self.directory);
        as_root([
            "unshare", "-mn", &python, helper, directory, "bash", "-c", commands,
        ])
        .output()
        .unwrap()
    }

    /// A file that was written on the machine; empty when there is none.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.directory.join("upper").join(path)).unwrap_or_default()
    }

    /// Puts a recorder in place of a command, which then does this.
    pub(crate) fn record(&self, command: &str, then: &str) {
        let path = format!("usr/local/sbin/{command}");
        self.place(&path, &recorder(command, then));
    }

    /// What the recorders recorded.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.read("calls").lines().map(str::to_owned).collect()
    }

    /// The recorded calls of one command.
    pub(crate) fn calls_of(&self, command: &str) -> Vec<String> {
        let mut calls = self.calls();
        calls.retain(|call| call.split(' ').next() == Some(command));
        calls
    }

    /// `/var/lib/efa-sdk/bootstrap.json`: its state, stage and reason.
    pub(crate) fn state(&self) -> [String; 3] {
        let text = self.read("var/lib/efa-sdk/bootstrap.json");
        let state: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text:?}"));
        ["state", "stage", "reason"].map(|key| state[key].as_str().unwrap().to_owned())
    }

    /// The bootstrap's own log.
    pub(crate) fn log(&self) -> String {
        self.read("var/log/efa-sdk-bootstrap.log")
    }

    pub(crate) fn place(&self, path: &str, text: &str) {
        let path = self.directory.join("upper").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = as_root(["rm", "-rf", utf8(&self.directory)]).output();
    }
}

fn recorder(command: &str, then: &str) -> String {
    format!(
        "#!/bin/bash\necho \"{command} $*\" >>/calls\n[[ ! -e /fail/{command} ]] || exit 1\n{then}\n"
    )
}

fn as_root<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Command {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = Command::new(if root { "env" } else { "sudo" });
    if !root {
        command.arg("-n");
    }
    command.args(words);
    command
}

/// Runs a command that the test itself needs.
pub(crate) fn must(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}
