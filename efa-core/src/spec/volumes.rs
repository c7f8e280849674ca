//! The EBS volumes of a specification, and EC2's limits on them.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::launch::VolumeType;

/// Settings of a volume. It is always encrypted, and goes with its instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct VolumeOptions {
    /// Its type; gp3 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<VolumeType>,
    /// Provisioned IOPS, which io1 and io2 need; EC2's default for gp3 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    /// Throughput in MiB/s, of gp3 only; EC2's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput_mib_s: Option<u32>,
    /// The KMS key that encrypts it: a key's id or ARN, or an alias or its ARN; the account's
    /// default key for EBS when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// A volume besides the root volume, empty at first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Volume {
    /// The device's name, such as `/dev/sdf`.
    pub device_name: String,
    /// Its size.
    pub size_gib: u32,
    /// How it is made.
    #[serde(flatten)]
    pub options: VolumeOptions,
}

/// What EC2 allows a volume type to have.
struct Limits {
    least_gib: u32,
    most_gib: u32,
    /// `None` where EC2 derives them from the size.
    iops: Option<(u32, u32)>,
    iops_per_gib: u32,
}

/// Throughput of gp3, in MiB/s.
const THROUGHPUT: (u32, u32) = (125, 2_000);
/// IOPS of a gp3 volume that asks for none.
const GP3_IOPS: u32 = 3_000;
/// A gp3 volume needs this many IOPS for each MiB/s.
const IOPS_PER_MIB_S: u32 = 4;

/// Origin of sizes, IOPS and throughput: EC2 API reference, EbsBlockDevice (July 2026); of IOPS per
/// GiB and per MiB/s: EBS user guide, "General Purpose SSD volumes" and "Provisioned IOPS SSD
/// volumes".
fn limits(volume_type: &VolumeType) -> Option<Limits> {
    let limits = |least_gib, most_gib, iops, iops_per_gib| Limits {
        least_gib,
        most_gib,
        iops,
        iops_per_gib,
    };
    match volume_type {
        VolumeType::Gp3 => Some(limits(1, 65_536, Some((GP3_IOPS, 80_000)), 500)),
        VolumeType::Gp2 => Some(limits(1, 16_384, None, 0)),
        VolumeType::Io1 => Some(limits(4, 16_384, Some((100, 64_000)), 50)),
        VolumeType::Io2 => Some(limits(4, 65_536, Some((100, 256_000)), 1_000)),
        VolumeType::Other(_) => None,
    }
}

/// The names of the fields in errors.
struct Fields {
    size: &'static str,
    volume_type: &'static str,
    iops: &'static str,
    throughput: &'static str,
    kms_key: &'static str,
}

const OF_ROOT: Fields = Fields {
    size: "volume_size_gib",
    volume_type: "volume_type",
    iops: "volume_iops",
    throughput: "volume_throughput_mib_s",
    kms_key: "volume_kms_key_id",
};

const OF_VOLUME: Fields = Fields {
    size: "volumes.size_gib",
    volume_type: "volumes.volume_type",
    iops: "volumes.iops",
    throughput: "volumes.throughput_mib_s",
    kms_key: "volumes.kms_key_id",
};

impl VolumeOptions {
    /// Returns whether nothing is asked for.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the type that it gets.
    #[must_use]
    pub fn volume_type(&self) -> &VolumeType {
        self.volume_type.as_ref().unwrap_or(&VolumeType::Gp3)
    }

    /// Checks the options of a root volume of this size; of one whose size is still open, what
    /// does not depend on it.
    ///
    /// # Errors
    /// `plan.invalid_spec`.
    pub(crate) fn check_root(&self, size_gib: Option<u32>) -> Result<()> {
        self.check_limits(&OF_ROOT, size_gib)
    }

    fn check_limits(&self, fields: &Fields, size_gib: Option<u32>) -> Result<()> {
        let volume_type = self.volume_type();
        let Some(limits) = limits(volume_type) else {
            return Err(Error::invalid_spec(
                fields.volume_type,
                volume_type,
                "gp3, gp2, io1 or io2",
                "choose one of them: a volume on hard disks holds up every node",
            ));
        };
        if let Some(size) = size_gib
            && !(limits.least_gib..=limits.most_gib).contains(&size)
        {
            return Err(Error::invalid_spec(
                fields.size,
                size,
                format_args!(
                    "{} to {} GiB ({volume_type})",
                    limits.least_gib, limits.most_gib
                ),
                "choose a size in that range",
            ));
        }
        self.check_iops(fields, &limits, size_gib)?;
        self.check_throughput(fields)?;
        match &self.kms_key_id {
            Some(key) if !is_kms_key(key) => Err(Error::invalid_spec(
                fields.kms_key,
                key,
                "a key's id or ARN, or alias/… or its ARN",
                "copy the key's ARN from KMS",
            )),
            _ => Ok(()),
        }
    }

