//! The one error type of efa-core and efa-fabric: a stable code, what was wrong, and the cure.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The codes of one crate, listed by [`error_codes!`](crate::error_codes).
pub trait ErrorCode: fmt::Debug + Copy + Eq + Send + Sync + 'static {
    /// The stages of the crate's flow.
    type Kind;

    /// Returns the dotted form, such as `layout.device_index_out_of_range`.
    fn as_str(self) -> &'static str;

    /// Returns the stage of the flow that the code belongs to.
    fn kind(self) -> Self::Kind;
}

/// Declares a crate's `Code`: each variant with its `ErrorKind` and its dotted form.
#[doc(hidden)]
#[macro_export]
macro_rules! error_codes {
    ($vis:vis enum Code; $($(#[$doc:meta])* $variant:ident = $kind:ident, $code:literal;)+) => {
        /// Every code that an [`Error`] of this crate can have. Codes are added, never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        $vis enum Code { $($(#[$doc])* $variant,)+ }

        impl Code {
            /// All codes, in order of the flow.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the dotted form, which never changes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Returns the stage of the flow that the code belongs to.
            #[must_use]
            pub const fn kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)+ }
            }
        }

        impl $crate::error::ErrorCode for Code {
            type Kind = ErrorKind;

            fn as_str(self) -> &'static str {
                Self::as_str(self)
            }

            fn kind(self) -> ErrorKind {
                Self::kind(self)
            }
        }
    };
}

/// A failure, with a stable [`code`](Self::code), context and, where known, the cure.
///
/// `Display` is one line: the message, then the cure. The type parameter is the crate's list of
/// codes. The constructor and the `with_*` methods are public for your own implementations of
/// this crate's traits, such as a fake of EC2 in a test.
#[derive(Debug)]
pub struct Error<C = Code> {
    inner: Box<Inner<C>>,
}

#[derive(Debug)]
struct Inner<C> {
    code: C,
    message: String,
    cure: Option<String>,
    context: Vec<(&'static str, String)>,
    retryable: bool,
    may_have_changed_aws: bool,
    leftovers: Vec<Leftover>,
    next_command: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl<C: ErrorCode> Error<C> {
    /// Creates an error with this code and message; add to it with the `with_*` methods.
    #[must_use]
    pub fn new(code: C, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                message: message.into(),
                cure: None,
                context: Vec::new(),
                retryable: false,
                may_have_changed_aws: false,
                leftovers: Vec::new(),
                next_command: None,
                source: None,
            }),
        }
    }

    /// Adds what the caller can do about it.
    #[must_use]
    pub fn with_cure(mut self, cure: impl Into<String>) -> Self {
        self.inner.cure = Some(cure.into());
        self
    }

    /// Adds a key-value pair, such as the field, the value or the limit.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.inner.context.push((key, value.to_string()));
        self
    }

    /// Does the same as [`Error::with_context`], unless the key is there already: who is nearer to
    /// the cause knows better.
    #[must_use]
    pub fn with_missing_context(self, key: &'static str, value: impl fmt::Display) -> Self {
        if self.context_value(key).is_some() {
            return self;
        }
        self.with_context(key, value)
    }

    /// Keeps the error that this one follows from.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Sets whether the same call can succeed later without a change by the caller.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.inner.retryable = retryable;
        self
    }

    /// Notes that the failed call may have changed resources.
    #[must_use]
    pub fn changed_aws(mut self) -> Self {
        self.inner.may_have_changed_aws = true;
        self
    }

    /// Lists what of the cluster exists.
    #[must_use]
    pub fn with_leftovers(mut self, leftovers: Vec<Leftover>) -> Self {
        self.inner.leftovers = leftovers;
        self
    }

    /// Sets which call comes next.
    #[must_use]
    pub fn with_next_command(mut self, command: String) -> Self {
        self.inner.next_command = Some(command);
        self
    }

    /// Returns the stage of the flow.
    #[must_use]
    pub fn kind(&self) -> C::Kind {
        self.inner.code.kind()
    }

    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> C {
        self.inner.code
    }

    /// Returns the message without the cure.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns what the caller can do about it, where known.
    #[must_use]
    pub fn cure(&self) -> Option<&str> {
        self.inner.cure.as_deref()
    }

    /// Returns key-value pairs: the field, the value, the limit, the code of EC2 or libfabric …
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.inner.context
    }

    /// Returns the value of one context key.
    #[must_use]
    pub fn context_value(&self, key: &str) -> Option<&str> {
        self.inner
            .context
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v.as_str())
    }

    /// Returns whether the same call can succeed later without a change by the caller.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.inner.retryable
    }

    /// Returns whether the failed call may have changed resources in AWS.
    #[must_use]
    pub fn may_have_changed_aws(&self) -> bool {
        self.inner.may_have_changed_aws
    }

    /// Returns what of the cluster is known to exist in AWS after a failed `apply` or `destroy`;
    /// `destroy` removes it.
    #[must_use]
    pub fn leftovers(&self) -> &[Leftover] {
        &self.inner.leftovers
    }

    /// Returns the call that finishes or undoes a failed `apply` or `destroy`.
    #[must_use]
    pub fn next_command(&self) -> Option<&str> {
        self.inner.next_command.as_deref()
    }
}

