//! Reports as files: written as a whole, read with a limit.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Code, Error, Result};

/// Reports of one second in a folder.
pub(crate) const MOST_OF_A_SECOND: usize = 1000;
/// Bytes of the largest report that is read: a survey of 4,096 nodes has about a tenth.
const MOST_BYTES: u64 = 1 << 32;

/// Writes a report as JSON: to this file, which is replaced as a whole, or, where it is a folder,
/// to a new file there named `{what}-{when}.json`. Returns the file.
pub(crate) fn save(
    path: &Path,
    report: &impl Serialize,
    what: &str,
    when: Option<&str>,
) -> Result<PathBuf> {
    let refused = |error: &dyn std::fmt::Display| refused(path, "written", error);
    let json = serde_json::to_vec(report).map_err(|error| refused(&error))?;
    if path.is_dir() {
        let when = when.map_or_else(
            || "unknown-time".to_owned(),
            |when| when.replace(['-', ':'], ""),
        );
        return save_in(path, &format!("{what}-{when}"), &json);
    }
    let name = path
        .file_name()
        .ok_or_else(|| refused(&"it is not a file"))?;
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

fn save_in(folder: &Path, name: &str, json: &[u8]) -> Result<PathBuf> {
    for number in 1..=MOST_OF_A_SECOND {
        let suffix = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let path = folder.join(format!("{name}{suffix}.json"));
        match write_new(&path, json) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused(&path, "written", &error)),
        }
    }
    let why = format!("it has {MOST_OF_A_SECOND} reports of this time");
    Err(refused(folder, "written", &why))
}

/// The report that [`save`] wrote.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let refused = |error: &dyn std::fmt::Display| refused(path, "read", error);
    let about = fs::metadata(path).map_err(|error| refused(&error))?;
    if !about.is_file() {
        return Err(refused(&"it is not a regular file"));
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

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(crate) fn refused(path: &Path, verb: &str, why: &dyn std::fmt::Display) -> Error {
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
