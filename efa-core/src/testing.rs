//! Parts for your own tests, behind the feature `testing`: an AWS in memory, failures on order, and
//! a clock that never makes a test wait.
//!
//! ```toml
//! [dev-dependencies]
//! efa-core = { version = "0.1", features = ["testing"] }
//! ```
//!
//! - [`FakeAws`] is one region in memory with EC2's rules for what the verbs call.
//! - [`Failing`] stands in front of any implementation: it refuses, loses replies and throttles by
//!   call and number, and keeps a log of the calls.
//! - [`PausedClock`] is at its next moment when somebody sleeps on it.
//! - A fake of your own implements [`Ec2`](crate::ec2::Ec2), [`Iam`](crate::iam::Iam),
//!   [`Ssm`](crate::ssm::Ssm) and [`Account`](crate::account::Account) to the extent needed: what it
//!   leaves out answers `ec2.not_implemented`. [`refusal`] makes its errors, and the methods of
//!   the traits are written under [`async_trait`](macro@async_trait).
//!
//! ```
//! use efa_core::testing::{Call, Failing, FakeAws, Fault};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let aws = Failing::new(FakeAws::new());
//! let client = aws.client();
//! let plan = client.plan(&aws.inner().spec("train", "p5.48xlarge", 2)).await?;
//!
//! // The first zone is full, and the reply of the launch is lost.
//! aws.inner().fill_zone("us-east-1a");
//! aws.fail(Call::RunInstances, 2, Fault::ReplyLost);
//! let error = client.apply(&plan).await.unwrap_err();
//! assert_eq!(error.code().as_str(), "ec2.unreachable");
//!
//! // Applying again finds the instances.
//! let cluster = client.apply(&plan).await?;
//! assert_eq!(cluster.instances[0].availability_zone, "us-east-1b");
//! assert_eq!(aws.inner().instances().len(), 2);
//! client.destroy("train").await?;
//! assert!(aws.inner().resources().is_empty());
//! # Ok::<(), efa_core::Error>(())
//! # }).unwrap();
//! ```
//!
//! `examples/testing.rs` is a program with its tests. What goes over HTTP is tested against the
//! stand-in of the Python package, `python -m efa_sdk.testing`, which keeps the same rules.

mod call;
mod clock;
mod failing;
mod fake;

pub use async_trait::async_trait;
pub use call::Call;
pub use clock::PausedClock;
pub use failing::{Failing, Fault, Sent, refusal};
pub use fake::{CommandOutcome, FakeAws};
