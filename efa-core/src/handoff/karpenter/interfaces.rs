//! The interfaces of a plan as Karpenter can give them.

use super::options::KarpenterInterfaces;
use crate::catalog::InstanceType;
use crate::error::{Error, Result};
use crate::handoff::document::{Document, Node, mapping, yaml_text};
use crate::handoff::launch_template::not_possible;
use crate::layout::{Layout, NetworkInterface, violations};
use crate::plan::Plan;
use crate::types::InterfaceType;

/// The CRD's limit on `networkInterfaces`.
const LIMIT: usize = 150;

/// The interfaces of a node; as many EFAs as planned, and EC2 takes them.
pub(super) fn node_interfaces(
    plan: &Plan,
    choice: KarpenterInterfaces,
) -> Result<Vec<NetworkInterface>> {
    match choice {
        KarpenterInterfaces::Static => listed(plan),
        KarpenterInterfaces::Dynamic => derived(plan),
    }
}

fn listed(plan: &Plan) -> Result<Vec<NetworkInterface>> {
    let planned = plan.layout();
    let public = planned
        .interfaces
        .iter()
        .any(|i| i.associate_public_ip_address == Some(true));
    if public {
        return Err(refused(
            plan,
            "a public IP address at launch goes to a lone interface, which Karpenter makes no EFA",
        ));
    }
    if planned
        .interfaces
        .iter()
        .any(|i| i.ipv4_address_count.is_some() || i.ipv4_prefix_count.is_some())
    {
        return Err(not_possible(
            "Karpenter gives further addresses to all interfaces or none (ipPrefixCount)",
            "plan interfaces without address and prefix counts",
            "interfaces",
            &planned.notation(),
        ));
    }
    let interfaces = rewritten(&planned.interfaces);
    if let Some(reason) = karpenter_refuses(&interfaces) {
        return Err(refused(plan, &reason));
    }
    if let Some(violation) = violations(plan.instance_type(), &interfaces).first() {
        let efa = "Karpenter takes no interface of type efa, and there is no room for interface \
                   and efa-only in its place";
        return Err(refused(plan, &format!("{efa}: {}", violation.message)));
    }
    Ok(interfaces)
}

fn derived(plan: &Plan) -> Result<Vec<NetworkInterface>> {
    let public = plan.layout().interfaces.first();
    let public = public.and_then(|i| i.associate_public_ip_address) == Some(true);
    let interfaces = dynamic_interfaces(plan.instance_type(), public);
    if let Some(violation) = violations(plan.instance_type(), &interfaces).first() {
        return Err(not_possible(
            &format!(
                "the interfaces that Karpenter derives fail for {}: {}",
                plan.instance_type().name,
                violation.message
            ),
            alternatives(plan.instance_type()),
            "interfaces",
            "dynamic",
        ));
    }
    let planned = plan.layout().efa_count();
    if planned != interfaces.len() {
        return Err(not_possible(
            &format!(
                "Karpenter derives {} EFA, the plan has {planned}",
                interfaces.len()
            ),
            "use interfaces static, or plan with all EFAs",
            "interfaces",
            "dynamic",
        ));
    }
    Ok(interfaces)
}

fn refused(plan: &Plan, reason: &str) -> Error {
    not_possible(
        reason,
        alternatives(plan.instance_type()),
        "interfaces",
        &plan.layout().notation(),
    )
}

/// What else there is, for this type.
fn alternatives(instance_type: &InstanceType) -> &'static str {
    let empty = |interfaces: &[_]| violations(instance_type, interfaces).is_empty();
    if empty(&dynamic_interfaces(instance_type, false)) {
        "use interfaces dynamic, where Karpenter derives them from what pods request"
    } else {
        "plan interfaces that are interface and efa-only alone, with one interface on card 0, \
         device 0; or use a managed node group: to_launch_template(launcher=eks-managed-node-group)"
    }
}

/// Each `efa` as `interface` in its place and `efa-only` on the next free device of its card.
pub(crate) fn rewritten(interfaces: &[NetworkInterface]) -> Vec<NetworkInterface> {
    let mut written: Vec<NetworkInterface> = interfaces.to_vec();
    for at in 0..written.len() {
        if written[at].interface_type != InterfaceType::Efa {
            continue;
        }
        written[at].interface_type = InterfaceType::Interface;
        let card = written[at].network_card_index;
        let taken = |device: u32| {
            let mut on_card = written.iter().filter(|i| i.network_card_index == card);
            on_card.any(|i| i.device_index.get() == device)
        };
        let free = (0..).find(|device| !taken(*device)).unwrap_or_default();
        written.push(NetworkInterface::new(
            card.get(),
            free,
            InterfaceType::EfaOnly,
        ));
    }
    written.sort_by_key(|i| (i.network_card_index, i.device_index));
    written
}

/// What Karpenter launches for a pod that requests EFA, without `networkInterfaces`:
/// `pkg/providers/launchtemplate/launchtemplate.go` (`generateNetworkInterfaces`).
pub(crate) fn dynamic_interfaces(
    instance_type: &InstanceType,
    public: bool,
) -> Vec<NetworkInterface> {
    let efa = |card| {
        let device = u32::from(card > 0);
        let mut interface = NetworkInterface::new(card, device, InterfaceType::Efa);
        interface.associate_public_ip_address = Some(public);
        interface
    };
    (0..instance_type.maximum_efa_interfaces).map(efa).collect()
}

/// The first rule of the CRD that the interfaces break.
pub(crate) fn karpenter_refuses(interfaces: &[NetworkInterface]) -> Option<String> {
    let other = interfaces.iter().find(|i| {
        !matches!(
            i.interface_type,
            InterfaceType::Interface | InterfaceType::EfaOnly
        )
    });
    if let Some(other) = other {
        return Some(format!(
            "Karpenter takes no interface of type {}",
            other.interface_type
        ));
    }
    let primary = |i: &NetworkInterface| i.interface_type == InterfaceType::Interface;
    if !interfaces.iter().any(|i| i.is_primary() && primary(i)) {
        return Some("Karpenter wants type interface on network card 0, device 0".to_owned());
    }
    (interfaces.len() > LIMIT).then(|| format!("Karpenter takes at most {LIMIT} interfaces"))
}

/// `networkInterfaces` of an EC2NodeClass.
pub(super) fn nodes(layout: &Layout) -> Vec<Node> {
    layout.interfaces.iter().map(interface_node).collect()
}

fn interface_node(interface: &NetworkInterface) -> Node {
    mapping! {
        "networkCardIndex" => interface.network_card_index.get(),
        "deviceIndex" => interface.device_index.get(),
        "interfaceType" => interface.interface_type.as_str(),
    }
}

/// `networkInterfaces` as YAML, for a correction.
pub(crate) fn interfaces_text(interfaces: &[NetworkInterface]) -> String {
    let list: Vec<Node> = interfaces.iter().map(interface_node).collect();
    let value = mapping! { "networkInterfaces" => list };
    yaml_text(&[], &[Document::new(value)])
}
