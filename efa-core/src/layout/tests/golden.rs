//! Layouts that AWS's pages give, or that follow from them, worked out by hand.

use super::*;

/// Type, profile, counts of interfaces, EFA and IP, notation. Origin: EC2 User Guide,
/// efa-acc-inst-types, for `save-ips` and `ip-bandwidth`; the last two profiles are the layouts
/// of existing recipes. `p6e-gb200` with `ip-bandwidth` is not AWS's: it is the general rule on
/// its even cards.
const GOLDEN: &str = "\
c5n.18xlarge         save-ips           2/1/1    0:0=interface 0:1=efa-only
hpc6id.32xlarge      save-ips           2/2/1    0:0=efa 1:0=efa-only
hpc6id.32xlarge      ip-bandwidth       2/2/1    0:0=efa 1:0=efa-only
i7ie.48xlarge        save-ips           2/1/1    0:0=interface 0:1=efa-only
i7ie.48xlarge        ip-bandwidth       3/1/2    0-1:0=interface 0:1=efa-only
hpc7a.96xlarge       save-ips           3/2/1    0:0=interface 0:1=efa-only 1:0=efa-only
hpc7a.96xlarge       ip-bandwidth       4/2/2    0:0=interface 0:1=efa-only 1:0=efa-only 1:1=interface
p4d.24xlarge         save-ips           5/4/1    0:0=interface 0:1=efa-only 1-3:0=efa-only
p4d.24xlarge         ip-bandwidth       8/4/4    0:0=interface 0:1=efa-only 1-3:0=efa-only 1-3:1=interface
p5.48xlarge          save-ips           33/32/1  0:0=interface 0:1=efa-only 1-31:0=efa-only
p5.48xlarge          ip-bandwidth       40/32/8  0:0=interface 0:1=efa-only 1-31:0=efa-only 4-28/4:1=interface
p5e.48xlarge         ip-bandwidth       40/32/8  0:0=interface 0:1=efa-only 1-31:0=efa-only 4-28/4:1=interface
p5.4xlarge           ip-bandwidth       2/1/1    0:0=interface 0:1=efa-only
p5en.48xlarge        save-ips           17/16/1  0:0=interface 0:1=efa-only 1-15:0=efa-only
p5en.48xlarge        ip-bandwidth       32/16/16 0:0=interface 0:1=efa-only 1-15:0=efa-only 1-15:1=interface
trn2.48xlarge        save-ips           17/16/1  0:0=interface 0:1=efa-only 1-15:0=efa-only
trn2.48xlarge        ip-bandwidth       32/16/16 0:0=interface 0:1=efa-only 1-15:0=efa-only 1-15:1=interface
p6-b200.48xlarge     save-ips           9/8/1    0:0=interface 0:1=efa-only 1-7:0=efa-only
p6-b200.48xlarge     ip-bandwidth       16/8/8   0:0=interface 0:1=efa-only 1-7:0=efa-only 1-7:1=interface
p6-b300.48xlarge     save-ips           17/16/1  0:0=interface 1-16:0=efa-only
p6-b300.48xlarge     ip-bandwidth       33/16/17 0:0=interface 1-16:0=efa-only 1-16:1=interface
p6e-gb200.36xlarge   save-ips           5/4/1    0:0=interface 1-13/4:0=efa-only
p5.48xlarge          combined           32/32/32 0:0=efa 1-31:1=efa
p5.48xlarge          efa-only-secondary 32/32/1  0:0=efa 1-31:1=efa-only
hpc6id.32xlarge      combined           2/2/2    0-1:0=efa
hpc6id.32xlarge      efa-only-secondary 2/2/1    0:0=efa 1:0=efa-only
i8ge.48xlarge        combined           1/1/1    0:0=efa
p6-b300.48xlarge     combined           17/16/17 0:0=interface 1-16:1=efa
c5n.18xlarge         combined           1/1/1    0:0=efa
dl1.24xlarge         save-ips           5/4/1    0:0=interface 0:1=efa-only 1-3:0=efa-only
u7inh-32tb.480xlarge save-ips           3/2/1    0:0=interface 0:1=efa-only 1:0=efa-only
p6e-gb200.36xlarge   ip-bandwidth       13/4/9   0-16/2:0=interface 1-13/4:0=efa-only
";

