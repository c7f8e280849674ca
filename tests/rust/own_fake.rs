//! A fake of a user's own, and failures in front of any.

use std::sync::{Arc, Mutex};

use efa_core::account::Account;
use efa_core::ec2::{Ec2, Filter, Instance};
use efa_core::error::Code;
use efa_core::iam::Iam;
use efa_core::ssm::Ssm;
use efa_core::testing::{Call, Failing, FakeAws, Fault, async_trait, refusal};
use efa_core::{Client, ClusterSpec, Result};

use crate::SMALL;
/// A fake of a user: as long as what it needs.
#[derive(Debug)]
struct Mine;

#[async_trait]
impl Ec2 for Mine {
    fn region(&self) -> &str {
        "eu-west-1"
    }

    async fn describe_instances(&self, _: &[Filter]) -> Result<Vec<Instance>> {
        let message = "You are not authorized to perform this operation.";
        Err(refusal(
            Call::DescribeInstances,
            "UnauthorizedOperation",
            message,
        ))
    }
}

impl Iam for Mine {}

impl Ssm for Mine {}

impl Account for Mine {}

#[tokio::test]
async fn a_fake_of_ones_own_implements_what_it_needs() {
    let client = Client::new(Arc::new(Mine));
    let error = client.describe("train").await.unwrap_err();
    assert_eq!(error.ec2_code(), Some("UnauthorizedOperation"));
    assert!(error.cure().is_some());
    let spec = ClusterSpec::new("train", SMALL, 2, "subnet-00000001", "ami-00000001");
    let error = client.plan(&spec).await.unwrap_err();
    assert_eq!(error.code(), Code::Ec2NotImplemented);
    let text = "this AWS does not implement GetCallerIdentity";
    assert_eq!(error.message(), text);
    assert!(!error.is_retryable() && !error.may_have_changed_aws());
}

#[tokio::test]
async fn failures_come_on_order_and_are_logged() {
    let aws = Failing::new(FakeAws::new());
    let client = aws.client();
    let plan = client
        .plan(&aws.inner().spec("train", SMALL, 2))
        .await
        .unwrap();
    aws.reset();
    aws.fail(
        Call::CreatePlacementGroup,
        1,
        Fault::refused("UnauthorizedOperation"),
    );
    let error = client.apply(&plan).await.unwrap_err();
    assert_eq!(error.ec2_code(), Some("UnauthorizedOperation"));
    assert_eq!(error.context_value("action"), Some("CreatePlacementGroup"));
    assert!(error.cure().unwrap().contains("IAM policy"));
    assert_eq!((aws.struck(), aws.count(Call::CreateSecurityGroup)), (1, 1));
    let changing: Vec<Call> = aws
        .sent()
        .into_iter()
        .filter(|call| call.changes())
        .collect();
    assert_eq!(changing.last(), Some(&Call::CreatePlacementGroup));
    assert_eq!(
        error.leftovers().len(),
        1,
        "the security group was looked up"
    );

    let seen = Arc::new(Mutex::new(0));
    let counted = seen.clone();
    aws.fail_when(move |sent| {
        *counted.lock().unwrap() += 1;
        (sent.call == Call::RunInstances).then_some(Fault::Throttled)
    });
    let error = client.apply(&plan).await.unwrap_err();
    assert!(error.is_retryable() && error.context_value("took_effect") == Some("no"));
    assert!(*seen.lock().unwrap() > 5);
    aws.reset();
    assert_eq!(client.apply(&plan).await.unwrap().instances.len(), 2);
}
