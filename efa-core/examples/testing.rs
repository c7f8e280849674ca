//! A small program over efa-core, and its tests without AWS: a training job asks for a cluster,
//! takes what there is, and cleans up when it cannot have it.
//!
//! `cargo test -p efa-core --features testing --example testing` runs the tests, `cargo run` with
//! the same words shows one run.

use efa_core::error::Code;
use efa_core::testing::FakeAws;
use efa_core::{Client, Cluster, ClusterSpec, Error};

/// How a request for a cluster ended.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // there is one in a program
enum Request {
    /// The cluster runs, as planned.
    Running(Cluster),
    /// No zone had room. Nothing was left behind: ask again later.
    Later(String),
}

/// Starts the cluster of `spec`. When AWS does not answer, it asks once more: `apply` finds what
/// the lost call made.
async fn start(client: &Client, spec: &ClusterSpec) -> Result<Request, Error> {
    let plan = client.plan(spec).await?;
    let applied = match client.apply(&plan).await {
        Err(error) if error.code() == Code::Ec2Unreachable => client.apply(&plan).await,
        applied => applied,
    };
    match applied {
        Ok(cluster) => Ok(Request::Running(cluster)),
        Err(error) => {
            // The groups of the cluster exist already.
            client.destroy(&spec.name).await?;
            if error.code() == Code::ProvisionNoCapacity {
                Ok(Request::Later(error.to_string()))
            } else {
                Err(error)
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let aws = FakeAws::new();
    let client = aws.client().with_progress(|event| println!("  {event}"));
    match start(&client, &aws.spec("train", "p5.48xlarge", 2)).await? {
        Request::Running(cluster) => println!("{cluster}"),
        Request::Later(why) => println!("later: {why}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use efa_core::testing::{Call, Failing, Fault};

    use super::*;

    #[tokio::test]
    async fn the_cluster_runs() {
        let aws = FakeAws::new();
        let spec = aws.spec("train", "p5.48xlarge", 2);
        let Ok(Request::Running(cluster)) = start(&aws.client(), &spec).await else {
            panic!("it should run");
        };
        assert_eq!(cluster.instances, aws.instances());
        assert_eq!(cluster.instances[0].interfaces.len(), 33);
    }

    #[tokio::test]
    async fn a_full_zone_is_passed_over() {
        let aws = FakeAws::new();
        aws.fill_zone("us-east-1a");
        let spec = aws.spec("train", "p5.48xlarge", 2);
        let Ok(Request::Running(cluster)) = start(&aws.client(), &spec).await else {
            panic!("another zone has room");
        };
        assert_eq!(cluster.instances[0].availability_zone, "us-east-1b");
    }

    #[tokio::test]
    async fn without_room_nothing_is_left_behind() {
        let aws = FakeAws::new();
        for zone in ["us-east-1a", "us-east-1b", "us-east-1c"] {
            aws.fill_zone(zone);
        }
        let spec = aws.spec("train", "p5.48xlarge", 2);
        let Ok(Request::Later(why)) = start(&aws.client(), &spec).await else {
            panic!("no zone has room");
        };
        assert!(why.contains("us-east-1c"), "{why}");
        assert!(aws.resources().is_empty());
    }

    #[tokio::test]
    async fn a_lost_reply_launches_nothing_twice() {
        let aws = Failing::new(FakeAws::new());
        aws.fail(Call::RunInstances, 1, Fault::ReplyLost);
        let spec = aws.inner().spec("train", "p5.48xlarge", 2);
        let Ok(Request::Running(cluster)) = start(&aws.client(), &spec).await else {
            panic!("the second apply finds the instances");
        };
        assert_eq!(cluster.instances.len(), 2);
        assert_eq!(aws.inner().instances().len(), 2);
    }

    #[tokio::test]
    async fn a_missing_permission_is_the_callers_error() {
        let aws = Failing::new(FakeAws::new());
        aws.fail_always(
            Call::CreatePlacementGroup,
            Fault::refused("UnauthorizedOperation"),
        );
        let spec = aws.inner().spec("train", "p5.48xlarge", 2);
        let error = start(&aws.client(), &spec).await.expect_err("not allowed");
        assert_eq!(error.ec2_code(), Some("UnauthorizedOperation"));
        assert!(aws.inner().resources().is_empty());
    }
}