#[test]
fn golden_layouts() {
    for line in GOLDEN.lines() {
        let [name, profile, counts] = {
            let mut words = line.split_ascii_whitespace();
            std::array::from_fn(|_| words.next().unwrap())
        };
        let notation = line
            .split_ascii_whitespace()
            .skip(3)
            .collect::<Vec<_>>()
            .join(" ");
        let layout = get(name)
            .layout(&request(profile.parse().unwrap()))
            .unwrap();
        let counted = format!(
            "{}/{}/{}",
            layout.len(),
            layout.efa_count(),
            layout.ip_count()
        );
        assert_eq!(
            (layout.notation(), counted.as_str()),
            (notation, counts),
            "{line}"
        );
    }
}

/// Layouts that other tools make, and the types on which EC2 refuses them (by our rules).
#[test]
fn layouts_of_other_tools_fail_where_expected() {
    let failing = |layout: &dyn Fn(&InstanceType) -> Vec<NetworkInterface>| {
        let refused = |t: &&InstanceType| !violations(t, &layout(t)).is_empty();
        catalog()
            .iter()
            .filter(refused)
            .map(|t| t.name.as_str())
            .collect::<Vec<_>>()
    };
    let on_every_card = |t: &InstanceType, kind: InterfaceType, device: &dyn Fn(u32) -> u32| {
        let mut interfaces = vec![interface(0, 0, InterfaceType::Efa)];
        interfaces.extend(t.network_cards.iter().skip(1).map(|card| {
            interface(
                card.network_card_index.get(),
                device(card.maximum_network_interfaces),
                kind.clone(),
            )
        }));
        interfaces
    };
    let i7_i8 = [
        "i7ie.48xlarge",
        "i7ie.metal-48xl",
        "i8ge.48xlarge",
        "i8ge.metal-48xl",
    ];
    let seven = [
        &["hpc6id.32xlarge"],
        &i7_i8[..],
        &["p6-b300.48xlarge", "p6e-gb200.36xlarge"],
    ]
    .concat();

    // eksctl: (0,0,efa), (1..n-1,1,efa)
    assert_eq!(
        failing(&|t| on_every_card(t, InterfaceType::Efa, &|_| 1)),
        seven
    );
    // terraform-aws-eks: the same with efa-only
    assert_eq!(
        failing(&|t| on_every_card(t, InterfaceType::EfaOnly, &|_| 1)),
        seven
    );
    // ParallelCluster 3.12: device 0 where a card holds one
    assert_eq!(
        failing(&|t| on_every_card(t, InterfaceType::Efa, &|enis| u32::from(enis > 1))),
        seven[1..]
    );
    // karpenter-provider-aws: MaximumEfaInterfaces times efa at (i, 0 or 1)
    let karpenter = |t: &InstanceType| {
        let one = |i| interface(i, u32::from(i > 0), InterfaceType::Efa);
        (0..t.maximum_efa_interfaces).map(one).collect()
    };
    assert_eq!(
        failing(&karpenter),
        ["hpc6id.32xlarge", "p6-b300.48xlarge", "p6e-gb200.36xlarge"]
    );
    // dstack: as terraform-aws-eks within the EFA limit, with p6-b300's card 0 as interface
    let dstack = |t: &InstanceType| {
        let mut interfaces = on_every_card(t, InterfaceType::EfaOnly, &|_| 1);
        if t.family() == "p6-b300" {
            interfaces[0] = interface(0, 0, InterfaceType::Interface);
        }
        let cards = t.maximum_efa_interfaces as usize + usize::from(t.family() == "p6-b300");
        interfaces.truncate(cards);
        interfaces
    };
    assert_eq!(failing(&dstack), ["hpc6id.32xlarge", "p6e-gb200.36xlarge"]);
    // AWS's general rule, taken literally on every card
    let literal = |t: &InstanceType| {
        let efa = |card: &crate::catalog::NetworkCard| {
            t.accepts(card.network_card_index, &InterfaceType::EfaOnly)
        };
        let mut interfaces = vec![interface(0, 0, InterfaceType::Interface)];
        for card in t.network_cards.iter().filter(|card| efa(card)) {
            let index = card.network_card_index.get();
            interfaces.push(interface(
                index,
                u32::from(index == 0),
                InterfaceType::EfaOnly,
            ));
        }
        interfaces
    };
    assert_eq!(failing(&literal), seven[..5]);
}
