//! A specification that is based on a launch template.

use efa_core::ClusterSpec;
use efa_core::ec2::{LaunchTemplate, TemplateData};
use efa_core::error::Code;
use efa_core::spec::{HostNames, ImageChoice, InstanceProfileChoice};
use efa_core::testing::FakeAws;

use crate::SMALL;

const ID: &str = "lt-0123456789abcdef0";

/// A region with one template, and a specification that is based on it.
fn based_on(set: impl FnOnce(&mut TemplateData)) -> (FakeAws, ClusterSpec) {
    let aws = FakeAws::new();
    let mut data = TemplateData::default();
    set(&mut data);
    aws.add_launch_template(LaunchTemplate::new(ID, "base", 3, data));
    aws.add_key_pair("team");
    let mut spec = aws.spec("train", SMALL, 2);
    spec.launch_template = Some("base:$Latest".parse().unwrap());
    (aws, spec)
}

#[tokio::test]
async fn what_the_template_sets_and_the_specification_does_not_is_taken() {
    let (aws, spec) = based_on(|data| {
        data.key_name = Some("team".to_owned());
        data.threads_per_core = Some(1);
        data.metadata_hop_limit = Some(3);
        data.metadata_tags = true;
        data.host_names = Some("resource-name".to_owned());
        data.instance_tags
            .insert("Name".to_owned(), "trainer".to_owned());
        data.instance_tags.insert("team".to_owned(), "x".to_owned());
    });
    let client = aws.client();
    let plan = client.plan(&spec).await.unwrap();
    let merged = plan.spec();
    assert_eq!(merged.key_name.as_deref(), Some("team"));
    assert_eq!(
        (merged.threads_per_core, merged.metadata_hop_limit),
        (Some(1), Some(3))
    );
    assert_eq!(merged.host_names, Some(HostNames::ResourceName));
    assert_eq!(merged.name_tag.as_deref(), Some("trainer"));
    assert_eq!(merged.tags["team"], "x");
    let line = format!("launch template  {ID}, version 3");
    assert!(
        merged.metadata_tags && plan.to_string().contains(&line),
        "{plan}"
    );
    assert_eq!(efa_core::Plan::from_json(&plan.to_json()).unwrap(), plan);
    // The merged specification is based on the same version still.
    assert_eq!(client.plan(merged).await.unwrap(), plan);
    client.apply(&plan).await.unwrap();
    let report = client.verify("train").await.unwrap();
    assert!(report.is_as_planned(), "{report}");
}

#[tokio::test]
async fn what_contradicts_or_has_no_place_is_refused() {
    type Set = fn(&mut TemplateData);
    let cases: [(&str, Set); 6] = [
        ("instance_type", |data| {
            data.instance_type = Some("p5.48xlarge".to_owned())
        }),
        ("image", |data| {
            data.image_id = Some("ami-0123456789abcdef0".to_owned())
        }),
        ("instance_profile", |data| {
            data.instance_profile_name = Some("other".to_owned());
        }),
        ("tags", |data| {
            drop(data.instance_tags.insert("team".to_owned(), "y".to_owned()))
        }),
        ("capacity", |data| data.capacity = Some("open".to_owned())),
        ("launch_template", |data| {
            data.others = vec!["NetworkInterfaces".to_owned()]
        }),
    ];
    for (field, set) in cases {
        let (aws, mut spec) = based_on(set);
        spec.instance_profile = InstanceProfileChoice::Use("nodes".to_owned());
        spec.tags.insert("team".to_owned(), "x".to_owned());
        spec.capacity = efa_core::spec::Capacity::Spot;
        let error = aws.client().plan(&spec).await.unwrap_err();
        assert_eq!(error.code(), Code::PlanConflict, "{error}");
        assert_eq!(error.context_value("field"), Some(field), "{error}");
        assert!(error.cure().is_some());
    }
    let (aws, mut spec) = based_on(|_| {});
    spec.image = ImageChoice::LaunchTemplate;
    let error = aws.client().plan(&spec).await.unwrap_err();
    assert_eq!(error.context_value("field"), Some("image"), "{error}");
    spec.launch_template = Some("base:4".parse().unwrap());
    let error = aws.client().plan(&spec).await.unwrap_err();
    assert_eq!(error.code(), Code::PlanResourceNotFound, "{error}");
    spec.launch_template = None;
    let error = aws.client().plan(&spec).await.unwrap_err();
    assert_eq!(error.code(), Code::PlanInvalidSpec, "{error}");
}
