//! Failures on order, in front of any implementation of AWS.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::call::ENDPOINT;
use super::{Call, FakeAws};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::failure::{self, Attempts};

mod forward;

/// A fault that happens to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// AWS refuses the call with this code and message, and changes nothing.
    Refused(String, String),
    /// The call never arrives, and the SDK has given up.
    Unreachable,
    /// The call is carried out, its reply is lost, and the SDK has given up.
    ReplyLost,
    /// The call is carried out, its reply is lost, and the SDK sends it again: the answer is the
    /// second one's.
    SentTwice,
    /// The call is carried out, its reply is lost, the SDK sends it again, and AWS refuses that
    /// with this code and message.
    LostThenRefused(String, String),
    /// The call never arrives and never ends: for tests of futures that are dropped.
    Hangs,
    /// The call is carried out and never ends.
    HangsAfter,
    /// AWS limits the rate of requests, and the SDK has given up: `RequestLimitExceeded`.
    Throttled,
    /// The zone is full: `InsufficientInstanceCapacity`.
    NoCapacity,
    /// AWS does not see yet what was made moments ago: a read finds nothing, a change of something
    /// is refused with the code for that, such as `InvalidGroup.NotFound`. Calls that name nothing
    /// are carried out.
    NotFound,
}

impl Fault {
    /// Creates a refusal with this code, such as `UnauthorizedOperation`.
    #[must_use]
    pub fn refused(code: &str) -> Self {
        Self::Refused(code.to_owned(), "injected by a test".to_owned())
    }

    /// Creates a fault: the call is carried out, its reply is lost, and when the SDK sends it
    /// again, AWS refuses it with this code.
    #[must_use]
    pub fn lost_then_refused(code: &str) -> Self {
        Self::LostThenRefused(code.to_owned(), "injected by a test".to_owned())
    }

    /// The error that the caller of `call` gets, where the fault is one.
    fn error(&self, call: Call) -> Option<Error> {
        let refused = |code: &str, message: &str| refusal(call, code, message);
        Some(match self {
            Self::Refused(code, message) => refused(code, message),
            Self::Unreachable | Self::ReplyLost => {
                let action = sent_as(call);
                let error = failure::unreachable(action, ENDPOINT, "injected by a test");
                let attempts = Attempts::one(&error);
                failure::of_call(error, action, ENDPOINT, attempts)
            }
            Self::LostThenRefused(code, message) => {
                let action = sent_as(call);
                let error = failure::refused(action, code, message);
                let one = Attempts::one(&error);
                let attempts = Attempts {
                    sent: one.sent + 1,
                    ..one
                };
                failure::of_call(error, action, ENDPOINT, attempts)
            }
            Self::Throttled => refused("RequestLimitExceeded", "Request limit exceeded."),
            Self::NoCapacity => refused(
                "InsufficientInstanceCapacity",
                "We currently do not have sufficient capacity in the Availability Zone you \
                 requested.",
            ),
            Self::NotFound => refused(call.not_found()?, "It does not exist."),
            Self::SentTwice | Self::Hangs | Self::HangsAfter => return None,
        })
    }
}

impl Failing<FakeAws> {
    /// Returns a client that goes through these failures to the fake, and waits on its clock.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Arc::new(self.clone())).with_clock(Arc::new(self.inner.clock().clone()))
    }
}

/// Returns the error of a call that AWS refuses with this code and message, as the real
/// implementation makes it: for fakes of your own.
#[must_use]
pub fn refusal(call: Call, code: &str, message: &str) -> Error {
    let action = sent_as(call);
    let error = failure::refused(action, code, message);
    let attempts = Attempts::one(&error);
    failure::of_call(error, action, ENDPOINT, attempts)
}

/// The action that AWS is asked for.
const fn sent_as(call: Call) -> &'static str {
    match call {
        Call::DryRunInstances => Call::RunInstances.action(),
        call => call.action(),
    }
}

/// One call that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Which.
    pub call: Call,
    /// Its number among all calls, from 1.
    pub number: usize,
    /// Its number among the calls of its kind, from 1.
    pub nth: usize,
}

type Rule = Box<dyn FnMut(Sent) -> Option<Fault> + Send>;

#[derive(Default)]
struct Orders {
    rules: Vec<Rule>,
    sent: Vec<Sent>,
    counts: BTreeMap<Call, usize>,
    struck: usize,
}

