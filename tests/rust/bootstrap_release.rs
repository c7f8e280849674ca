//! A made-up release of the EFA installer, really signed by throw-away keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use efa_core::spec::Bootstrap;
use sha2::{Digest, Sha256};

use crate::bootstrap_machine::must;

pub(crate) const VERSION: &str = "1.47.3";
const TARBALL: &str = "aws-efa-installer-1.47.3.tar.gz";
const LONG_AGO: &str = "20200102T000000!";

/// What the real installer leaves behind and prints, where the bootstrap reads it.
const INSTALLER: &str = r#"#!/bin/bash
echo "installer $*" >>/calls
echo "memlock $(ulimit -l)" >>/calls
[[ ! -e /fail/installer ]] || exit 7
mkdir -p /opt/amazon/efa/bin
printf '# EFA installer version: %s\n# Debug packages installed: no\n' "$(cat version)" >/opt/amazon/efa_installed_packages
[[ $* == *--minimal* ]] || install -m 755 /bin/true /opt/amazon/efa/bin/fi_info
touch /fake/module
[[ ! -e /fake/system-asks ]] || touch /var/run/reboot-required
if [[ -e /fake/asks ]]; then action=reboot; else action=logout/login; fi
echo "- Please $action to complete the installation."
"#;

/// An OpenPGP key with its secret part.
pub(crate) struct Key {
    armored: Vec<u8>,
    pub(crate) fingerprint: String,
    made: Option<&'static str>,
}

/// Stands for AWS's key.
pub(crate) static AWS: LazyLock<Key> = LazyLock::new(|| Key::make("aws", "never", None));
/// A key of someone else.
pub(crate) static OTHER_KEY: LazyLock<Key> = LazyLock::new(|| Key::make("another", "never", None));
/// A key that was good for a day in 2020, when it signed.
pub(crate) static EXPIRED: LazyLock<Key> =
    LazyLock::new(|| Key::make("expired", "1d", Some(LONG_AGO)));

impl Key {
    fn make(name: &str, expires: &str, made: Option<&'static str>) -> Self {
        let keyring = Keyring::new(made);
        let make = ["--quick-gen-key", name, "ed25519", "sign", expires];
        must(keyring.gpg().args(make));
        let listed = must(keyring.gpg().args(["--with-colons", "--list-keys"]));
        let fingerprint = String::from_utf8(listed)
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix("fpr:::::::::"))
            .map(|rest| rest.trim_end_matches(':').to_owned())
            .unwrap();
        Self {
            armored: must(keyring.gpg().args(["--armor", "--export-secret-keys"])),
            fingerprint,
            made,
        }
    }

    /// Signs a file next to it, and gives the public key.
    fn sign(&self, file: &Path) -> Vec<u8> {
        let keyring = Keyring::new(self.made);
        let secret = keyring.home.join("secret");
        fs::write(&secret, &self.armored).unwrap();
        must(keyring.gpg().arg("--import").arg(&secret));
        must(keyring.gpg().args(["--yes", "--detach-sign"]).arg(file));
        must(keyring.gpg().args(["--armor", "--export"]))
    }
}

/// A GnuPG home that goes away with its agent.
struct Keyring {
    home: PathBuf,
    time: Option<&'static str>,
}

impl Keyring {
    fn new(time: Option<&'static str>) -> Self {
        // A short path: the agent's socket must fit into 108 characters.
        let made = must(Command::new("mktemp").args(["-d", "/tmp/efa-key-XXXXXX"]));
        let home = PathBuf::from(String::from_utf8(made).unwrap().trim());
        Self { home, time }
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.arg("--homedir").arg(&self.home);
        gpg.args(["--batch", "--quiet", "--passphrase", ""]);
        if let Some(time) = self.time {
            gpg.args(["--faked-system-time", time]);
        }
        gpg
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let mut agent = Command::new("gpgconf");
        let _ = agent
            .arg("--homedir")
            .arg(&self.home)
            .args(["--kill", "all"])
            .output();
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// What lies on the installer's site.
pub(crate) struct Release {
    /// Who signed the tarball.
    pub(crate) signer: &'static Key,
    /// Whether the tarball was changed after it was signed.
    pub(crate) tampered: bool,
    /// Whether the signature lies there.
    pub(crate) signature: bool,
}

impl Default for Release {
    fn default() -> Self {
        Self {
            signer: &AWS,
            tampered: false,
            signature: true,
        }
    }
}

impl Release {
    /// Writes the site's files: the tarball, its signature, and a key file that holds the signer's
    /// key next to AWS's. Gives a bootstrap that is pinned to them.
    pub(crate) fn publish(&self, site: &Path) -> Bootstrap {
        let source = site.with_file_name("aws-efa-installer");
        fs::create_dir_all(site).unwrap();
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("efa_installer.sh"), INSTALLER).unwrap();
        fs::write(source.join("version"), VERSION).unwrap();
        let tarball = site.join(TARBALL);
        must(
            Command::new("chmod")
                .arg("755")
                .arg(source.join("efa_installer.sh")),
        );
        pack(&source, &tarball);
        let signers = self.signer.sign(&tarball);
        if self.tampered {
            fs::write(source.join("more"), "of it").unwrap();
            pack(&source, &tarball);
        }
        if !self.signature {
            fs::remove_file(site.join(format!("{TARBALL}.sig"))).unwrap();
        }
        let other = site.with_file_name("other");
        fs::write(&other, "").unwrap();
        let keys = [AWS.sign(&other), signers].concat();
        fs::write(site.join("aws-efa-installer.key"), keys).unwrap();
        pinned_to(&tarball)
    }
}

fn pinned_to(tarball: &Path) -> Bootstrap {
    let tarball = fs::read(tarball).unwrap();
    let mut bootstrap = Bootstrap::default();
    bootstrap.installer.version = VERSION.to_owned();
    bootstrap.installer.sha256 = Sha256::digest(tarball)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    bootstrap.installer.key_fingerprint = AWS.fingerprint.clone();
    bootstrap
}

fn pack(source: &Path, tarball: &Path) {
    let parent = source.parent().unwrap();
    must(
        Command::new("tar")
            .arg("-czf")
            .arg(tarball)
            .arg("-C")
            .arg(parent)
            .arg("aws-efa-installer"),
    );
}
