//! What does not exist is answered with what is nearly called so.

use efa_core::ClusterSpec;
use efa_core::ec2::{Ec2, LaunchTemplate, Tags, TemplateData};
use efa_core::error::{Code, Error};
use efa_core::iam::{CreateRole, Iam};
use efa_core::spec::{
    Capacity, ImageChoice, InstanceProfileChoice, LaunchTemplateBase, PlacementGroupChoice,
    SecurityGroupChoice, Selector,
};
use efa_core::testing::FakeAws;

use crate::{SMALL, reservation};

async fn refused(aws: &FakeAws, change: impl FnOnce(&mut ClusterSpec)) -> Error {
    let mut spec = aws.spec("train", SMALL, 2);
    change(&mut spec);
    aws.client().plan(&spec).await.unwrap_err()
}

fn assert_cure(error: &Error, meant: &str) {
    let cure = error.cure().unwrap_or_default();
    assert!(cure.contains(meant), "'{meant}' is not in: {error}");
    assert!(error.context_value("value").is_some(), "{error}");
}

#[tokio::test]
async fn networks_and_keys() {
    let aws = FakeAws::new();
    aws.add_key_pair("anna-laptop");
    aws.add_security_group("training-nodes", Tags::new());
    aws.change(|vpc, subnets, _| {
        vpc.tags.insert("Name".into(), "research".into());
        subnets[0].tags.insert("Name".into(), "private-1a".into());
    });
    let no_tags = Tags::new();
    let group = aws.create_cluster_placement_group("theirs", &no_tags);
    group.await.unwrap();
    let subnet = aws.subnet_ids().remove(0);
    let other = format!("{}f", &subnet[..subnet.len() - 1]);
    let zone = format!("us-east-1a is a zone: name a subnet in it, such as {subnet}");
    for (text, meant) in [
        ("private-1b", "did you mean private-1a?"),
        (other.as_str(), "did you mean subnet-0"),
        ("us-east-1a", &zone),
        ("us-east-1-a", &zone),
    ] {
        let error = refused(&aws, |s| s.subnets = vec![Selector::subnet(text).unwrap()]).await;
        assert_cure(&error, meant);
        assert_eq!(error.code(), Code::PlanResourceNotFound);
    }
    let error = refused(&aws, |s| s.vpc = Some(Selector::vpc("reserch").unwrap())).await;
    assert_cure(&error, "did you mean research?");
    let error = refused(&aws, |s| {
        let group = Selector::security_group("trainingnodes").unwrap();
        s.security_group = SecurityGroupChoice::Use(group);
    });
    assert_cure(&error.await, "did you mean training-nodes?");
    let error = refused(&aws, |s| {
        s.placement_group = PlacementGroupChoice::Use("their".into());
    });
    assert_cure(&error.await, "did you mean theirs?");
    for (name, meant) in [
        ("ana-laptop", "did you mean anna-laptop?"),
        ("bob", "create or import"),
    ] {
        let error = refused(&aws, |s| s.key_name = Some(name.into())).await;
        assert_cure(&error, meant);
    }
}

#[tokio::test]
async fn profiles_and_the_roles_that_are_none() {
    let aws = FakeAws::new();
    let no_tags = Tags::new();
    for (profile, role) in [("node-profile", "node"), ("other", "another")] {
        let made = aws.create_instance_profile(profile, &no_tags);
        made.await.unwrap();
        let role = CreateRole {
            role_name: role.to_owned(),
            trust_policy: r#"{"Statement":[]}"#.to_owned(),
            permissions_boundary: None,
            tags: Tags::new(),
        };
        aws.create_role(&role).await.unwrap();
    }
    let added = aws.add_role_to_instance_profile("node-profile", "node");
    added.await.unwrap();
    for (name, meant) in [
        ("node-profil", "did you mean node-profile?"),
        ("node", "did you mean node-profile, an instance profile"),
        ("another", "another is a role, and instances take"),
        ("far-away", "make it, name another"),
    ] {
        let choice = InstanceProfileChoice::Use(name.to_owned());
        let error = refused(&aws, |s| s.instance_profile = choice).await;
        assert_cure(&error, meant);
        assert_eq!(error.code(), Code::PlanConflict);
    }
}

#[tokio::test]
async fn reservations_and_launch_templates() {
    let aws = FakeAws::new();
    aws.add_reservation(reservation("cr-0123456789abcdef0", 2));
    let near = Capacity::Reservation("cr-0123456789abcdef1".to_owned());
    let error = refused(&aws, |s| s.capacity = near).await;
    assert_cure(&error, "did you mean cr-0123456789abcdef0?");
    let id = "lt-0123456789abcdef0";
    let template = LaunchTemplate::new(id, "training-base", 1, TemplateData::default());
    aws.add_launch_template(template);
    for (text, meant) in [
        ("trainingbase", "did you mean training-base?"),
        ("training-base:7", "training-base has no version 7"),
    ] {
        let base: LaunchTemplateBase = text.parse().unwrap();
        let error = refused(&aws, |s| s.launch_template = Some(base)).await;
        assert_cure(&error, meant);
    }
}

#[tokio::test]
async fn images_and_their_parameters() {
    let aws = FakeAws::new();
    let al2023 = "al2023-ami-2023.9.20261001.0-kernel-6.1-x86_64";
    let parameters = "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-";
    let of_al2023 = format!("did you mean 'amazon/{al2023}'?");
    let misspelt = format!("amazon/{}", al2023.replace("kernel", "kernal"));
    for (text, meant) in [
        (
            format!("{parameters}x86-64"),
            format!("did you mean {parameters}x86_64, "),
        ),
        ("ssm:/ml/image".into(), "check the image".into()),
        ("amazon/al2023-amis-2023*".into(), of_al2023.clone()),
        (misspelt, of_al2023),
        (
            "amazon/Deep Learning ARM64*".into(),
            "is for arm64 and available".into(),
        ),
        ("amazon/zz*".into(), "check the image".into()),
    ] {
        let image: ImageChoice = text.parse().unwrap();
        let error = refused(&aws, |s| s.image = image).await;
        assert_cure(&error, &meant);
        assert_eq!(error.code(), Code::PlanResourceNotFound);
    }
}
