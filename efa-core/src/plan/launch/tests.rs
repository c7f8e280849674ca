use super::*;

type Sent = (Option<String>, Option<String>, Option<String>);

/// Market type, reservation preference and reservation target of a market.
fn sent(market: &Market) -> Sent {
    let specification = reservation(market);
    let preference = specification
        .as_ref()
        .and_then(|s| s.capacity_reservation_preference.as_ref());
    let target = specification
        .as_ref()
        .and_then(|s| s.capacity_reservation_target.as_ref());
    (
        market_options(market, None).map(|options| options.market_type.to_string()),
        preference.map(ToString::to_string),
        target.and_then(|target| {
            let id = target.capacity_reservation_id.as_ref();
            id.or(target.capacity_reservation_resource_group_arn.as_ref())
                .cloned()
        }),
    )
}

#[test]
fn markets_are_sent_as_ec2_wants_them() {
    let some = |text: &str| Some(text.to_owned());
    let id = || "cr-1".to_owned();
    let cases = [
        (Market::OnDemand, (None, None, None)),
        (Market::Open, (None, some("open"), None)),
        (Market::Reservation(id()), (None, None, some("cr-1"))),
        (Market::Spot, (some("spot"), None, None)),
        (
            Market::CapacityBlock(id()),
            (some("capacity-block"), None, some("cr-1")),
        ),
        (
            Market::ReservationGroup("arn:x".to_owned()),
            (None, some("capacity-reservations-only"), some("arn:x")),
        ),
    ];
    for (market, expected) in cases {
        assert_eq!(sent(&market), expected, "{market:?}");
    }
}