    fn check_iops(&self, fields: &Fields, limits: &Limits, size_gib: Option<u32>) -> Result<()> {
        let shown = self.volume_type();
        match (self.iops, limits.iops) {
            (None, Some(_)) if matches!(shown, VolumeType::Io1 | VolumeType::Io2) => {
                Err(Error::invalid_spec(
                    fields.iops,
                    "",
                    format_args!("given for {shown}"),
                    "give a number, or choose gp3",
                ))
            }
            (None, _) => Ok(()),
            (Some(iops), None) => Err(Error::invalid_spec(
                fields.iops,
                iops,
                format_args!("left out for {shown}, whose size decides them"),
                "choose gp3",
            )),
            (Some(iops), Some((least, most))) if !(least..=most).contains(&iops) => {
                Err(Error::invalid_spec(
                    fields.iops,
                    iops,
                    format_args!("{least} to {most} ({shown})"),
                    "choose a number in that range",
                ))
            }
            (Some(iops), Some((least, _))) => {
                let most = size_gib.map(|size| size.saturating_mul(limits.iops_per_gib).max(least));
                match most {
                    Some(most) if iops > most => Err(Error::invalid_spec(
                        fields.iops,
                        iops,
                        format_args!("{most}: {} per GiB ({shown})", limits.iops_per_gib),
                        "choose fewer, or a larger volume",
                    )),
                    _ => Ok(()),
                }
            }
        }
    }

    fn check_throughput(&self, fields: &Fields) -> Result<()> {
        let shown = self.volume_type();
        let Some(throughput) = self.throughput_mib_s else {
            return Ok(());
        };
        let (least, most) = THROUGHPUT;
        if *shown != VolumeType::Gp3 {
            return Err(Error::invalid_spec(
                fields.throughput,
                throughput,
                format_args!("left out for {shown}: only gp3 has it"),
                "leave it out, or choose gp3",
            ));
        }
        if !(least..=most).contains(&throughput) {
            return Err(Error::invalid_spec(
                fields.throughput,
                throughput,
                format_args!("{least} to {most} MiB/s"),
                "choose a number in that range",
            ));
        }
        let needed = throughput * IOPS_PER_MIB_S;
        let iops = self.iops.unwrap_or(GP3_IOPS);
        if needed > iops {
            return Err(Error::invalid_spec(
                fields.throughput,
                throughput,
                format_args!("{} MiB/s at {iops} IOPS", iops / IOPS_PER_MIB_S),
                &format!("ask for {needed} IOPS too, or for less"),
            ));
        }
        Ok(())
    }
}

impl Volume {
    /// Creates a gp3 volume of this size.
    pub fn new(device_name: impl Into<String>, size_gib: u32) -> Self {
        Self {
            device_name: device_name.into(),
            size_gib,
            options: VolumeOptions::default(),
        }
    }

    /// Checks everything that the image does not decide.
    ///
    /// # Errors
    /// `plan.invalid_spec`.
    pub fn check(&self) -> Result<()> {
        if !is_device_name(&self.device_name) {
            return Err(Error::invalid_spec(
                "volumes.device_name",
                &self.device_name,
                "/dev/sd[b-z] or /dev/xvd[b-z], with a second letter or a number if need be",
                "choose /dev/sdf to /dev/sdp",
            ));
        }
        self.options.check_limits(&OF_VOLUME, Some(self.size_gib))
    }
}

/// Checks the volumes besides the root volume.
///
/// # Errors
/// `plan.invalid_spec`.
pub(super) fn check_volumes(volumes: &[Volume]) -> Result<()> {
    for (index, volume) in volumes.iter().enumerate() {
        volume.check()?;
        let mut earlier = volumes[..index].iter();
        if earlier.any(|other| other.device_name == volume.device_name) {
            return Err(Error::invalid_spec(
                "volumes.device_name",
                &volume.device_name,
                "another name for each volume",
                "choose the next letter",
            ));
        }
    }
    Ok(())
}

/// Origin: EC2 user guide, "Device names for volumes"; `/dev/sda` and `/dev/xvda` are root devices.
fn is_device_name(name: &str) -> bool {
    let rest = name.strip_prefix("/dev/");
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix("sd").or(rest.strip_prefix("xvd")))
    else {
        return false;
    };
    let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = rest.len() - letters.len();
    (1..=2).contains(&letters.len())
        && digits <= 2
        && letters != "a"
        && letters.bytes().all(|b| b.is_ascii_lowercase())
}

