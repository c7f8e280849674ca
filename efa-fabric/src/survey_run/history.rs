//! Reports as files, and a folder of them as history.

use std::fs;
use std::path::{Path, PathBuf};

use super::report::Report;
use crate::error::Result;
use crate::report_file;

impl Report {
    /// Writes the report as JSON: to this file, which is replaced as a whole, or, where it is a
    /// folder, to a new file there that is named by the report's time. Returns the file.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the path, where it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let when = self.finished_at();
        report_file::save(path.as_ref(), self, "survey", when.as_deref())
    }

    /// Returns the report that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the path: no such file, not a regular one, or not a report.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        report_file::load(path.as_ref())
    }

    /// Returns the reports in a folder (its files `*.json`), the oldest first; those of unknown
    /// time come before all others, by name.
    ///
    /// # Errors
    /// As [`load`](Self::load), of the first that cannot be read.
    pub fn history(folder: impl AsRef<Path>) -> Result<Vec<Self>> {
        let folder = folder.as_ref();
        let refused = |error: &dyn std::fmt::Display| report_file::refused(folder, "read", error);
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

#[cfg(test)]
mod tests {
    use super::super::sample::unmeasured;
    use super::*;
    use crate::error::Code;

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
