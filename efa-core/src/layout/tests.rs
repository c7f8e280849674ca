//! What the planner gives, and what the rules refuse, over every type of the bundled catalog.

mod golden;
mod properties;

use super::*;
use crate::Catalog;
use crate::types::{CardIndex, DeviceIndex, InterfaceType};

fn catalog() -> &'static Catalog {
    Catalog::bundled()
}

fn get(name: &str) -> &'static InstanceType {
    catalog().get(name).unwrap()
}

fn request(profile: Profile) -> Request {
    Request::default().profile(profile)
}

fn interface(card: u32, device: u32, kind: InterfaceType) -> NetworkInterface {
    NetworkInterface::new(card, device, kind)
}

fn codes(t: &InstanceType, interfaces: &[NetworkInterface]) -> Vec<Code> {
    violations(t, interfaces)
        .into_iter()
        .map(|v| v.code)
        .collect()
}

#[test]
fn every_type_gets_all_its_efas_by_default() {
    for t in catalog() {
        let layout = t.layout(&Request::default()).unwrap();
        let expected = if t.family() == "p6e-gb200" {
            4
        } else {
            t.maximum_efa_interfaces as usize
        };
        assert_eq!(
            (layout.efa_count(), layout.ip_count()),
            (expected, 1),
            "{}",
            t.name
        );
    }
}

#[test]
fn only_interfaces_that_carry_ip_say_something_about_public_ip() {
    for interface in get("p5.48xlarge")
        .layout(&request(Profile::IpBandwidth))
        .unwrap()
        .interfaces
    {
        let expected = interface.interface_type.carries_ip().then_some(false);
        assert_eq!(interface.associate_public_ip_address, expected);
    }
}

#[test]
fn a_public_ip_is_an_explicit_choice() {
    let lone = Request::default().public_ip(PublicIp::LoneEfa);
    let c5n = get("c5n.18xlarge").layout(&lone).unwrap();
    assert_eq!(c5n.notation(), "0:0=efa+public-ip");
    assert_eq!(c5n.notes, [""; 0]);

    let error = get("p5.48xlarge").layout(&lone).unwrap_err();
    assert_eq!(error.code(), Code::LayoutPublicIpNotPossible);
    assert!(
        error.message().contains("1 of 32 EFA") && error.cure().unwrap().contains("elastic-ip"),
        "{error}"
    );
    let error = get("p5.48xlarge").layout(&lone.efa(2)).unwrap_err();
    assert_eq!(error.code(), Code::LayoutPublicIpNotPossible);

    let one = get("p5.48xlarge").layout(&lone.efa(1)).unwrap();
    assert_eq!(
        (one.notation().as_str(), one.efa_count()),
        ("0:0=efa+public-ip", 1)
    );
    assert!(
        one.notes[0].contains("1 of 32 EFA interfaces"),
        "{:?}",
        one.notes
    );

    let error = get("p6-b300.48xlarge").layout(&lone.efa(1)).unwrap_err();
    assert_eq!(error.code(), Code::LayoutPublicIpNotPossible);
    assert_eq!(error.context_value("network_card_index"), Some("0"));

    let plain = get("p5.48xlarge").layout(&Request::default()).unwrap();
    let elastic = get("p5.48xlarge")
        .layout(&Request::default().public_ip(PublicIp::ElasticIp))
        .unwrap();
    assert_eq!(elastic.interfaces, plain.interfaces);
    assert!(
        elastic.notes[0].contains("Elastic IP"),
        "{:?}",
        elastic.notes
    );
}

/// `(0,0,efa)` still has all the EFA of the types with one.
#[test]
fn a_lone_efa_is_full_efa_on_the_types_with_one() {
    let lone = Request::default().public_ip(PublicIp::LoneEfa);
    let full = catalog().iter().filter(|t| t.layout(&lone).is_ok()).count();
    assert_eq!(full, 236);
}

#[test]
fn a_part_of_the_efas() {
    let four = get("p5.48xlarge")
        .layout(&Request::default().efa(4))
        .unwrap();
    assert_eq!(four.notation(), "0:0=interface 0:1=efa-only 1-3:0=efa-only");
    assert_eq!(
        four.notes,
        ["4 of 32 EFA interfaces: the bandwidth of the others is not used"]
    );
    for (name, efa, limit) in [
        ("p5.48xlarge", 0, "32"),
        ("p5.48xlarge", 33, "32"),
        ("c5n.18xlarge", 2, "1"),
        ("p6-b300.48xlarge", 17, "16"),
        ("p6e-gb200.36xlarge", 9, "8"),
        ("p6e-gb200.36xlarge", 0, "8"),
    ] {
        let error = get(name).layout(&Request::default().efa(efa)).unwrap_err();
        assert_eq!(error.code(), Code::LayoutEfaCountOutOfRange, "{name} {efa}");
        assert_eq!(error.context_value("limit"), Some(limit));
        assert_eq!(error.context_value("instance_type"), Some(name));
    }
}

