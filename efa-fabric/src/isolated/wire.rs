//! What goes over the socket between caller and child: lines of JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::answer::{LoadedLibrary, RegisteredProvider, Step, Trial};
use super::hints::HintSet;
use crate::info::ProviderInfo;

/// The environment variable that marks a process as such a child.
pub(super) const CHILD_VARIABLE: &str = "EFA_FABRIC_CHILD";

/// Changes whenever either side would misread the other.
pub(super) const PROTOCOL: u32 = 2;

/// A line before each trial in the child's output, with the trial's number behind it, so that
/// the log can be distinguished.
pub(super) const TRIAL_MARK: &str = "efa-fabric: trial ";

/// The first line, from the caller.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) protocol: u32,
    pub(super) library: Option<PathBuf>,
    pub(super) provider: String,
    pub(super) hints: HintSet,
}

/// All other lines, from the child, each as soon as it is known.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    Hello(u32),
    Step(Step),
    NoLibrary {
        code: String,
        message: String,
        searched: Vec<PathBuf>,
    },
    Library(LoadedLibrary),
    Mapped(Vec<PathBuf>),
    HasLibefa(bool),
    Providers(Vec<RegisteredProvider>),
    Infos(Vec<ProviderInfo>),
    ProviderInfos {
        infos: Vec<ProviderInfo>,
        errno: Option<i32>,
    },
    RdmaRead(Option<bool>),
    Trial(Trial),
    /// Written by a signal handler, as [`signal_line`].
    Signal(i32),
    Done,
}

/// The line of [`Report::Signal`], for handlers that must not allocate.
pub(super) const fn signal_line(signal: i32) -> &'static [u8] {
    match signal {
        libc::SIGABRT => b"\n{\"signal\":6}\n",
        libc::SIGSEGV => b"\n{\"signal\":11}\n",
        libc::SIGBUS => b"\n{\"signal\":7}\n",
        libc::SIGFPE => b"\n{\"signal\":8}\n",
        libc::SIGILL => b"\n{\"signal\":4}\n",
        _ => b"\n",
    }
}
