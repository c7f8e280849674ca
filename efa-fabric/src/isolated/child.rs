//! The child: loads libfabric, asks, and reports each thing as soon as it is known.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::answer::{LoadedLibrary, RegisteredProvider, Relaxation, Step, Trial};
use super::hints::HintSet;
use super::wire::{CHILD_VARIABLE, PROTOCOL, Report, Request, TRIAL_MARK};
use super::{maps, os};
use crate::environment::wants_device_rdma;
use crate::error::{Error, Result};
use crate::ffi;
use crate::info::ProviderInfo;
use crate::library::{InfoList, Library, Version};
use crate::rdma_read;

/// Longest request that is read, in bytes.
const MAX_REQUEST: u64 = 1 << 20;

static IS_PREPARED: AtomicBool = AtomicBool::new(false);

/// Whether this process called [`answer_if_child`].
pub(super) fn is_prepared() -> bool {
    IS_PREPARED.load(Ordering::Acquire)
}

/// Answers and exits the process if [`ask`](super::ask) started it; else returns at once.
///
/// A program calls it before anything else in `main`, so that
/// [`ChildCommand::current_executable`](super::ChildCommand::current_executable) works.
pub fn answer_if_child() {
    IS_PREPARED.store(true, Ordering::Release);
    if std::env::var_os(CHILD_VARIABLE).is_none() {
        return;
    }
    // A variable that was left over somewhere is no reason to end a program.
    let Some(channel) = os::take_channel() else {
        return;
    };
    os::prepare_to_die(&channel);
    os::exit_now(match answer(channel) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    })
}

fn answer(channel: UnixStream) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(&channel)
        .take(MAX_REQUEST)
        .read_line(&mut line)?;
    let mut reporter = Reporter(channel);
    reporter.send(&Report::Hello(PROTOCOL))?;
    let request: Request = serde_json::from_str(&line)?;
    reporter.step(Step::Load)?;
    let found = match &request.library {
        Some(path) => Library::load(path),
        None => Library::find(),
    };
    match found {
        Ok(library) => questions(&mut reporter, &library, &request)?,
        Err(error) => reporter.send(&no_library(&error))?,
    }
    reporter.send(&Report::Mapped(maps::own()))?;
    reporter.step(Step::Done)?;
    reporter.send(&Report::Done)
}

fn questions(
    reporter: &mut Reporter,
    library: &Arc<Library>,
    request: &Request,
) -> std::io::Result<()> {
    reporter.send(&Report::Library(LoadedLibrary {
        path: lossy(library.path()),
        version: library.version(),
        requested_api: library.requested_api(),
    }))?;
    reporter.send(&Report::Mapped(maps::own()))?;
    reporter.send(&Report::HasLibefa(maps::has_libefa()))?;

    // Where a device cannot do what this demands, libfabric ends this process.
    if wants_device_rdma(&|name| std::env::var_os(name)) {
        reporter.send(&Report::RdmaRead(rdma_read::of_devices()))?;
    }

    reporter.step(Step::Providers)?;
    let api = library.raw_api();
    let registered = library
        .getinfo_unchecked(api, None, ffi::FI_PROV_ATTR_ONLY, None)
        .ok()
        .flatten();
    reporter.send(&Report::Providers(names(registered.as_ref())))?;

    reporter.step(Step::Everything)?;
    let everything = library.getinfo_unchecked(api, None, 0, None).ok().flatten();
    reporter.send(&Report::Infos(infos(everything.as_ref())))?;

    reporter.step(Step::Provider)?;
    let nothing_else = request
        .hints
        .relaxed(&Relaxation::All, library.requested_api());
    let (list, errno) = outcome(getinfo(library, &request.provider, &nothing_else));
    reporter.send(&Report::ProviderInfos {
        infos: infos(list.as_ref()),
        errno,
    })?;
    let trials = request.hints.trials(library.requested_api());
    for (number, (relaxed, hints)) in trials.into_iter().enumerate() {
        reporter.step(Step::Trial(relaxed.clone()))?;
        eprintln!("\n{TRIAL_MARK}{number}");
        let (list, errno) = outcome(getinfo(library, &request.provider, &hints));
        reporter.send(&Report::Trial(Trial {
            relaxed,
            asked: hints.to_string(),
            found: list.as_ref().map_or(0, |list| {
                u32::try_from(list.entries().count()).unwrap_or(u32::MAX)
            }),
            errno,
            fingerprints: Vec::new(),
        }))?;
    }
    Ok(())
}

fn getinfo(
    library: &Arc<Library>,
    provider: &str,
    hints: &HintSet,
) -> Result<Result<Option<InfoList>, i32>> {
    let list = hints.raw(provider)?.write(library)?;
    let api = hints
        .api_version
        .map_or_else(|| library.raw_api(), Version::raw);
    Ok(library.getinfo_unchecked(api, None, 0, Some(&list)))
}

/// The list and the positive error of a call; hints that cannot be written are `EINVAL`.
fn outcome(called: Result<Result<Option<InfoList>, i32>>) -> (Option<InfoList>, Option<i32>) {
    match called {
        Ok(Ok(Some(list))) => (Some(list), None),
        Ok(Ok(None)) => (None, Some(libc::ENODATA)),
        Ok(Err(code)) => (None, Some(-code)),
        Err(_) => (None, Some(libc::EINVAL)),
    }
}

fn infos(list: Option<&InfoList>) -> Vec<ProviderInfo> {
    list.map(|list| list.entries().map(ProviderInfo::from_entry).collect())
        .unwrap_or_default()
}

fn names(list: Option<&InfoList>) -> Vec<RegisteredProvider> {
    list.map(|list| {
        list.entries()
            .map(|entry| RegisteredProvider {
                name: entry.provider(),
                version: Version::from_raw(entry.provider_version()),
            })
            .collect()
    })
    .unwrap_or_default()
}

fn no_library(error: &Error) -> Report {
    let searched = error
        .context_value("searched")
        .or_else(|| error.context_value("path"));
    Report::NoLibrary {
        code: error.code().as_str().to_owned(),
        message: error.message().to_owned(),
        searched: searched
            .map(|places| places.split(", ").map(PathBuf::from).collect())
            .unwrap_or_default(),
    }
}

/// The path as JSON can have it.
fn lossy(path: &std::path::Path) -> PathBuf {
    PathBuf::from(path.to_string_lossy().into_owned())
}

struct Reporter(UnixStream);

impl Reporter {
    fn step(&mut self, step: Step) -> std::io::Result<()> {
        self.send(&Report::Step(step))
    }

    fn send(&mut self, report: &Report) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}
