//! Roles and instance profiles, and how soon a launch may name a new one.

use efa_core::ec2::Tags;
use efa_core::iam::CreateRole;

use super::world::{Base, World};
use super::{Log, some_tags};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
const MANAGED: &str = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";

const NO_POLICY: &str = "arn:aws:iam::123456789012:policy/none";

fn role(trust: &str, boundary: Option<&str>) -> CreateRole {
    CreateRole {
        role_name: "r".to_owned(),
        trust_policy: trust.to_owned(),
        permissions_boundary: boundary.map(str::to_owned),
        tags: Tags::from([("a".to_owned(), "b".to_owned())]),
    }
}

pub(crate) async fn roles(world: &World, _: &Base, log: &mut Log) {
    let (aws, tags) = (world.aws(), Tags::from([("a".to_owned(), "b".to_owned())]));
    log.see("none", aws.get_role("r").await.unwrap().is_none());
    log.see(
        "none",
        aws.get_instance_profile("r").await.unwrap().is_none(),
    );
    log.note("policies of none", aws.list_role_policies("r").await);
    log.note("attach to none", aws.attach_role_policy("r", MANAGED).await);
    log.note("no trust", aws.create_role(&role("{", None)).await);
    log.note(
        "no boundary",
        aws.create_role(&role(TRUST, Some(NO_POLICY))).await,
    );
    log.see("policy", aws.policy_exists(MANAGED).await.unwrap());
    log.see("no policy", aws.policy_exists(NO_POLICY).await.unwrap());
    let bounded = role(TRUST, Some(MANAGED));
    log.note("role", aws.create_role(&bounded).await);
    log.note("role again", aws.create_role(&bounded).await);
    let made = aws.get_role("r").await.unwrap().unwrap();
    log.see("boundary", made.permissions_boundary);
    log.see("tags", aws.get_role("r").await.unwrap().unwrap().tags);
    log.note("attach", aws.attach_role_policy("r", MANAGED).await);
    log.note("attach again", aws.attach_role_policy("r", MANAGED).await);
    log.see(
        "attached",
        aws.list_attached_role_policies("r").await.unwrap(),
    );
    log.note("put", aws.put_role_policy("r", "p", POLICY).await);
    log.see("inline", aws.list_role_policies("r").await.unwrap());
    log.note("profile", aws.create_instance_profile("r", &tags).await);
    log.note(
        "profile again",
        aws.create_instance_profile("r", &tags).await,
    );
    log.note("add", aws.add_role_to_instance_profile("r", "r").await);
    log.note(
        "add again",
        aws.add_role_to_instance_profile("r", "r").await,
    );
    let profile = aws.get_instance_profile("r").await.unwrap().unwrap();
    log.see(
        "profile",
        (&profile.arn, &profile.role_names, &profile.tags),
    );
    log.note("role in use", aws.delete_role("r").await);
    log.note("profile in use", aws.delete_instance_profile("r").await);
    for what in ["remove", "remove again"] {
        log.note(what, aws.remove_role_from_instance_profile("r", "r").await);
    }
    for what in ["delete profile", "delete profile again"] {
        log.note(what, aws.delete_instance_profile("r").await);
    }
    for what in ["detach", "detach again"] {
        log.note(what, aws.detach_role_policy("r", MANAGED).await);
    }
    for what in ["delete policy", "delete policy again"] {
        log.note(what, aws.delete_role_policy("r", "p").await);
    }
    for what in ["delete role", "delete role again"] {
        log.note(what, aws.delete_role("r").await);
    }
}

pub(crate) async fn new_profiles(world: &World, base: &Base, log: &mut Log) {
    let (aws, tags) = (world.aws(), some_tags());
    aws.create_role(&role(TRUST, None)).await.unwrap();
    aws.create_instance_profile("r", &tags).await.unwrap();
    let mut launch = base.launch("profile");
    launch.profile = Some("r".to_owned());
    for what in ["not yet", "without a role"] {
        log.note(what, launch.dry_run(world).await);
    }
    aws.add_role_to_instance_profile("r", "r").await.unwrap();
    log.note("with a role", launch.dry_run(world).await);
    let parameter = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    log.see(
        "parameter",
        aws.get_parameter(parameter).await.unwrap().is_some(),
    );
    log.see("no parameter", aws.get_parameter("/none").await.unwrap());
    let quota = aws.service_quota("ec2", "L-1216C47A").await.unwrap();
    log.see("quota", quota);
    log.see(
        "no quota",
        aws.service_quota("ec2", "L-00000000").await.unwrap(),
    );
}
