//! The directory that a machine is read from, and reads that end whatever lies there.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// Symbolic links that are followed for one path, as many as Linux follows.
const MAX_LINKS: usize = 40;
/// Largest path, in components, while links are resolved.
const MAX_COMPONENTS: usize = 256;
/// Most of a small text file that is read, in bytes: sysfs gives a page.
const MAX_TEXT: u64 = 64 << 10;
/// Entries of a directory that are looked at.
const MAX_ENTRIES: usize = 8192;

/// The root from which a machine is read: `/`, or a directory with a copy of what matters of one.
///
/// Links are resolved inside it, so that a copy never shows parts of the machine that reads it.
///
/// ```
/// let copy = efa_fabric::node::NodeRoot::new("/tmp/copy-of-a-node");
/// assert!(!copy.is_live() && efa_fabric::node::NodeRoot::new("/").is_live());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRoot {
    path: PathBuf,
    kubernetes_service_host: Option<String>,
}

impl NodeRoot {
    /// Creates the machine at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            kubernetes_service_host: None,
        }
    }

    /// Returns the machine at this path; if it is this one, with what the environment of this
    /// process states of it.
    pub fn with_environment(path: impl Into<PathBuf>) -> Self {
        let root = Self::new(path);
        if !root.is_live() {
            return root;
        }
        root.with_kubernetes_service_host(std::env::var("KUBERNETES_SERVICE_HOST").ok())
    }

    /// Adds the value of the environment variable `KUBERNETES_SERVICE_HOST`, which marks a pod.
    #[must_use]
    pub fn with_kubernetes_service_host(mut self, host: Option<String>) -> Self {
        self.kubernetes_service_host = host.filter(|host| !host.is_empty());
        self
    }

    /// Returns the path given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether this is the machine that runs the program.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.path == Path::new("/")
    }

    pub(super) fn kubernetes_service_host(&self) -> Option<&str> {
        self.kubernetes_service_host.as_deref()
    }

    /// Where a path of the machine really is: the path of the machine without links, which
    /// need not exist in its last part. `None` for a loop.
    pub(super) fn resolve(&self, path: &str) -> Option<PathBuf> {
        let mut todo: Vec<OsString> = Vec::new();
        push_reversed(&mut todo, Path::new(path));
        let mut resolved: Vec<OsString> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                resolved.pop();
                continue;
            }
            resolved.push(name);
            if resolved.len() + todo.len() > MAX_COMPONENTS {
                return None;
            }
            let Ok(target) = std::fs::read_link(self.on_disk(&resolved)) else {
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            resolved.pop();
            if target.is_absolute() {
                resolved.clear();
            }
            push_reversed(&mut todo, &target);
        }
        Some(Path::new("/").join(resolved.iter().collect::<PathBuf>()))
    }

    fn on_disk(&self, components: &[OsString]) -> PathBuf {
        components
            .iter()
            .fold(self.path.clone(), |path, name| path.join(name))
    }

    /// The file of this program's file system that stands for a path of the machine.
    pub(super) fn locate(&self, path: &str) -> Option<PathBuf> {
        let resolved = self.resolve(path)?;
        Some(self.path.join(resolved.strip_prefix("/").ok()?))
    }

    /// The content of a regular file, up to the limit.
    pub(super) fn bytes(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        let file = self.locate(path)?;
        // Pipes and devices would wait, or act.
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(file)
            .ok()?;
        let mut content = Vec::new();
        file.take(limit).read_to_end(&mut content).ok()?;
        Some(content)
    }

    /// The content of a small file as text, without blanks at its ends; `None` if empty.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let content = self.bytes(path, MAX_TEXT)?;
        let text = String::from_utf8_lossy(&content);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// One printable line, such as most files of sysfs hold.
    pub(super) fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let line: String = text
            .lines()
            .next()?
            .chars()
            .filter(|c| !c.is_control())
            .take(256)
            .collect();
        let line = line.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// A number in decimal.
    pub(super) fn number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.line(path)?.parse().ok()
    }

    /// Processors in the kernel's form, such as `0-47,96-143`; `None` if there are none.
    pub(crate) fn cpu_list(&self, path: &str) -> Option<Vec<usize>> {
        let cpus = super::cpu_list::parse_cpu_list(&self.text(path)?)?;
        (!cpus.is_empty()).then_some(cpus)
    }

    /// Names in a directory that are valid UTF-8, sorted; empty where there is none.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = self
            .locate(path)
            .and_then(|directory| std::fs::read_dir(directory).ok());
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .take(MAX_ENTRIES)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort_by_cached_key(|name| natural(name));
        names
    }

    /// Whether something is there, which need not be readable.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.locate(path)
            .is_some_and(|file| file.symlink_metadata().is_ok())
    }

    /// The last part of where a link leads, such as the driver's name of a `driver` link.
    pub(super) fn link_name(&self, path: &str) -> Option<String> {
        if !self.exists(path) {
            return None;
        }
        let name = self.resolve(path)?.file_name()?.to_str()?.to_owned();
        Some(name)
    }

    /// Opens for reading and writing, as libibverbs does with a device, and closes again.
    pub(super) fn open_read_write(&self, path: &str) -> io::Result<File> {
        let file = self
            .locate(path)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ELOOP))?;
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(file)
    }
}

