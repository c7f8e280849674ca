//! Where libfabric may lie on this machine: paths only, nothing is loaded here.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file name under which every libfabric since 1.0 is installed.
const SONAME: &str = "libfabric.so.1";
/// Where the AWS EFA installer puts its build.
const AWS: [&str; 2] = ["/opt/amazon/efa/lib64", "/opt/amazon/efa/lib"];

/// What the search found, and every place that it looked at.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) found: Option<PathBuf>,
    pub(crate) searched: Vec<PathBuf>,
}

/// Looks in AWS's directories, then where the dynamic loader would look.
pub(crate) fn search() -> Search {
    let mut searched = Vec::new();
    for directory in AWS {
        let candidate = Path::new(directory).join(SONAME);
        if candidate.is_file() {
            return Search {
                found: Some(candidate),
                searched,
            };
        }
        searched.push(candidate);
    }
    for directory in loader_directories(std::env::var_os("LD_LIBRARY_PATH"), Path::new("/")) {
        let candidate = directory.join(SONAME);
        if is_for_this_machine(&candidate) {
            return Search {
                found: Some(candidate),
                searched,
            };
        }
        searched.push(candidate);
    }
    Search {
        found: None,
        searched,
    }
}

/// The absolute directories of `LD_LIBRARY_PATH`, of ld.so.conf, and the standard ones, in
/// this order and each once.
fn loader_directories(ld_library_path: Option<OsString>, root: &Path) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = ld_library_path
        .map(|value| {
            std::env::split_paths(&value)
                .filter(|path| path.is_absolute())
                .collect()
        })
        .unwrap_or_default();
    directories.extend(configured_directories(root));
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    for base in ["/usr/local/lib", "/lib", "/usr/lib"] {
        directories.push(Path::new(base).join(&multiarch));
    }
    for base in [
        "/usr/local/lib64",
        "/usr/local/lib",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
    ] {
        directories.push(PathBuf::from(base));
    }
    let mut seen = BTreeSet::new();
    directories.retain(|directory| seen.insert(directory.clone()));
    directories
}

/// The directories of `/etc/ld.so.conf` and the files that the usual `include` names.
fn configured_directories(root: &Path) -> Vec<PathBuf> {
    let mut files = vec![root.join("etc/ld.so.conf")];
    let mut included: Vec<PathBuf> = fs::read_dir(root.join("etc/ld.so.conf.d"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect();
    included.sort();
    files.extend(included);
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| {
            text.lines()
                .map(|line| line.split('#').next().unwrap_or_default().trim().to_owned())
                .filter(|line| line.starts_with('/'))
                .map(PathBuf::from)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Whether a file exists and has the word size and machine of this program: directories for a
/// second architecture are skipped as the loader skips them.
fn is_for_this_machine(candidate: &Path) -> bool {
    match (
        elf_identity(candidate),
        elf_identity(Path::new("/proc/self/exe")),
    ) {
        (Some(candidate), Some(own)) => candidate == own,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// Class, byte order and machine of an ELF header (elf(5)).
fn elf_identity(path: &Path) -> Option<[u8; 4]> {
    let mut header = [0; 20];
    fs::File::open(path).ok()?.read_exact(&mut header).ok()?;
    (header[..4] == *b"\x7fELF").then(|| [header[4], header[5], header[18], header[19]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_directories_keep_order_and_drop_relative_ones() {
        let root = std::env::temp_dir().join(format!("efa-fabric-search-{}", std::process::id()));
        let conf = root.join("etc/ld.so.conf.d");
        fs::create_dir_all(&conf).unwrap();
        fs::write(
            root.join("etc/ld.so.conf"),
            "include /etc/ld.so.conf.d/*.conf\n/srv/first\n",
        )
        .unwrap();
        fs::write(conf.join("b.conf"), "/srv/b # two\n").unwrap();
        fs::write(conf.join("a.conf"), "# none\n/srv/a\n/usr/lib\n").unwrap();
        fs::write(conf.join("c.txt"), "/srv/never\n").unwrap();

        let found = loader_directories(Some("/opt/x:relative:/opt/y".into()), &root);
        fs::remove_dir_all(&root).unwrap();

        let head: Vec<_> = found
            .iter()
            .take(6)
            .map(|path| path.to_str().unwrap())
            .collect();
        assert_eq!(
            head,
            [
                "/opt/x",
                "/opt/y",
                "/srv/first",
                "/srv/a",
                "/usr/lib",
                "/srv/b"
            ]
        );
        assert_eq!(
            found
                .iter()
                .filter(|path| **path == Path::new("/usr/lib"))
                .count(),
            1
        );
        assert!(found.iter().all(|path| path.is_absolute()));
    }

    #[test]
    fn only_files_of_this_machine_count() {
        assert!(is_for_this_machine(Path::new("/proc/self/exe")));
        assert!(!is_for_this_machine(Path::new("/etc/passwd")));
        assert!(!is_for_this_machine(Path::new("/no/such/file")));
    }
}
