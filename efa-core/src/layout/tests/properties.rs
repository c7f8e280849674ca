//! Over all types, profiles, counts and public IP choices: planned or refused, never wrong.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn any_type() -> impl Strategy<Value = &'static InstanceType> {
    select(catalog().iter().collect::<Vec<_>>())
}

/// Mostly types with several cards, where mistakes are possible.
fn multi_card() -> impl Strategy<Value = &'static InstanceType> {
    select(
        catalog()
            .iter()
            .filter(|t| t.multi_card())
            .collect::<Vec<_>>(),
    )
}

prop_compose! {
    fn any_request()(
        profile in select(Profile::ALL.to_vec()),
        efa in proptest::option::of(0u32..34),
        public_ip in select(PublicIp::ALL.to_vec()),
    ) -> Request {
        Request { profile, efa, public_ip }
    }
}

prop_compose! {
    /// A planned layout, of a request that the type allows.
    fn planned()(t in multi_card(), profile in select(Profile::ALL.to_vec()), part in 1u32..33)
        -> (&'static InstanceType, Layout)
    {
        let efa = part.min(t.maximum_efa_interfaces);
        let layout = t.layout(&request(profile).efa(efa)).or_else(|_| t.layout(&Request::default()));
        (t, layout.unwrap())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Either a typed refusal, or a layout that breaks no rule, has as many EFAs as asked for,
    /// and survives its notation and JSON.
    #[test]
    fn a_request_is_planned_or_refused(t in any_type(), request in any_request()) {
        match t.layout(&request) {
            Ok(layout) => {
                prop_assert_eq!(codes(t, &layout.interfaces), vec![]);
                if let Some(efa) = request.efa {
                    prop_assert_eq!(layout.efa_count(), efa as usize);
                }
                prop_assert!(layout.interfaces.is_sorted_by_key(NetworkInterface::slot));
                prop_assert_eq!(&parse_notation(&layout.notation()).unwrap(), &layout.interfaces);
                let json = serde_json::to_string(&layout).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Layout>(&json).unwrap(), &layout);
                let own = Layout::from_interfaces(t, layout.interfaces.clone()).unwrap();
                prop_assert_eq!(own.interfaces, layout.interfaces);
            }
            Err(error) => {
                let expected = [
                    Code::LayoutEfaCountOutOfRange,
                    Code::LayoutProfileNotPossible,
                    Code::LayoutPublicIpNotPossible,
                ];
                prop_assert!(expected.contains(&error.code()), "{}", error);
                prop_assert!(error.cure().is_some());
                prop_assert_eq!(error.context_value("instance_type"), Some(t.name.as_str()));
                prop_assert!(error.context_value("value").is_some());
            }
        }
    }

    // One change to a valid layout, and the rule that must notice it: no rule is vacuous.

    #[test]
    fn without_its_primary((t, mut layout) in planned()) {
        layout.interfaces.remove(0);
        prop_assert!(codes(t, &layout.interfaces).contains(&Code::LayoutPrimaryMissing));
    }

    #[test]
    fn with_an_efa_only_primary((t, mut layout) in planned()) {
        layout.interfaces[0] = interface(0, 0, InterfaceType::EfaOnly);
        prop_assert!(codes(t, &layout.interfaces).contains(&Code::LayoutPrimaryEfaOnly));
    }

    #[test]
    fn on_a_card_that_is_not_there((t, mut layout) in planned(), beyond in 0u32..100) {
        let index = u32::try_from(t.network_cards.len()).unwrap() + beyond;
        layout.interfaces.push(interface(index, 0, InterfaceType::Interface));
        prop_assert_eq!(codes(t, &layout.interfaces), vec![Code::LayoutUnknownNetworkCard]);
    }

    #[test]
    fn with_a_device_index_too_high((t, mut layout) in planned(), at in any::<prop::sample::Index>(), beyond in 0u32..9) {
        let interface = at.get_mut(&mut layout.interfaces);
        let card = t.card(interface.network_card_index).unwrap();
        interface.device_index = DeviceIndex::new(card.maximum_network_interfaces + beyond);
        prop_assert!(codes(t, &layout.interfaces).contains(&Code::LayoutDeviceIndexOutOfRange));
    }

    #[test]
    fn with_a_slot_taken_twice((t, mut layout) in planned(), at in any::<prop::sample::Index>()) {
        let twice = at.get(&layout.interfaces).clone();
        layout.interfaces.push(twice);
        prop_assert!(codes(t, &layout.interfaces).contains(&Code::LayoutDuplicateInterface));
    }

    #[test]
    fn with_a_type_that_no_card_takes((t, mut layout) in planned(), at in any::<prop::sample::Index>()) {
        at.get_mut(&mut layout.interfaces).interface_type = InterfaceType::Other("branch".to_owned());
        prop_assert!(codes(t, &layout.interfaces).contains(&Code::LayoutInterfaceTypeNotAccepted));
    }

    #[test]
    fn with_two_efas_on_a_card((t, mut layout) in planned(), at in any::<prop::sample::Index>()) {
        let efas: Vec<_> = layout.interfaces.iter().filter(|i| i.interface_type.is_efa()).cloned().collect();
        let first = at.get(&efas);
        let second = interface(first.network_card_index.get(), first.device_index.get() + 1, InterfaceType::EfaOnly);
        layout.interfaces.retain(|i| i.slot() != second.slot());
        layout.interfaces.push(second);
        prop_assert!(codes(t, &layout.interfaces).contains(&Code::LayoutSeveralEfaPerCard));
    }

    #[test]
    fn with_more_efas_than_the_type_has((t, layout) in planned()) {
        let mut less = t.clone();
        less.maximum_efa_interfaces = u32::try_from(layout.efa_count()).unwrap() - 1;
        prop_assert_eq!(codes(t, &layout.interfaces), vec![]);
        prop_assert!(codes(&less, &layout.interfaces).contains(&Code::LayoutTooManyEfa));
    }

    #[test]
    fn with_ip_on_an_efa_only((t, mut layout) in planned(), field in 0..3) {
        let Some(efa_only) = layout.interfaces.iter_mut().find(|i| i.interface_type == InterfaceType::EfaOnly) else {
            return Ok(());
        };
        match field {
            0 => efa_only.associate_public_ip_address = Some(true),
            1 => efa_only.ipv4_address_count = Some(1),
            _ => efa_only.ipv4_prefix_count = Some(1),
        }
        prop_assert!(codes(t, &layout.interfaces).contains(&Code::LayoutEfaOnlyWithIp));
    }

    #[test]
    fn with_a_public_ip_and_others((t, mut layout) in planned()) {
        layout.interfaces[0].associate_public_ip_address = Some(true);
        let expected =
            if layout.len() == 1 { vec![] } else { vec![Code::LayoutPublicIpWithSeveralInterfaces] };
        prop_assert_eq!(codes(t, &layout.interfaces), expected);
    }

    #[test]
    fn without_any_change((t, layout) in planned()) {
        prop_assert_eq!(codes(t, &layout.interfaces), vec![]);
    }
}
