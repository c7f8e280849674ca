//! Rules of EC2 on a launch besides its interfaces and place: user data, the target of a
//! reservation, host names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::launch::{Launch, Spelling, block};
use super::report::DocumentFormat;
use super::rule::Rule;
use super::unknown::{is_unknown, is_unknown_text};
use crate::handoff::interfaces::field;
use crate::launch::{CapacityReservationPreference, HostnameType, UserData};
use crate::types::USER_DATA_LIMIT_BYTES;

/// A rule that the launch breaks.
pub(super) struct Broken {
    pub(super) rule: Rule,
    /// The part of the launch, in EC2's words.
    pub(super) at: &'static str,
    pub(super) message: String,
    pub(super) cure: &'static str,
}

/// What is wrong with these parts of a launch.
pub(super) fn broken(launch: &Launch<'_>) -> Vec<Broken> {
    [user_data(launch), reservation(launch), host_names(launch)]
        .into_iter()
        .flatten()
        .collect()
}

/// EC2 counts the bytes before their encoding (EC2 user guide, "Run commands when you launch an
/// EC2 instance with user data input"): of compressed user data those of the file.
fn user_data(launch: &Launch<'_>) -> Option<Broken> {
    let bytes = user_data_bytes(launch)?;
    let length = bytes.len();
    if length <= USER_DATA_LIMIT_BYTES {
        return None;
    }
    let (kind, cure) = match UserData::from_bytes(bytes) {
        Some(UserData::Gzip(_)) => (
            "compressed user data",
            "put the script in S3, and fetch it from a short one",
        ),
        _ if sends_text(launch) => (
            "user data",
            "put the script in S3, and fetch it from a short one",
        ),
        _ => (
            "user data",
            "compress it with gzip, which cloud-init unpacks, or fetch it from S3 by a short script",
        ),
    };
    Some(Broken {
        rule: Rule::UserDataTooLong,
        at: "UserData",
        message: format!("{length} bytes of {kind}: EC2 takes {USER_DATA_LIMIT_BYTES}"),
        cure,
    })
}

/// Whether the launcher encodes what stands there, a text: Karpenter, and boto3 under Ray.
fn sends_text(launch: &Launch<'_>) -> bool {
    launch.at.spelling == Spelling::Karpenter || launch.format == DocumentFormat::RayCluster
}

/// The user data, decoded; `None` where it is not known.
fn user_data_bytes(launch: &Launch<'_>) -> Option<Vec<u8>> {
    let value = field(launch.data, "UserData")?;
    if let Some(text) = value.get("Fn::Base64").and_then(Value::as_str) {
        return Some(text.as_bytes().to_vec());
    }
    // A script has variables of the shell; Terraform would put its own in their place.
    let elsewhere = |text: &&str| match launch.at.spelling {
        Spelling::Snake => is_unknown_text(text),
        _ => text.starts_with("${"),
    };
    let text = value.as_str().filter(|text| !elsewhere(text))?;
    let plain = || text.as_bytes().to_vec();
    if sends_text(launch) {
        return Some(plain());
    }
    let joined: String = text.split_whitespace().collect();
    Some(STANDARD.decode(joined).unwrap_or_else(|_| plain()))
}

fn reservation(launch: &Launch<'_>) -> Option<Broken> {
    let specification = field(launch.data, "CapacityReservationSpecification").map(block)?;
    let target = field(specification, "CapacityReservationTarget").map(block)?;
    if is_unknown(specification) || is_unknown(target) {
        return None;
    }
    let group = field(target, "CapacityReservationResourceGroupArn");
    let preference = field(specification, "CapacityReservationPreference");
    let only = CapacityReservationPreference::CapacityReservationsOnly;
    let broken = |rule, message: String, cure| {
        Some(Broken {
            rule,
            at: "CapacityReservationSpecification",
            message,
            cure,
        })
    };
    if group.is_some() && field(target, "CapacityReservationId").is_some() {
        let message = "EC2 refuses a reservation and a resource group as the target at once";
        let cure = "give one of them";
        return broken(Rule::ReservationTarget, message.to_owned(), cure);
    }
    match preference {
        Some(preference) if is_unknown(preference) => None,
        Some(preference) if preference != only.as_str() => {
            let message = format!("EC2 refuses the preference {preference} together with a target");
            let cure = "leave the preference out, or set it to capacity-reservations-only";
            broken(Rule::ReservationTarget, message, cure)
        }
        None if group.is_some() => {
            let message = "EC2 launches on demand what the group's reservations have no room for";
            let cure = "set CapacityReservationPreference to capacity-reservations-only";
            broken(Rule::ReservationGroupOnDemand, message.to_owned(), cure)
        }
        _ => None,
    }
}

fn host_names(launch: &Launch<'_>) -> Option<Broken> {
    let names = field(launch.data, "PrivateDnsNameOptions").map(block)?;
    let kind = field(names, "HostnameType").filter(|kind| !is_unknown(kind))?;
    let known = [HostnameType::IpName, HostnameType::ResourceName];
    let text = kind.as_str()?;
    (!known.iter().any(|one| one.as_str() == text)).then(|| Broken {
        rule: Rule::HostNames,
        at: "PrivateDnsNameOptions.HostnameType",
        message: format!("EC2 has no hostname type '{text}'"),
        cure: "set resource-name, for the instance id, or ip-name, for the IPv4 address",
    })
}