#[test]
fn gb200_uses_the_cards_that_its_gpus_reach() {
    let t = get("p6e-gb200.36xlarge");
    for (efa, notation) in [
        (1, "0:0=interface 1:0=efa-only"),
        (4, "0:0=interface 1-13/4:0=efa-only"),
        (
            5,
            "0:0=interface 1-5/2:0=efa-only 9:0=efa-only 13:0=efa-only",
        ),
        (8, "0:0=interface 1-15/2:0=efa-only"),
    ] {
        assert_eq!(
            t.layout(&Request::default().efa(efa)).unwrap().notation(),
            notation
        );
    }
    let error = t.layout(&Request::default().efa(16)).unwrap_err();
    assert!(error.message().contains("1600 Gbps"), "{error}");
    assert!(t.layout(&Request::default()).unwrap().notes[0].contains("1600 Gbps"));
}

#[test]
fn profiles_that_a_type_does_not_allow() {
    let refused = |profile| {
        let holds = |t: &&InstanceType| match t.layout(&request(profile)) {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(
                    error.code(),
                    Code::LayoutProfileNotPossible,
                    "{} {profile}: {error}",
                    t.name
                );
                assert!(
                    error.cure().is_some() && error.context_value("network_card_index").is_some()
                );
                true
            }
        };
        catalog()
            .iter()
            .filter(holds)
            .map(|t| t.name.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(refused(Profile::SaveIps), [""; 0]);
    assert_eq!(refused(Profile::IpBandwidth), [""; 0]);
    assert_eq!(refused(Profile::Combined), ["p6e-gb200.36xlarge"]);
    assert_eq!(
        refused(Profile::EfaOnlySecondary),
        ["p6-b300.48xlarge", "p6e-gb200.36xlarge"]
    );
}

#[test]
fn a_type_without_efa_is_refused() {
    let error = InstanceType::unknown("t3.micro")
        .layout(&Request::default())
        .unwrap_err();
    assert_eq!(error.code(), Code::LayoutEfaNotSupported);
}

/// Live data may be odd: too few cards that take EFA is refused, not planned short.
#[test]
fn cards_that_take_fewer_efas_than_the_type_states() {
    let mut t = get("hpc7a.96xlarge").clone();
    t.network_cards[1].interface_types = Some(vec![InterfaceType::Interface]);
    let error = t.layout(&Request::default()).unwrap_err();
    assert_eq!(error.code(), Code::LayoutEfaCountOutOfRange);
    assert_eq!(error.context_value("limit"), Some("1"));
    assert_eq!(t.layout(&Request::default().efa(1)).unwrap().efa_count(), 1);
}

/// Without `InterfaceTypes` (older APIs) only the types with fewer EFAs than cards, all of
/// which take EFA, get another layout, and it keeps the rules.
#[test]
fn interface_types_are_inferred_where_ec2_does_not_say() {
    let mut other = Vec::new();
    for t in catalog().iter().filter(|t| t.family() != "p6e-gb200") {
        let mut old = t.clone();
        for card in &mut old.network_cards {
            card.interface_types = None;
        }
        let plan = |t: &InstanceType| t.layout(&Request::default()).unwrap().interfaces;
        assert_eq!(codes(t, &plan(&old)), []);
        if plan(&old) != plan(t) {
            other.push(t.name.as_str());
        }
    }
    assert_eq!(
        other,
        [
            "i7ie.48xlarge",
            "i7ie.metal-48xl",
            "i8ge.48xlarge",
            "i8ge.metal-48xl"
        ]
    );
}

#[test]
fn a_violation_names_type_card_limit_and_cure() {
    let t = get("p5.48xlarge");
    let mut interfaces = t.layout(&request(Profile::Combined)).unwrap().interfaces;
    interfaces[2].device_index = DeviceIndex::new(2);
    let error = Layout::from_interfaces(t, interfaces.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "device index 2 on network card 2 of p5.48xlarge, which holds 2; use an index below 2; it counts from 0 on \
         each card"
    );
    for (key, value) in [
        ("instance_type", "p5.48xlarge"),
        ("network_card_index", "2"),
        ("value", "2"),
        ("limit", "2"),
    ] {
        assert_eq!(error.context_value(key), Some(value));
    }
    assert_eq!(error.context_value("further_violations"), None);
    interfaces[3].device_index = DeviceIndex::new(7);
    let error = Layout::from_interfaces(t, interfaces).unwrap_err();
    assert_eq!(error.context_value("further_violations"), Some("1"));
    assert_eq!(
        error.context_value("further_codes"),
        Some("layout.device_index_out_of_range")
    );
}

#[test]
fn a_layout_from_json_is_data_until_it_is_checked() {
    let t = get("p4d.24xlarge");
    let layout = t.layout(&Request::default()).unwrap();
    let json = serde_json::to_string(&layout).unwrap();
    let read: Layout = serde_json::from_str(&json).unwrap();
    assert_eq!(read, layout);
    read.check_against(t).unwrap();
    let error = read.check_against(get("p5.48xlarge")).unwrap_err();
    assert_eq!(error.code(), Code::LayoutInstanceTypeDiffers);
    let forged: Layout =
        serde_json::from_str(&json.replace("\"device_index\":1", "\"device_index\":99")).unwrap();
    assert_eq!(
        forged.check_against(t).unwrap_err().code(),
        Code::LayoutDeviceIndexOutOfRange
    );
    let user = r#"[{"device_index":0,"interface_type":"efa"}]"#;
    let user: Vec<NetworkInterface> = serde_json::from_str(user).unwrap();
    assert_eq!(
        (
            user[0].network_card_index,
            user[0].associate_public_ip_address
        ),
        (CardIndex::new(0), None)
    );
    assert!(
        serde_json::from_str::<NetworkInterface>(
            r#"{"device_index":0,"interface_type":"efa","card":1}"#
        )
        .is_err()
    );
}

#[test]
fn own_interfaces_are_sorted_and_noted() {
    let t = get("p4d.24xlarge");
    let own = vec![
        interface(1, 0, InterfaceType::EfaOnly),
        interface(0, 0, InterfaceType::Efa),
    ];
    let layout = Layout::from_interfaces(t, own).unwrap();
    assert_eq!(
        layout.to_string(),
        "p4d.24xlarge user-supplied: 2 interfaces, 2 EFA, 1 IP"
    );
    assert_eq!(layout.notation(), "0:0=efa 1:0=efa-only");
    assert_eq!(
        layout.notes,
        ["2 of 4 EFA interfaces: the bandwidth of the others is not used"]
    );
    let plain =
        Layout::from_interfaces(t, vec![interface(0, 0, InterfaceType::Interface)]).unwrap();
    assert!(plain.notes[0].contains("without EFA"), "{:?}", plain.notes);
}

#[test]
fn drawings_fold_equal_cards_and_escape() {
    let t = get("p5.48xlarge");
    let layout = t.layout(&request(Profile::IpBandwidth)).unwrap();
    let rows: Vec<_> = layout.draw().lines().map(str::to_owned).collect();
    assert_eq!(
        rows[3].split_whitespace().collect::<Vec<_>>(),
        ["0", "[interface]", "[efa-only]"]
    );
    assert!(
        rows[4].starts_with("1-3, 5-7, 9-11") && rows[4].ends_with("[efa-only]   ."),
        "{}",
        rows[4]
    );
    assert!(
        rows[5].starts_with("4, 8, ... 28  ") && rows[5].ends_with("[interface]"),
        "{}",
        rows[5]
    );
    assert!(
        t.draw()
            .contains("0-31           2           100   interface, efa, efa-only"),
        "{}",
        t.draw()
    );

    let lone = get("c5n.18xlarge")
        .layout(&Request::default().public_ip(PublicIp::LoneEfa))
        .unwrap();
    assert!(lone.draw().contains("[efa + public IP]"));
    let mut forged = lone;
    forged.instance_type = "<script>&\"'".to_owned();
    let html = forged.to_html();
    assert!(
        html.contains("&lt;script&gt;&amp;&quot;&#39;") && !html.contains("<script"),
        "{html}"
    );
    assert!(t.to_html().starts_with("<div><p>p5.48xlarge: 192 vCPUs"));
}

/// Every layout of every type can be kept in one tag.
#[test]
fn notations_fit_a_tag() {
    let mut longest = 0;
    for t in catalog() {
        for efa in 1..=t.maximum_efa_interfaces {
            for profile in Profile::ALL {
                let Ok(layout) = t.layout(&request(profile).efa(efa)) else {
                    continue;
                };
                let text = layout.notation();
                assert!(
                    text.chars()
                        .all(|c| c.is_ascii_alphanumeric() || " +-=._:/@".contains(c)),
                    "{text}"
                );
                assert_eq!(parse_notation(&text).unwrap(), layout.interfaces, "{text}");
                longest = longest.max(text.len());
            }
        }
    }
    assert!(longest <= 256, "{longest}");
}