/// Puts the components of a path on a stack, the first on top.
fn push_reversed(stack: &mut Vec<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => stack.push(name.to_owned()),
            Component::ParentDir => stack.push("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

/// A key by which `uverbs10` comes after `uverbs9`.
fn natural(name: &str) -> (String, u64, String) {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (stem, number) = name.split_at(name.len() - digits);
    (
        stem.to_owned(),
        number.parse().unwrap_or(0),
        name.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("efa-node-root-{name}-{}", std::process::id()));
            std::fs::remove_dir_all(&path).ok();
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn links_stay_inside_the_root() {
        let scratch = Scratch::new("links");
        std::fs::create_dir_all(scratch.0.join("sys/devices/a")).unwrap();
        std::fs::write(scratch.0.join("sys/devices/a/vendor"), "0x1d0f\n").unwrap();
        symlink("../../..//etc", scratch.0.join("sys/escape")).unwrap();
        symlink("/sys/devices/a", scratch.0.join("absolute")).unwrap();
        symlink("loop", scratch.0.join("loop")).unwrap();
        symlink("deeper/loop2", scratch.0.join("loop2")).unwrap();
        let root = NodeRoot::new(&scratch.0);
        assert_eq!(root.line("/absolute/vendor").as_deref(), Some("0x1d0f"));
        assert_eq!(root.resolve("/sys/escape").unwrap(), Path::new("/etc"));
        assert_eq!(root.text("/sys/escape/passwd"), None);
        assert_eq!(root.text("../../../etc/passwd"), None);
        assert_eq!(root.resolve("/loop"), None);
        assert_eq!(root.names("/loop"), Vec::<String>::new());
        assert!(!root.exists("/loop2/x"));
        assert_eq!(root.link_name("/absolute").as_deref(), Some("a"));
        assert_eq!(root.link_name("/nothing"), None);
    }

    #[test]
    fn reads_end_on_everything_that_is_not_a_small_file() {
        let scratch = Scratch::new("reads");
        std::fs::write(scratch.0.join("large"), vec![b'7'; 1 << 20]).unwrap();
        std::fs::write(scratch.0.join("binary"), [0xff, 0, 0xfe, b'\n']).unwrap();
        std::fs::write(scratch.0.join("empty"), " \n").unwrap();
        std::fs::create_dir(scratch.0.join("directory")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(scratch.0.join("pipe"))
            .status();
        assert!(made.unwrap().success());
        let root = NodeRoot::new(&scratch.0);
        assert_eq!(root.text("/large").unwrap().len(), MAX_TEXT as usize);
        assert_eq!(root.number::<u64>("/large"), None);
        assert!(root.line("/binary").is_some());
        for path in ["/empty", "/directory", "/pipe", "/missing"] {
            assert_eq!(root.text(path), None, "{path}");
        }
    }

    #[test]
    fn names_are_in_order_of_their_numbers() {
        let scratch = Scratch::new("names");
        for name in ["uverbs10", "uverbs9", "abi_version", "uverbs0"] {
            std::fs::write(scratch.0.join(name), "").unwrap();
        }
        let names = NodeRoot::new(&scratch.0).names("/");
        assert_eq!(names, ["abi_version", "uverbs0", "uverbs9", "uverbs10"]);
    }
}