impl<C> fmt::Display for Error<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        if let Some(cure) = &self.inner.cure {
            write!(f, "; {cure}")?;
        }
        Ok(())
    }
}

impl<C: fmt::Debug> StdError for Error<C> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner
            .source
            .as_ref()
            .map(|s| s.as_ref() as &(dyn StdError + 'static))
    }
}

/// A resource in EC2 that a failed call left behind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Leftover {
    /// EC2's resource type, such as `security-group` or `instance`.
    pub resource_type: String,
    /// EC2's id of it.
    pub id: String,
}

/// The stage of the flow that an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A query of the catalog, or an instance type that it does not hold.
    Catalog,
    /// A set of network interfaces that EC2 would refuse.
    Layout,
    /// A cluster specification that cannot become a plan.
    Plan,
    /// A call that changes resources in EC2.
    Provision,
    /// What is running differs from what was asked for, or cannot be found.
    Verify,
    /// A plan in another launcher's form, or a document of one.
    Handoff,
    /// EC2 refused a call, or could not be reached.
    Ec2,
}

error_codes! {
    pub enum Code;

    /// The catalog does not hold this instance type.
    CatalogUnknownInstanceType = Catalog, "catalog.unknown_instance_type";
    /// A query has a value out of its range, or a malformed pattern.
    CatalogInvalidQuery = Catalog, "catalog.invalid_query";
    /// A zone was asked for, and the catalog does not know which zone offers which type.
    CatalogNoOfferings = Catalog, "catalog.no_offerings";

    /// No profile of this name.
    LayoutUnknownProfile = Layout, "layout.unknown_profile";
    /// No way of this name to have a public IP address.
    LayoutUnknownPublicIp = Layout, "layout.unknown_public_ip";
    /// The instance type has no EFA.
    LayoutEfaNotSupported = Layout, "layout.efa_not_supported";
    /// More EFA interfaces were requested than the type, or the profile on it, can have.
    LayoutEfaCountOutOfRange = Layout, "layout.efa_count_out_of_range";
    /// The profile is not possible on this type.
    LayoutProfileNotPossible = Layout, "layout.profile_not_possible";
    /// A public IP address at launch is not possible with what was asked for.
    LayoutPublicIpNotPossible = Layout, "layout.public_ip_not_possible";
    /// No interface on network card 0, device 0.
    LayoutPrimaryMissing = Layout, "layout.primary_missing";
    /// The primary interface is EFA-only.
    LayoutPrimaryEfaOnly = Layout, "layout.primary_efa_only";
    /// The type has no network card of this index.
    LayoutUnknownNetworkCard = Layout, "layout.unknown_network_card";
    /// The network card holds fewer interfaces than this device index needs.
    LayoutDeviceIndexOutOfRange = Layout, "layout.device_index_out_of_range";
    /// Two interfaces have the same network card and device index.
    LayoutDuplicateInterface = Layout, "layout.duplicate_interface";
    /// The network card does not take interfaces of this type.
    LayoutInterfaceTypeNotAccepted = Layout, "layout.interface_type_not_accepted";
    /// A network card has more than one EFA.
    LayoutSeveralEfaPerCard = Layout, "layout.several_efa_per_card";
    /// More EFA interfaces than the type can have.
    LayoutTooManyEfa = Layout, "layout.too_many_efa";
    /// An EFA-only interface with something of IP.
    LayoutEfaOnlyWithIp = Layout, "layout.efa_only_with_ip";
    /// A public IP address at launch, and more than one interface.
    LayoutPublicIpWithSeveralInterfaces = Layout, "layout.public_ip_with_several_interfaces";
    /// The layout was made for another instance type.
    LayoutInstanceTypeDiffers = Layout, "layout.instance_type_differs";
    /// The compact text form of a layout cannot be read.
    LayoutNotationUnreadable = Layout, "layout.notation_unreadable";

    /// The cluster specification has a missing or malformed value.
    PlanInvalidSpec = Plan, "plan.invalid_spec";
    /// A resource that the specification names does not exist.
    PlanResourceNotFound = Plan, "plan.resource_not_found";
    /// Two values of the specification, or a value and what EC2 reports, contradict.
    PlanConflict = Plan, "plan.conflict";
    /// A serialised plan cannot be read.
    PlanUnreadable = Plan, "plan.unreadable";
    /// A price list cannot be read, or has no instance.
    PlanPricesUnreadable = Plan, "plan.prices_unreadable";

    /// A cluster of this name is already running, with another plan.
    ProvisionClusterDiffers = Provision, "provision.cluster_differs";
    /// An instance ended before it ran.
    ProvisionInstanceLost = Provision, "provision.instance_lost";
    /// No zone that the plan may use had the capacity.
    ProvisionNoCapacity = Provision, "provision.no_capacity";
    /// The caller asked to stop.
    ProvisionCancelled = Provision, "provision.cancelled";
    /// Instances or resources did not reach the awaited state in time.
    ProvisionTimeout = Provision, "provision.timeout";

    /// No cluster of this name was found.
    VerifyClusterNotFound = Verify, "verify.cluster_not_found";
    /// No instance of this id was found.
    VerifyInstanceNotFound = Verify, "verify.instance_not_found";
    /// What the cluster's tags record of its plan cannot be read.
    VerifyTagsUnreadable = Verify, "verify.tags_unreadable";

    /// A document needs something that the plan would make and that does not exist yet.
    HandoffNotPrepared = Handoff, "handoff.not_prepared";
    /// A format cannot express the plan.
    HandoffNotPossible = Handoff, "handoff.not_possible";
    /// An option of a format has a missing or malformed value.
    HandoffInvalidOption = Handoff, "handoff.invalid_option";
    /// A document is neither JSON nor YAML.
    HandoffUnreadable = Handoff, "handoff.unreadable";
    /// A document nests deeper than is read here.
    HandoffTooDeep = Handoff, "handoff.too_deep";
    /// A document is larger, or expands to more, than is read here.
    HandoffTooLarge = Handoff, "handoff.too_large";
    /// A document is of no format that is checked here.
    HandoffUnknownFormat = Handoff, "handoff.unknown_format";

    /// No AWS credentials were found.
    Ec2NoCredentials = Ec2, "ec2.no_credentials";
    /// No AWS region was given or configured.
    Ec2NoRegion = Ec2, "ec2.no_region";
    /// The endpoint could not be reached, or did not answer in time.
    Ec2Unreachable = Ec2, "ec2.unreachable";
    /// EC2 answered with an error of its own; the context has its code.
    Ec2Refused = Ec2, "ec2.refused";
    /// EC2's answer lacks something that it must have.
    Ec2UnexpectedAnswer = Ec2, "ec2.unexpected_answer";
    /// The implementation of the calls that the client was given lacks this one.
    Ec2NotImplemented = Ec2, "ec2.not_implemented";
}

