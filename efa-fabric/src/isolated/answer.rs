//! What a child learned.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fabric_log::{self, Fingerprint};
use crate::info::ProviderInfo;
use crate::library::Version;

/// A child's knowledge of libfabric, complete or up to the step at which it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// How the child ended.
    pub outcome: Outcome,
    /// The library that the child loaded; `None` before [`Step::Load`] was done.
    pub library: Option<LoadedLibrary>,
    /// Files of libfabric that are mapped in the child, each once, in order of address.
    pub mapped_libraries: Vec<PathBuf>,
    /// Files of libfabric that are mapped in the caller's own process. More than one, or
    /// another one than the child's, means two libfabrics.
    pub caller_libraries: Vec<PathBuf>,
    /// The providers that the library registered (`FI_PROV_ATTR_ONLY`), those that
    /// `FI_PROVIDER` leaves out included; `None` if the child did not get there.
    pub providers: Option<Vec<RegisteredProvider>>,
    /// Everything that the library offers without hints; `None` if the child did not get there.
    pub infos: Option<Vec<ProviderInfo>>,
    /// What it offers of the provider that was asked for; `None` if the child did not get there.
    pub efa_infos: Option<Vec<ProviderInfo>>,
    /// The error of that call, positive, such as 61 for `-FI_ENODATA`; `None` if it had none.
    pub efa_errno: Option<i32>,
    /// Whether the EFA devices can read remote memory, as they report themselves; asked only where
    /// `FI_EFA_USE_DEVICE_RDMA` demands it. `None` where no device reported it.
    #[serde(default)]
    pub rdma_read: Option<bool>,
    /// Whether rdma-core's `libefa` is loaded with the library: one that has the efa provider compiled
    /// in is linked with it.
    #[serde(default)]
    pub has_libefa: bool,
    /// Hints relaxed one at a time, in order; the first is [`Relaxation::Nothing`].
    pub trials: Vec<Trial>,
    /// libfabric's log up to the trials, at level info.
    pub log: fabric_log::Log,
    /// `FI_LOG_LEVEL` as the caller's environment has it; the child's is always `info`.
    pub user_log_level: Option<String>,
    /// The last of what the child wrote, at most 4096 bytes: for a child that ended early.
    pub output_tail: String,
}

/// The outcome of a child.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It went through all steps.
    Answered,
    /// A signal ended it: 6 is `SIGABRT`.
    Aborted {
        /// The signal.
        signal: i32,
        /// The step that it was at.
        last_step: Step,
    },
    /// It ended itself before it was done, as a library that calls `exit` makes it.
    Exited {
        /// Its exit status; `None` where the system does not report it, because the caller ignores
        /// `SIGCHLD`.
        status: Option<i32>,
        /// The step that it was at.
        last_step: Step,
    },
    /// It was killed at the deadline.
    TimedOut {
        /// The step that it was at.
        last_step: Step,
    },
    /// There is no libfabric that can be loaded.
    NoLibrary {
        /// The code that [`Library::find`](crate::Library::find) or
        /// [`Library::load`](crate::Library::load) gave, such as `fabric.library_not_found`.
        code: String,
        /// The message of the error.
        message: String,
        /// The places that were searched, in order.
        searched: Vec<PathBuf>,
    },
}

/// The steps of a child, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// The child starts, and reads the question.
    Start,
    /// The library is found and loaded.
    Load,
    /// `fi_getinfo` for the names of providers; the first call, which sets them all up.
    Providers,
    /// `fi_getinfo` without hints.
    Everything,
    /// `fi_getinfo` for the provider that matters.
    Provider,
    /// A trial with hints.
    Trial(Relaxation),
    /// All is asked.
    Done,
}

