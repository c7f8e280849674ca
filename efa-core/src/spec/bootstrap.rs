//! User data that makes a node ready for EFA: a pure function from values to a shell script.
//!
//! The script itself is `bootstrap/bootstrap.sh`, without a placeholder in it: the values stand
//! above it as quoted assignments.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Code, Error, Result};
use crate::shell::quote;
use crate::tags;
use crate::types::ClusterName;

const SCRIPT: &str = include_str!("bootstrap/bootstrap.sh");
/// Functions for `instance_store`, sent only where it is asked for.
const INSTANCE_STORE: &str = include_str!("bootstrap/instance_store.sh");

/// A release of AWS's EFA installer, and what it is verified against.
///
/// The default is this crate's one pinned release.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EfaInstaller {
    /// The release, such as `1.47.0`.
    pub version: String,
    /// Where `aws-efa-installer-<version>.tar.gz`, its `.sig` and `aws-efa-installer.key` lie:
    /// AWS's site, or a mirror for subnets without a way out. Only `https`.
    pub base_url: String,
    /// SHA-256 of the tarball, 64 hexadecimal digits.
    pub sha256: String,
    /// Fingerprint of the OpenPGP key that signs it, 40 hexadecimal digits.
    pub key_fingerprint: String,
}

impl Default for EfaInstaller {
    /// The pinned release, here and nowhere else.
    ///
    /// Version and checksum: "Verify the EFA installer using SHA-256" in the EC2 user guide
    /// (`efa-verify.html`), which had 1.47.0 and not the later 1.50.0. Fingerprint of "Amazon EC2
    /// EFA": the same guide's "Get started with EFA" (`efa-start.html`).
    fn default() -> Self {
        Self {
            version: "1.47.0".to_owned(),
            base_url: "https://efa-installer.amazonaws.com".to_owned(),
            sha256: "2df4201e046833c7dc8160907bee7f52b76ff80ed147376a2d0ed8a0dd66b2db".to_owned(),
            key_fingerprint: "4E9091BCBB97A96B26B15E59A05480B1DD2D3CCC".to_owned(),
        }
    }
}

/// The setup for EFA on a node's first boot, on Amazon Linux 2023 or Ubuntu.
///
/// Locked memory is always made unlimited, as EFA needs it.
///
/// ```
/// use efa_core::spec::Bootstrap;
///
/// # fn main() -> efa_core::Result<()> {
/// let mut bootstrap = Bootstrap::default();
/// bootstrap.extra_script = Some("touch /var/tmp/node-is-ready".to_owned());
/// let user_data = bootstrap.user_data("train")?;
/// assert!(user_data.starts_with("#!/bin/bash\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bootstrap {
    /// The EFA installer to run, unless the image has the same release or a newer one.
    pub installer: EfaInstaller,
    /// Install the kernel module and rdma-core only, without libfabric and Open MPI.
    #[serde(default)]
    pub minimal: bool,
    /// Huge pages to reserve, of the kernel's default size (2 MiB on x86-64). When absent, what
    /// the EFA installer's own `efa-config` reserves stays.
    #[serde(default)]
    pub huge_pages: Option<u32>,
    /// Where to mount the instance store: an ext4 file system over all of its NVMe disks, as RAID 0
    /// where there are several. Such as `/scratch`; a directory that is not there or empty. What
    /// is on it is lost when the instance stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_store: Option<String>,
    /// Commands for `bash`, run as root once everything else is in place. Their failure is the
    /// bootstrap's. Do not put secrets here: user data can be read on the instance.
    #[serde(default)]
    pub extra_script: Option<String>,
}

impl Bootstrap {
    /// Returns the script to launch an instance of this cluster with. A specification that holds it
    /// checks its size.
    ///
    /// # Errors
    /// `plan.invalid_spec` for a malformed value, or a value with a NUL character.
    pub fn user_data(&self, cluster: &str) -> Result<String> {
        self.user_data_after(cluster, "")
    }

    /// [`user_data`](Self::user_data) with commands before it.
    pub(super) fn user_data_after(&self, cluster: &str, first: &str) -> Result<String> {
        let assignments = self.assignments(cluster)?;
        let disks = self.instance_store.as_ref().map_or("", |_| INSTANCE_STORE);
        Ok(format!("#!/bin/bash\n{first}{assignments}{disks}{SCRIPT}"))
    }

    /// Returns the IAM policy statement that lets instances of this cluster report in the tag
    /// `efa-sdk:bootstrap`, for the role of their instance profile. It allows that one tag, on
    /// instances with the cluster's own tag.
    ///
    /// # Errors
    /// `plan.invalid_spec` for a malformed name.
    pub fn tag_permission(cluster: &str) -> Result<Value> {
        Ok(Self::tag_statement(&ClusterName::new(cluster)?))
    }

