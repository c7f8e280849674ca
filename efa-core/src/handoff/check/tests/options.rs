//! User data, targets of reservations and host names, in the forms that documents give them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::report;
use crate::launch::UserData;

fn ids(data: &Value) -> Vec<String> {
    let mut launch = json!({
        "InstanceType": "c5n.18xlarge",
        "NetworkInterfaces": [{"DeviceIndex": 0, "InterfaceType": "efa", "Groups": ["sg-1"], "SubnetId": "subnet-1"}],
        "MetadataOptions": {"HttpTokens": "required"},
    });
    for (key, value) in data.as_object().unwrap() {
        launch[key] = value.clone();
    }
    let report = report(&json!({"LaunchTemplateData": launch}).to_string());
    let ids = report.findings.iter().map(|finding| finding.id.to_owned());
    ids.collect()
}

/// A script whose bytes gzip cannot make fewer.
fn noise(length: usize) -> String {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + u8::try_from((state >> 24) % 90).unwrap())
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn user_data_is_measured_as_ec2_measures_it() {
    let long = "#!/bin/bash\n".repeat(2_000);
    let fits = "#".repeat(16_384);
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    let too_long = ["launch.user_data_too_long"];
    let wrapped = encoded(long.as_bytes());
    let wrapped: Vec<String> = wrapped
        .as_bytes()
        .chunks(76)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    for (user_data, expected) in [
        (json!(encoded(fits.as_bytes())), &[][..]),
        (json!(encoded(long.as_bytes())), &too_long),
        (json!(wrapped.join("\n")), &too_long),
        (json!(UserData::compressed(&long).to_base64()), &[]),
        (
            json!(UserData::compressed(&noise(40_000)).to_base64()),
            &too_long,
        ),
        (json!({"Fn::Base64": long}), &too_long),
        (json!({"Fn::Base64": {"Fn::Sub": long}}), &[]),
        (json!("${base64encode(file(\"boot.sh\"))}"), &[]),
    ] {
        assert_eq!(ids(&json!({ "UserData": user_data })), expected);
    }
}

#[test]
fn a_group_of_reservations_is_the_whole_target() {
    let arn = "arn:aws:resource-groups:us-east-1:123456789012:group/train";
    let target = json!({ "CapacityReservationResourceGroupArn": arn });
    for (specification, expected) in [
        (
            json!({"CapacityReservationPreference": "capacity-reservations-only", "CapacityReservationTarget": target}),
            &[][..],
        ),
        (
            json!({ "CapacityReservationTarget": target }),
            &["launch.reservation_group_on_demand"],
        ),
        (
            json!({"CapacityReservationPreference": "none", "CapacityReservationTarget": target}),
            &["launch.reservation_target"],
        ),
        (
            json!({"CapacityReservationTarget": {"CapacityReservationResourceGroupArn": arn, "CapacityReservationId": "cr-1"}}),
            &["launch.reservation_target"],
        ),
        (
            json!({"CapacityReservationTarget": {"CapacityReservationId": "cr-1"}}),
            &[],
        ),
        (json!({"CapacityReservationPreference": "open"}), &[]),
    ] {
        let data = json!({ "CapacityReservationSpecification": specification });
        assert_eq!(ids(&data), expected, "{data}");
    }
}

#[test]
fn host_names_are_by_id_or_by_address() {
    for (kind, expected) in [
        (json!("resource-name"), &[][..]),
        (json!("ip-name"), &[]),
        (json!({"Ref": "Names"}), &[]),
        (json!("instance-id"), &["launch.host_names"]),
    ] {
        let data = json!({"PrivateDnsNameOptions": {"HostnameType": kind}});
        assert_eq!(ids(&data), expected, "{data}");
    }
}

#[test]
fn several_reservations_of_karpenter_may_be_in_several_zones() {
    let class = |terms: Value| {
        json!({"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "efa"}, "spec": {
            "role": "r", "amiSelectorTerms": [{"alias": "al2023@v20260801"}],
            "subnetSelectorTerms": [{"tags": {"a": "b"}}], "securityGroupSelectorTerms": [{"id": "sg-1"}],
            "capacityReservationSelectorTerms": terms,
        }})
    };
    let says = |terms| {
        let report = report(&class(terms).to_string());
        report
            .out_of_sight
            .iter()
            .any(|what| what.contains("one zone"))
    };
    assert!(says(json!([{"id": "cr-1"}, {"id": "cr-2"}])));
    assert!(says(json!([{"tags": {"team": "train"}}])));
    assert!(!says(json!([{"id": "cr-1"}])));
}
