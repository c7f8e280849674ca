//! Reports as files, and a folder of them as history.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::report::Report;
use crate::error::{Code, Error, Result};

/// Reports of one second in a folder.
const MOST_OF_A_SECOND: usize = 1000;
/// Bytes of the largest report that is read: 4,096 nodes have about a tenth.
const MOST_BYTES: u64 = 1 << 32;

impl Report {
    /// Writes the report as JSON: to this file, which is replaced as a whole, or, where it is a
    /// folder, to a new file there that is named by the report's time. Returns the file.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the path, where it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let path = path.as_ref();
        let refused = |error: &dyn std::fmt::Display| refused(path, "written", error);
        let json = serde_json::to_vec(self).map_err(|error| refused(&error))?;
        if path.is_dir() {
            return self.save_in(path, &json);
        }
        let name = path.file_name().ok_or_else(|| refused(&"it is no file"))?;
        let mut part = name.to_owned();
        part.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(part);
        let written = write_new(&part, &json).and_then(|()| fs::rename(&part, path));
        written.map_err(|error| {
            let _ = fs::remove_file(&part);
            refused(&error)
        })?;
        Ok(path.to_owned())
    }

    fn save_in(&self, folder: &Path, json: &[u8]) -> Result<PathBuf> {
        let when = self.finished_at().map_or_else(
            || "unknown-time".to_owned(),
            |at| at.replace(['-', ':'], ""),
        );
        for number in 1..=MOST_OF_A_SECOND {
            let suffix = if number == 1 {
                String::new()
            } else {
                format!("-{number}")
            };
            let path = folder.join(format!("survey-{when}{suffix}.json"));
            match write_new(&path, json) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(&path, "written", &error)),
            }
        }
        let why = format!("it has {MOST_OF_A_SECOND} reports of this time");
        Err(refused(folder, "written", &why))
    }

    /// The report that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the path: no such file, not a regular one, or not a report.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let refused = |error: &dyn std::fmt::Display| refused(path, "read", error);
        let about = fs::metadata(path).map_err(|error| refused(&error))?;
        if !about.is_file() {
            return Err(refused(&"it is no regular file"));
        }
        if about.len() > MOST_BYTES {
            return Err(refused(&format!(
                "it has {} bytes, a report has less",
                about.len()
            )));
        }
        let json = fs::read(path).map_err(|error| refused(&error))?;
        serde_json::from_slice(&json).map_err(|error| refused(&error))
    }

    /// The reports in a folder (its files `*.json`), the oldest first; those of unknown time come
    /// before all others, by name.
    ///
    /// # Errors
    /// As [`load`](Self::load), of the first that cannot be read.
    pub fn history(folder: impl AsRef<Path>) -> Result<Vec<Self>> {
        let folder = folder.as_ref();
        let refused = |error: &dyn std::fmt::Display| refused(folder, "read", error);
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| refused(&error))? {
            let path = entry.map_err(|error| refused(&error))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                paths.push(path);
            }
        }
        paths.sort();
        let mut reports = paths.iter().map(Self::load).collect::<Result<Vec<_>>>()?;
        reports.sort_by_key(|report| report.finished_unix_s);
        Ok(reports)
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn refused(path: &Path, verb: &str, why: &dyn std::fmt::Display) -> Error {
    let path = path.display();
    let message = format!("the report {path} cannot be {verb}: {why}");
    let cure = match verb {
        "written" => "give a file in a folder that exists and can be written, or that folder",
        _ => "give a file that `save` wrote",
    };
    Error::new(Code::InvalidOption, message)
        .with_cure(cure)
        .with_context("path", path)
}

#[cfg(test)]
mod tests {
    use super::super::sample::unmeasured;
    use super::*;

    /// A folder that ends with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("efa-{}-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = Folder::new("report");
        let path = folder.0.join("last.json");
        for count in [2, 3] {
            let report = unmeasured(count).finished(7);
            assert_eq!(report.save(&path).unwrap(), path);
            assert_eq!(Report::load(&path).unwrap(), report);
        }
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_is_a_history() {
        let folder = Folder::new("history");
        let times = [
            Some(1_796_004_060),
            None,
            Some(1_796_004_000),
            Some(1_796_004_000),
        ];
        for (count, at) in (2..).zip(times) {
            let mut report = unmeasured(count);
            report.finished_unix_s = at;
            report.save(&folder.0).unwrap();
        }
        fs::write(folder.0.join("notes.txt"), "no report").unwrap();
        let sizes: Vec<usize> = (Report::history(&folder.0).unwrap().iter())
            .map(|report| report.nodes.len())
            .collect();
        assert_eq!(sizes, [3, 5, 4, 2]);
        let name = folder.0.join("survey-20261130T020000Z-2.json");
        assert_eq!(Report::load(&name).unwrap().nodes.len(), 5);
    }

    #[test]
    fn what_is_no_report_is_named() {
        let folder = Folder::new("broken");
        let broken = folder.0.join("broken.json");
        fs::write(&broken, "{}").unwrap();
        for error in [
            Report::load(&broken).unwrap_err(),
            Report::history(&folder.0).unwrap_err(),
            Report::load(folder.0.join("none.json")).unwrap_err(),
            Report::load("/dev/zero").unwrap_err(),
            Report::load(&folder.0).unwrap_err(),
            unmeasured(2)
                .save(folder.0.join("no/such/r.json"))
                .unwrap_err(),
        ] {
            let path = error.context_value("path").unwrap();
            assert!(error.to_string().contains(path), "{error}");
            assert_eq!(error.code(), Code::InvalidOption);
            assert!(error.cure().is_some());
        }
    }
}