    /// [`tag_permission`](Self::tag_permission) of a name that is known to be one.
    pub(crate) fn tag_statement(cluster: &ClusterName) -> Value {
        let cluster_tag = format!("aws:ResourceTag/{}", tags::CLUSTER);
        json!({
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": "arn:*:ec2:*:*:instance/*",
            "Condition": {
                "StringEquals": { cluster_tag: cluster.as_str() },
                "ForAllValues:StringEquals": { "aws:TagKeys": [tags::BOOTSTRAP] },
            },
        })
    }

    /// The path goes into `/etc/fstab` and into the state file, which know no quotes.
    fn check_instance_store(&self) -> Result<()> {
        let Some(path) = &self.instance_store else {
            return Ok(());
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
        let parts = path.strip_prefix('/');
        if path.len() <= 255 && parts.is_some_and(|parts| parts.split('/').all(part)) {
            return Ok(());
        }
        Err(Error::invalid_spec(
            "instance_store",
            path,
            "an absolute path of letters, digits and -_. below /, without a slash at its end",
            "name a directory that the image does not have, such as /scratch",
        ))
    }

    fn assignments(&self, cluster: &str) -> Result<String> {
        ClusterName::new(cluster)?;
        self.installer.validate()?;
        self.check_instance_store()?;
        let huge_pages = self.huge_pages.map(|pages| pages.to_string());
        let values = [
            ("cluster", cluster),
            ("tag_key", tags::BOOTSTRAP),
            ("version", &self.installer.version),
            ("base_url", self.installer.base_url.trim_end_matches('/')),
            ("sha256", &self.installer.sha256.to_ascii_lowercase()),
            (
                "key_fingerprint",
                &self.installer.key_fingerprint.to_ascii_uppercase(),
            ),
            ("minimal", if self.minimal { "true" } else { "false" }),
            ("huge_pages", huge_pages.as_deref().unwrap_or_default()),
            (
                "instance_store",
                self.instance_store.as_deref().unwrap_or_default(),
            ),
            (
                "extra_script",
                self.extra_script.as_deref().unwrap_or_default(),
            ),
        ];
        let mut assignments = String::new();
        for (name, value) in values {
            let quoted = quote(value).ok_or_else(|| nul(name))?;
            // Writing to a String cannot fail.
            let _ = writeln!(assignments, "{name}={quoted}");
        }
        Ok(assignments)
    }
}

impl EfaInstaller {
    fn validate(&self) -> Result<()> {
        let numbers: Vec<&str> = self.version.split('.').collect();
        let digits = |n: &&str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
        if numbers.len() != 3 || !numbers.iter().all(digits) {
            return Err(Error::invalid_spec(
                "installer.version",
                &self.version,
                "three numbers with dots between",
                "name a release, and its sha256; 'latest' cannot be pinned",
            ));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/%".contains(&b);
        let host = self.base_url.strip_prefix("https://");
        if !host.is_some_and(|host| {
            host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.bytes().all(plain)
        }) {
            return Err(Error::invalid_spec(
                "installer.base_url",
                &self.base_url,
                "an https URL of letters, digits and -._~:/%",
                "leave it at https://efa-installer.amazonaws.com, or name an https mirror",
            ));
        }
        check_hex("installer.sha256", &self.sha256, 64)?;
        let pinned = Self::default();
        if self.version != pinned.version && self.sha256.eq_ignore_ascii_case(&pinned.sha256) {
            return Err(Error::invalid_spec(
                "installer.sha256",
                &self.sha256,
                format_args!("the checksum of {}", self.version),
                "give version and sha256 together",
            ));
        }
        check_hex("installer.key_fingerprint", &self.key_fingerprint, 40)
    }
}

fn check_hex(field: &'static str, value: &str, digits: usize) -> Result<()> {
    if value.len() == digits && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(Error::invalid_spec(
        field,
        value,
        format_args!("{digits} hexadecimal digits without spaces"),
        "copy it whole from AWS's page about verifying the EFA installer",
    ))
}

fn nul(field: &'static str) -> Error {
    Error::new(
        Code::PlanInvalidSpec,
        format!("{field} holds a NUL character, which no shell script can"),
    )
    .with_cure("take it out")
    .with_context("field", field)
    .with_context("value", "with NUL")
    .with_context("limit", "no NUL character")
}

#[cfg(test)]
mod tests;