/// Origin: KMS API reference, "Key identifiers (KeyId)".
fn is_kms_key(key: &str) -> bool {
    let name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/_-".contains(&b))
    };
    let id = |text: &str| text.len() >= 36 && !text.contains(['/', '_']) && name(text);
    let resource = |text: &str| match text.split_once('/') {
        Some(("key", rest)) => id(rest),
        Some(("alias", rest)) => name(rest),
        _ => false,
    };
    match key.strip_prefix("arn:") {
        // arn:partition:kms:region:account:key/… or alias/…
        Some(rest) => {
            let parts: Vec<&str> = rest.splitn(5, ':').collect();
            matches!(parts[..], [_, "kms", _, _, last] if resource(last))
        }
        None => id(key) || key.strip_prefix("alias/").is_some_and(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn options(volume_type: &str, iops: Option<u32>, throughput: Option<u32>) -> VolumeOptions {
        VolumeOptions {
            volume_type: Some(volume_type.into()),
            iops,
            throughput_mib_s: throughput,
            kms_key_id: None,
        }
    }

    #[test]
    fn ec2s_limits_of_each_type_hold_at_their_edges() {
        // Type, size, IOPS, throughput, and the field that is refused.
        type Case = (&'static str, u32, Option<u32>, Option<u32>, &'static str);
        let cases: &[Case] = &[
            ("gp3", 65_536, Some(80_000), Some(2_000), ""),
            ("gp3", 65_537, None, None, "volume_size_gib"),
            ("gp3", 1, Some(3_000), Some(750), ""),
            ("gp3", 8, Some(4_001), None, "volume_iops"),
            ("gp3", 200, Some(2_999), None, "volume_iops"),
            ("gp3", 200, Some(80_001), None, "volume_iops"),
            ("gp3", 200, None, Some(751), "volume_throughput_mib_s"),
            ("gp3", 200, Some(8_000), Some(2_000), ""),
            (
                "gp3",
                200,
                Some(7_999),
                Some(2_000),
                "volume_throughput_mib_s",
            ),
            ("gp3", 200, None, Some(124), "volume_throughput_mib_s"),
            ("gp2", 16_384, None, None, ""),
            ("gp2", 200, Some(3_000), None, "volume_iops"),
            ("gp2", 200, None, Some(125), "volume_throughput_mib_s"),
            ("io1", 200, None, None, "volume_iops"),
            ("io1", 200, Some(10_000), None, ""),
            ("io1", 200, Some(10_001), None, "volume_iops"),
            ("io2", 3, Some(100), None, "volume_size_gib"),
            ("io2", 256, Some(256_000), None, ""),
            ("io2", 255, Some(256_000), None, "volume_iops"),
            (
                "io2",
                256,
                Some(1_000),
                Some(500),
                "volume_throughput_mib_s",
            ),
            ("st1", 200, None, None, "volume_type"),
        ];
        for &(kind, size, iops, throughput, refused) in cases {
            let result = options(kind, iops, throughput).check_root(Some(size));
            let field = result.as_ref().err().and_then(|e| e.context_value("field"));
            assert_eq!(
                field.unwrap_or(""),
                refused,
                "{kind} {size} {iops:?} {throughput:?}"
            );
        }
    }

    #[test]
    fn keys_are_named_as_kms_names_them() {
        for good in [
            KEY.to_owned(),
            "mrk-1234abcd12ab34cd56ef1234567890ab".to_owned(),
            "alias/train".to_owned(),
            format!("arn:aws:kms:us-east-1:123456789012:key/{KEY}"),
            "arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/team/x".to_owned(),
        ] {
            assert!(is_kms_key(&good), "{good}");
        }
        for bad in ["", "train", "alias/", "arn:aws:s3:::bucket", "alias/a b"] {
            assert!(!is_kms_key(bad), "{bad}");
        }
    }

    #[test]
    fn devices_have_names_of_their_own() {
        for good in ["/dev/sdf", "/dev/xvdba", "/dev/sdf1"] {
            assert!(is_device_name(good), "{good}");
        }
        for bad in [
            "",
            "sdf",
            "/dev/sda",
            "/dev/xvda1",
            "/dev/nvme1n1",
            "/dev/sd",
        ] {
            assert!(!is_device_name(bad), "{bad}");
        }
        let twice = [Volume::new("/dev/sdf", 10), Volume::new("/dev/sdf", 20)];
        let error = check_volumes(&twice).unwrap_err();
        assert_eq!(error.context_value("field"), Some("volumes.device_name"));
    }
}