/// An implementation of AWS in front of another: it fails calls on order, hands on the others,
/// and keeps a log of all. Clones share orders and log.
///
/// ```
/// use efa_core::testing::{Call, Failing, FakeAws, Fault};
/// use efa_core::ClusterSpec;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let aws = Failing::new(FakeAws::new());
/// let client = aws.client();
/// let spec = aws.inner().spec("train", "c5n.18xlarge", 2);
/// let plan = client.plan(&spec).await.unwrap();
///
/// aws.fail(Call::RunInstances, 1, Fault::ReplyLost);
/// let error = client.apply(&plan).await.unwrap_err();
/// assert!(error.may_have_changed_aws());
/// // The instances were launched: applying again finds them.
/// assert_eq!(client.apply(&plan).await.unwrap().instances.len(), 2);
/// assert_eq!(aws.inner().instances().len(), 2);
/// # });
/// ```
#[derive(Clone)]
pub struct Failing<A> {
    inner: A,
    orders: Arc<Mutex<Orders>>,
}

impl<A> Failing<A> {
    /// Wraps `inner`, and fails nothing yet.
    pub fn new(inner: A) -> Self {
        Self {
            inner,
            orders: Arc::default(),
        }
    }

    /// Returns what the calls go to.
    pub fn inner(&self) -> &A {
        &self.inner
    }

    /// Fails the `nth` call of this kind from now on, counted from 1.
    pub fn fail(&self, call: Call, nth: usize, fault: Fault) {
        let before = self.count(call);
        self.fail_when(move |sent| {
            (sent.call == call && sent.nth == before + nth).then(|| fault.clone())
        });
    }

    /// Fails every call of this kind.
    pub fn fail_always(&self, call: Call, fault: Fault) {
        self.fail_when(move |sent| (sent.call == call).then(|| fault.clone()));
    }

    /// Asks `rule` about every call; the first rule that gives a fault wins.
    pub fn fail_when(&self, rule: impl FnMut(Sent) -> Option<Fault> + Send + 'static) {
        self.orders().rules.push(Box::new(rule));
    }

    /// Takes all orders back and empties the log.
    pub fn reset(&self) {
        *self.orders() = Orders::default();
    }

    /// Returns every call since the last reset, in order; those that failed too.
    #[must_use]
    pub fn sent(&self) -> Vec<Call> {
        self.orders().sent.iter().map(|sent| sent.call).collect()
    }

    /// Returns how many calls of this kind were made since the last reset.
    #[must_use]
    pub fn count(&self, call: Call) -> usize {
        self.orders().counts.get(&call).copied().unwrap_or(0)
    }

    /// Returns how many calls a fault has struck since the last reset.
    #[must_use]
    pub fn struck(&self) -> usize {
        self.orders().struck
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, call: Call) -> Option<Fault> {
        let mut orders = self.orders();
        let nth = orders.counts.entry(call).or_insert(0);
        *nth += 1;
        let sent = Sent {
            call,
            nth: *nth,
            number: orders.sent.len() + 1,
        };
        orders.sent.push(sent);
        let fault = orders.rules.iter_mut().find_map(|rule| rule(sent));
        orders.struck += usize::from(fault.is_some());
        fault
    }

    /// A call that reads: to one that finds nothing, the answer is empty.
    async fn read<T, F>(&self, call: Call, send: impl Fn() -> F + Send) -> Result<T>
    where
        T: Default + Send,
        F: Future<Output = Result<T>> + Send,
    {
        match self.next(call) {
            Some(Fault::NotFound) if call.not_found().is_none() => Ok(T::default()),
            fault => Self::strike(call, fault, send).await,
        }
    }

    async fn call<T: Send, F>(&self, call: Call, send: impl Fn() -> F + Send) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        Self::strike(call, self.next(call), send).await
    }

    async fn strike<T: Send, F>(
        call: Call,
        fault: Option<Fault>,
        send: impl Fn() -> F + Send,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let Some(fault) = fault else {
            return send().await;
        };
        if matches!(
            fault,
            Fault::ReplyLost | Fault::SentTwice | Fault::LostThenRefused(..) | Fault::HangsAfter
        ) {
            // Nobody receives the answer.
            drop(send().await);
        }
        if matches!(fault, Fault::Hangs | Fault::HangsAfter) {
            return std::future::pending().await;
        }
        match fault.error(call) {
            Some(error) => Err(error),
            None => send().await,
        }
    }
}

impl<A: fmt::Debug> fmt::Debug for Failing<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failing")
            .field("inner", &self.inner)
            .field("sent", &self.orders().sent.len())
            .finish_non_exhaustive()
    }
}
