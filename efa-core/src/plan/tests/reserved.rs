//! Plans for reserved capacity, and with what others share.

use super::*;

#[test]
fn what_others_own_is_used_as_they_share_it() {
    // The reservation of another account's group places its instances.
    let mut spec_ = spec("p5.48xlarge");
    let mut observed = seen(&spec_);
    let arn = "arn:aws:ec2:us-east-1:210987654321:placement-group/theirs";
    reserve(&mut spec_, &mut observed, Some(arn));
    for choice in [PlacementGroupChoice::Make, PlacementGroupChoice::None] {
        spec_.placement_group = choice;
        let plan = decide_plan(&spec_, observed.clone()).unwrap();
        assert_eq!(plan.placement_group(), None);
    }

    // A shared group is named by its id, from the plan to the launch.
    let id = "pg-0123456789abcdef0";
    let mut spec_ = spec("p5.48xlarge");
    spec_.placement_group = PlacementGroupChoice::Use(id.to_owned());
    let mut observed = seen(&spec_);
    let mut shared = placement_group(PlacementStrategy::Cluster, &[]);
    shared.group_id = id.to_owned();
    shared.group_arn = Some(arn.to_owned());
    shared.group_name = "theirs".to_owned();
    observed.placement_group = Some(shared);
    let plan = decide_plan(&spec_, observed).unwrap();
    let planned = plan.placement_group().unwrap();
    assert_eq!(planned.group_name, "theirs");
    assert_eq!(planned.owner_id.as_deref(), Some("210987654321"));
    let request = plan.run_instances_request(&plan.launch("sg-00000001", "subnet-00000001"));
    let placement = request.data.placement.as_ref().unwrap();
    assert_eq!(placement.group_id.as_deref(), Some(id));
    assert_eq!(placement.group_name, None);
    assert_eq!(
        request.data.instance_tags().unwrap()["efa-sdk:placement-group"],
        id
    );
    assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
}

#[test]
fn a_targeted_reservation_may_be_used_in_a_group_of_ones_own() {
    let mut spec = spec("p5.48xlarge");
    let mut observed = seen(&spec);
    spec.placement_group = PlacementGroupChoice::Use("mine".to_owned());
    reserve(&mut spec, &mut observed, None);
    observed.placement_group = Some(placement_group(PlacementStrategy::Cluster, &[]));
    let plan = decide_plan(&spec, observed).unwrap();
    assert!(plan.placement_group().is_some_and(|g| g.exists));
    let warned = plan.warnings().join("\n");
    assert!(
        warned.contains("was not made in placement group mine"),
        "{warned}"
    );
}

#[test]
fn reserved_capacity_says_where_and_with_which_group() {
    let mut spec = spec("p5.48xlarge");
    spec.capacity = Capacity::Reservation("cr-1".into());
    let plan = |kind: &str, group_arn: Option<&str>| {
        let mut seen = seen(&spec);
        seen.subnets
            .push(subnet("subnet-00000002", "us-east-1b", 250));
        let mut found = reservation(kind);
        found.placement_group_arn = group_arn.map(str::to_owned);
        seen.reservations = vec![found];
        seen.placement_group = group_arn.map(|_| placement_group(PlacementStrategy::Cluster, &[]));
        decide_plan(&spec, seen).unwrap()
    };
    let request =
        |plan: &Plan| plan.run_instances_request(&plan.launch("sg-00000001", "subnet-00000002"));

    let block = plan("capacity-block", None);
    assert_eq!(block.subnet().subnet_id, "subnet-00000002");
    assert_eq!(block.rejected_subnets().len(), 1);
    assert_eq!(
        block.placement_group(),
        None,
        "a Capacity Block places its instances"
    );
    assert_eq!(
        block.capacity().market,
        Market::CapacityBlock("cr-1".into())
    );
    let placement = request(&block).data.placement.unwrap();
    assert_eq!(placement.tenancy.as_deref(), Some("dedicated"));

    let reserved = plan("default", None);
    assert_eq!(
        reserved.placement_group(),
        None,
        "the reservation was made in none"
    );
    assert_eq!(
        reserved.capacity().market,
        Market::Reservation("cr-1".into())
    );

    let arn = "arn:aws:ec2:us-east-1:123456789012:placement-group/mine";
    let grouped = plan("default", Some(arn))
        .placement_group()
        .cloned()
        .unwrap();
    assert_eq!(
        (grouped.group_name.as_str(), grouped.exists, grouped.ours),
        ("mine", true, false)
    );
}