impl Error {
    /// A value of a specification that is out of its limit.
    pub(crate) fn invalid_spec(
        field: &'static str,
        value: impl fmt::Display,
        limit: impl fmt::Display,
        cure: &str,
    ) -> Self {
        Self::new(
            Code::PlanInvalidSpec,
            format!("{field} is '{value}', must be {limit}"),
        )
        .with_cure(cure)
        .with_context("field", field)
        .with_context("value", value)
        .with_context("limit", limit)
    }

    /// Returns EC2's own error code, such as `InsufficientInstanceCapacity`, where EC2 answered
    /// with one.
    #[must_use]
    pub fn ec2_code(&self) -> Option<&str> {
        self.context_value("ec2_code")
    }
}

/// The error of a call that an implementation of our traits leaves out, by AWS's name of it.
pub(crate) fn not_implemented(action: &'static str) -> Error {
    Error::new(
        Code::Ec2NotImplemented,
        format!("this AWS does not implement {action}"),
    )
    .with_cure("write that method of the trait, or use efa_core::testing::FakeAws")
    .with_context("action", action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_message_then_cure() {
        let error = Error::new(Code::CatalogUnknownInstanceType, "no instance type m5.fake")
            .with_cure("see Catalog.find")
            .with_context("instance_type", "m5.fake");
        assert_eq!(
            error.to_string(),
            "no instance type m5.fake; see Catalog.find"
        );
        assert_eq!(error.context_value("instance_type"), Some("m5.fake"));
        assert_eq!(error.kind(), ErrorKind::Catalog);
    }

    #[test]
    fn codes_are_unique_and_start_with_their_kind() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            let kind = format!("{:?}.", code.kind()).to_lowercase();
            assert!(code.as_str().starts_with(&kind), "{}", code.as_str());
            assert!(
                seen.insert(code.as_str()),
                "{} is listed twice",
                code.as_str()
            );
        }
    }

    /// A code in this list is a promise: add to it, never rename.
    #[test]
    fn codes_are_pinned() {
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes, PINNED);
    }

    const PINNED: &[&str] = &[
        "catalog.unknown_instance_type",
        "catalog.invalid_query",
        "catalog.no_offerings",
        "layout.unknown_profile",
        "layout.unknown_public_ip",
        "layout.efa_not_supported",
        "layout.efa_count_out_of_range",
        "layout.profile_not_possible",
        "layout.public_ip_not_possible",
        "layout.primary_missing",
        "layout.primary_efa_only",
        "layout.unknown_network_card",
        "layout.device_index_out_of_range",
        "layout.duplicate_interface",
        "layout.interface_type_not_accepted",
        "layout.several_efa_per_card",
        "layout.too_many_efa",
        "layout.efa_only_with_ip",
        "layout.public_ip_with_several_interfaces",
        "layout.instance_type_differs",
        "layout.notation_unreadable",
        "plan.invalid_spec",
        "plan.resource_not_found",
        "plan.conflict",
        "plan.unreadable",
        "plan.prices_unreadable",
        "provision.cluster_differs",
        "provision.instance_lost",
        "provision.no_capacity",
        "provision.cancelled",
        "provision.timeout",
        "verify.cluster_not_found",
        "verify.instance_not_found",
        "verify.tags_unreadable",
        "handoff.not_prepared",
        "handoff.not_possible",
        "handoff.invalid_option",
        "handoff.unreadable",
        "handoff.too_deep",
        "handoff.too_large",
        "handoff.unknown_format",
        "ec2.no_credentials",
        "ec2.no_region",
        "ec2.unreachable",
        "ec2.refused",
        "ec2.unexpected_answer",
        "ec2.not_implemented",
    ];
}
