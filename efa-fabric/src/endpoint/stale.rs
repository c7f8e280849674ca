//! Shared memory of an earlier process with this process's id.
//!
//! The `shm` provider names its regions in `/dev/shm` by process id, domain and endpoint, such as
//! `17:0:0` (seen of libfabric 1.17.0 and 2.5.1). One that a killed process left behind is found by a
//! later process with that id: 1.17.0 takes it for in use, since the id in it is alive, and returns
//! `FI_EBUSY`; an empty one is mapped by both, which raises SIGBUS. In containers, which start
//! counting at 1, ids come again soon.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Code, Error, Result};
use crate::provider;

const FOLDER: &str = "/dev/shm";
/// Ticks of a second in `/proc` (proc(5): `USER_HZ`).
const TICKS: f64 = 100.0;
/// Times of files and of processes are rounded.
const ROUNDED: Duration = Duration::from_secs(1);

/// Regions that are older than this process, and have its id.
#[derive(Debug, Default)]
pub(super) struct Stale(Vec<PathBuf>);

impl Stale {
    /// What is there for an endpoint of this provider. libfabric may remove it when opening fails.
    pub(super) fn find(provider: &str) -> Self {
        if !provider::is(provider, "shm") {
            return Self::default();
        }
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let age = age(&read("/proc/self/stat"), &read("/proc/uptime"));
        let started = age.and_then(|age| SystemTime::now().checked_sub(age + ROUNDED));
        let started = started.unwrap_or(SystemTime::UNIX_EPOCH);
        Self(older(Path::new(FOLDER), std::process::id(), started))
    }

    /// Refuses what would end the process.
    ///
    /// # Errors
    /// `fabric.call_failed` with the file and the cure.
    pub(super) fn refuse_empty(&self) -> Result<()> {
        let is_empty = |path: &&PathBuf| path.metadata().is_ok_and(|file| file.len() == 0);
        match self.0.iter().find(is_empty) {
            None => Ok(()),
            Some(path) => {
                let message = format!(
                    "fi_endpoint was not called: {} is empty, and libfabric would end this process over it",
                    path.display()
                );
                let error = Error::new(Code::CallFailed, message)
                    .with_context("call", "fi_endpoint")
                    .with_context("fi_errno", libc::EBUSY);
                Err(self.explain(error))
            }
        }
    }

    /// Adds the cause and the cure to an error of an endpoint that is busy.
    pub(super) fn explain(&self, error: Error) -> Error {
        let is_busy = error.context_value("fi_errno") == Some(&libc::EBUSY.to_string());
        let paths: Vec<String> = self
            .0
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        if !is_busy || paths.is_empty() {
            return error;
        }
        let paths = paths.join(", ");
        let cure = format!(
            "remove {paths}, where it is still there, and try again: an earlier process with the id of this one \
             left it behind when it was killed; or one in another container that shares {FOLDER} has it open"
        );
        error.with_cure(cure).with_context("stale", paths)
    }
}

/// Time since the start of the process with this `/proc/PID/stat`.
fn age(stat: &str, uptime: &str) -> Option<Duration> {
    // The name in brackets may have spaces; the start is the 22nd field, the 20th after it.
    let start: f64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(uptime - start / TICKS).ok()
}

/// Regions of this process id that were written last before this time.
fn older(folder: &Path, id: u32, started: SystemTime) -> Vec<PathBuf> {
    let own = format!("{id}:");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_older = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        let written = entry.metadata().and_then(|file| file.modified());
        name.to_string_lossy().starts_with(&own) && written.is_ok_and(|at| at < started)
    };
    let mut found: Vec<PathBuf> = entries.filter(is_older).map(|entry| entry.path()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_older_regions_of_the_same_process_id_are_stale() {
        let folder = std::env::temp_dir().join(format!("efa-stale-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        for (name, second) in [("17:0:0", 5), ("17:0:1", 20), ("170:0:0", 5), ("sem.x", 5)] {
            let file = std::fs::File::create(folder.join(name)).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            file.set_modified(at).unwrap();
        }
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        let found = Stale(older(&folder, 17, started));
        assert_eq!(found.0, [folder.join("17:0:0")]);
        let path = found.0[0].display().to_string();
        let error = found.refuse_empty().unwrap_err();
        assert!(
            error.to_string().contains(&format!("{path} is empty")),
            "{error}"
        );
        std::fs::write(&path, "a region").unwrap();
        assert!(found.refuse_empty().is_ok());
        let busy = |number: i32| {
            let error = Error::new(Code::CallFailed, "fi_enable failed");
            found.explain(error.with_context("fi_errno", number))
        };
        assert_eq!(
            busy(libc::EBUSY).context_value("stale"),
            Some(path.as_str())
        );
        assert!(
            busy(libc::EBUSY)
                .to_string()
                .contains(&format!("remove {path}"))
        );
        assert!(busy(libc::EIO).cure().is_none());
        let none = Stale::default().explain(Error::new(Code::CallFailed, "busy"));
        assert!(none.cure().is_none() && Stale::find("tcp").0.is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(older(&folder, 17, started).is_empty());
    }

    #[test]
    fn the_age_of_a_process_is_read_from_proc() {
        let stat = "17 (a ) b) S 1 17 17 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 9000 1 1";
        assert_eq!(age(stat, "100.00 5.0"), Some(Duration::from_secs(10)));
        for (stat, uptime) in [
            ("", "1.0 1.0"),
            (stat, ""),
            ("17 (a) S 1", "1.0"),
            (stat, "1.0"),
        ] {
            assert_eq!(age(stat, uptime), None, "{stat} {uptime}");
        }
    }
}
