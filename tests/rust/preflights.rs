//! What is looked at before a launch.

use efa_core::error::Code;
use efa_core::preflight;
use efa_core::spec::{Bootstrap, InstanceProfileChoice, InstanceRole};
use efa_core::testing::{Call, Failing, FakeAws, Fault};

use crate::SMALL;
fn check<'a>(report: &'a preflight::Report, name: &str) -> &'a preflight::Check {
    report
        .checks
        .iter()
        .find(|check| check.name == name)
        .unwrap()
}

#[tokio::test]
async fn a_key_pair_is_looked_up_before_anything_is_made() {
    let aws = FakeAws::new();
    let client = aws.client();
    let mut spec = aws.spec("train", SMALL, 2);
    spec.key_name = Some("nope".to_owned());
    let error = client.plan(&spec).await.unwrap_err();
    assert_eq!(error.code(), Code::PlanResourceNotFound);
    assert_eq!(error.context_value("field"), Some("key_name"));
    aws.add_key_pair("nope");
    let plan = client.plan(&spec).await.unwrap();
    let report = client.preflight(&plan).await.unwrap();
    assert_eq!(check(&report, "key_pair").status, preflight::Status::Passed);
    assert!(report.is_ready() && aws.resources().is_empty(), "{report}");
}

#[tokio::test]
async fn nodes_that_install_need_a_way_out() {
    let aws = FakeAws::new();
    let client = aws.client();
    let mut spec = aws.spec("train", "p5.48xlarge", 2);
    spec.instance_profile = InstanceProfileChoice::Make(InstanceRole::default());
    let plan = client.plan(&spec).await.unwrap();
    assert!(client.preflight(&plan).await.unwrap().is_ready());
    assert!(!plan.warnings().join(" ").contains("NAT gateway"), "{plan}");

    for (target, status) in [
        (None, preflight::Status::Failed),
        // 33 interfaces get no public address, so a public subnet is none.
        (Some("igw-0123456789abcdef0"), preflight::Status::Failed),
        (Some("tgw-0123456789abcdef0"), preflight::Status::Unknown),
    ] {
        aws.set_default_route(target);
        let plan = client.plan(&spec).await.unwrap();
        let report = client.preflight(&plan).await.unwrap();
        assert_eq!(check(&report, "way_out").status, status, "{report}");
        assert!(!report.is_ready());
        let warned = plan.warnings().join(" ").contains("NAT gateway");
        assert_eq!(warned, status == preflight::Status::Failed, "{plan}");
    }
    aws.set_default_route(None);
    for service in ["ssm", "ssmmessages"] {
        aws.add_vpc_endpoint(&format!("com.amazonaws.us-east-1.{service}"));
    }
    assert!(client.preflight(&plan).await.unwrap().is_ready());
    spec.bootstrap = Some(Bootstrap::default());
    let plan = client.plan(&spec).await.unwrap();
    let report = client.preflight(&plan).await.unwrap();
    let way = check(&report, "way_out");
    assert_eq!(way.status, preflight::Status::Failed, "{report}");
    assert!(way.detail.contains("can download nothing"), "{report}");
}

#[tokio::test]
async fn quotas_of_interfaces_and_storage_are_counted() {
    let aws = FakeAws::new();
    let client = aws.client();
    let report = async |instance_type: &str, count: u32, size: Option<u32>| {
        let mut spec = aws.spec("train", instance_type, count);
        spec.volume_size_gib = size;
        client
            .preflight(&client.plan(&spec).await.unwrap())
            .await
            .unwrap()
    };
    let many = report("p5.48xlarge", 160, Some(100)).await;
    let interfaces = check(&many, "interface_quota");
    assert_eq!(interfaces.status, preflight::Status::Failed);
    assert!(interfaces.detail.contains("5280"), "{many}");
    assert!(interfaces.detail.contains("5000 allowed"), "{many}");
    assert_eq!(
        check(&many, "volume_quota").status,
        preflight::Status::Passed
    );

    let large = report(SMALL, 300, Some(200)).await;
    let storage = check(&large, "volume_quota");
    assert_eq!(storage.status, preflight::Status::Failed);
    assert!(storage.detail.contains("58.6 TiB"), "{large}");
    assert!(storage.detail.contains("50 allowed"), "{large}");
    assert!(report(SMALL, 100, None).await.is_ready());
}

#[tokio::test]
async fn what_could_not_be_looked_at_is_not_ready() {
    let aws = Failing::new(FakeAws::new());
    let client = aws.client();
    let plan = client
        .plan(&aws.inner().spec("train", SMALL, 2))
        .await
        .unwrap();
    aws.reset();
    aws.fail(
        Call::GetServiceQuota,
        1,
        Fault::refused("AccessDeniedException"),
    );
    let report = client.preflight(&plan).await.unwrap();
    assert_eq!(report.verdict(), preflight::Verdict::Partial);
    assert_eq!(report.unchecked(), ["vcpu_quota"], "{report}");
    assert!(!report.is_ready());
    let first = report.to_string();
    assert!(first.starts_with("preflight of 'train': partial; not checked: vcpu_quota\n"));

    let mut with_key = aws.inner().spec("train", SMALL, 2);
    with_key.volume.kms_key_id = Some("alias/train".to_owned());
    let plan = client.plan(&with_key).await.unwrap();
    let report = client.preflight(&plan).await.unwrap();
    assert_eq!(report.unchecked(), ["volume_keys"], "{report}");
    with_key.volume.kms_key_id = Some("alias/aws/ebs".to_owned());
    let plan = client.plan(&with_key).await.unwrap();
    assert!(client.preflight(&plan).await.unwrap().is_ready());
}