/// A requirement that a trial drops from the hints, or relaxes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Relaxation {
    /// Nothing: the hints as they are.
    Nothing,
    /// The fabric's name.
    Fabric,
    /// The domain's name.
    Domain,
    /// The endpoint type.
    EndpointType,
    /// One capability, such as `FI_HMEM`.
    Capability(String),
    /// All memory registration modes are offered.
    MrMode,
    /// All mode bits are offered.
    Mode,
    /// The address format.
    AddressFormat,
    /// The largest message.
    MaxMessageSize,
    /// Another interface version: the library's own if one was asked for, else 1.18, or 1.9
    /// where the library is not newer than that.
    ApiVersion,
    /// Everything but the name of the provider.
    All,
}

/// One `fi_getinfo` with hints.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trial {
    /// What was relaxed.
    pub relaxed: Relaxation,
    /// What was asked, in one line.
    pub asked: String,
    /// How many `fi_info` came back.
    pub found: u32,
    /// The error, positive, such as 61; `None` if there was none.
    pub errno: Option<i32>,
    /// What the log showed meanwhile.
    pub fingerprints: Vec<Fingerprint>,
}

/// The library that a child loaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoadedLibrary {
    /// Its file, symbolic links resolved.
    pub path: PathBuf,
    /// Its version.
    pub version: Version,
    /// The interface version that is asked of it where the hints name none.
    pub requested_api: Version,
}

/// A provider that the library has, whether or not it works here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RegisteredProvider {
    /// Its name, such as `efa`.
    pub name: String,
    /// Its own version, such as 205.10 in libfabric 2.5.1.
    pub version: Version,
}

impl Answer {
    /// Returns whether the library has this provider compiled in; `None` if that was not learned.
    /// Up to libfabric 2.0 efa is missing also where there is no device.
    #[must_use]
    pub fn has_provider(&self, name: &str) -> Option<bool> {
        let providers = self.providers.as_ref()?;
        Some(
            providers
                .iter()
                .any(|provider| provider.name.eq_ignore_ascii_case(name)),
        )
    }

    /// Returns the first trial that found something, if the hints as they are found nothing: what
    /// it relaxed is what stood in the way.
    #[must_use]
    pub fn first_help(&self) -> Option<&Trial> {
        let as_asked = self.trials.first()?;
        if as_asked.found > 0 {
            return None;
        }
        self.trials.iter().find(|trial| trial.found > 0)
    }

    /// Returns every file of libfabric that is mapped in the child or in the caller, each once:
    /// more than one means two libfabrics.
    #[must_use]
    pub fn all_libraries(&self) -> Vec<PathBuf> {
        let mut all = self.mapped_libraries.clone();
        for path in &self.caller_libraries {
            if !all.contains(path) {
                all.push(path.clone());
            }
        }
        all
    }
}

impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Fabric => "fabric name",
            Self::Domain => "domain name",
            Self::EndpointType => "endpoint type",
            Self::Capability(name) => name,
            Self::MrMode => "memory registration mode",
            Self::Mode => "mode bits",
            Self::AddressFormat => "address format",
            Self::MaxMessageSize => "largest message",
            Self::ApiVersion => "interface version",
            Self::All => "everything but the provider",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Load => f.write_str("loading libfabric"),
            Self::Providers => f.write_str("setting providers up"),
            Self::Everything => f.write_str("asking for everything"),
            Self::Provider => f.write_str("asking for the provider"),
            Self::Trial(relaxed) => write!(f, "trial without {relaxed}"),
            Self::Done => f.write_str("done"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered => f.write_str("answered"),
            Self::Aborted { signal, last_step } => {
                write!(f, "ended by signal {signal} at: {last_step}")
            }
            Self::Exited {
                status: Some(status),
                last_step,
            } => write!(f, "exited with status {status} at: {last_step}"),
            Self::Exited {
                status: None,
                last_step,
            } => write!(f, "exited at: {last_step}"),
            Self::TimedOut { last_step } => write!(f, "killed at the deadline at: {last_step}"),
            Self::NoLibrary { message, .. } => f.write_str(message),
        }
    }
}
