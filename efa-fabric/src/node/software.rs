//! Kernel modules and files of the software that EFA needs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::root::NodeRoot;

const MODULES: [&str; 6] = [
    "efa",
    "ib_uverbs",
    "ib_core",
    "gdrdrv",
    "nvidia",
    "nvidia_peermem",
];

/// Where systems keep shared libraries.
const LIBRARY_DIRECTORIES: [&str; 9] = [
    "/opt/amazon/efa/lib64",
    "/opt/amazon/efa/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib",
    "/lib64",
    "/usr/local/lib64",
    "/usr/local/lib",
];

/// Where aws-ofi-nccl is installed: by the EFA installer, by older installers, by hand, in
/// images; and by distributions next to other libraries.
const PLUGIN_PREFIXES: [&str; 5] = [
    "/opt/amazon/ofi-nccl",
    "/opt/amazon/aws-ofi-nccl",
    "/opt/aws-ofi-nccl",
    "/opt/amazon/efa",
    "/usr/local",
];
const PLUGIN_NAMES: [&str; 3] = [
    "libnccl-net-ofi.so",
    "libnccl-net.so",
    "libnccl-net-aws-ofi.so",
];
/// How the plugin's own log line begins, with its version after it.
const PLUGIN_MARK: &[u8] = b"Initializing aws-ofi-nccl ";
/// Most of a plugin that is searched for its version, in bytes.
const MAX_PLUGIN: u64 = 64 << 20;

/// A kernel module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KernelModule {
    /// The name, such as `efa`.
    pub name: String,
    /// Whether the kernel has it; `None` where neither `/proc/modules` nor `/sys/module` can
    /// be read.
    pub loaded: Option<bool>,
    /// Its version; modules that belong to the kernel have none.
    pub version: Option<String>,
}

/// A file of the NCCL plugin aws-ofi-nccl, or of another plugin of that name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NcclPlugin {
    /// Where it is.
    pub path: String,
    /// The version that it would log, such as `1.12.1-aws`.
    pub version: Option<String>,
}

/// A line of `/etc/ld.so.conf.d` that names a directory of EFA software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LinkerDirectory {
    /// The file, such as `/etc/ld.so.conf.d/100_ofinccl.conf`.
    pub file: String,
    /// The directory that it adds.
    pub directory: String,
}

/// Installed software, as files tell. `None` and empty mean not found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Software {
    /// Version of the EFA installer, from `/opt/amazon/efa_installed_packages`.
    pub efa_installer: Option<String>,
    /// Version of rdma-core, from the name of `libibverbs.so.1.14.44.0`: 44.
    pub rdma_core: Option<u32>,
    /// `/etc/libibverbs.d/efa.driver`, which makes libibverbs load its efa provider.
    pub verbs_provider_config: Option<String>,
    /// The files `libefa-rdmav*.so`: that provider.
    pub verbs_provider_libraries: Vec<String>,
    /// Files named `libfabric.so.1` in the usual places, each once after links are followed.
    pub libfabrics: Vec<String>,
    /// NCCL plugins in the usual places, each once after links are followed.
    pub nccl_plugins: Vec<NcclPlugin>,
    /// Directories of EFA software that the dynamic linker is told to search.
    pub linker_directories: Vec<LinkerDirectory>,
}

pub(super) fn read_modules(root: &NodeRoot) -> Vec<KernelModule> {
    let listed = root.bytes("/proc/modules", 1 << 20);
    let known = listed.is_some() || root.exists("/sys/module");
    let listed = String::from_utf8_lossy(listed.as_deref().unwrap_or_default()).into_owned();
    MODULES
        .iter()
        .map(|&name| {
            let directory = format!("/sys/module/{name}");
            let in_list = listed
                .lines()
                .any(|line| line.split_whitespace().next() == Some(name));
            KernelModule {
                name: name.to_owned(),
                // Modules that are part of the kernel are only in sysfs.
                loaded: known.then(|| in_list || root.exists(&directory)),
                version: root.line(&format!("{directory}/version")),
            }
        })
        .collect()
}

pub(super) fn read(root: &NodeRoot) -> Software {
    let config = "/etc/libibverbs.d/efa.driver";
    Software {
        efa_installer: root
            .line("/opt/amazon/efa_installed_packages")
            .and_then(|line| {
                Some(
                    line.split_once("EFA installer version:")?
                        .1
                        .trim()
                        .to_owned(),
                )
            }),
        rdma_core: library_files(root, |name| name.starts_with("libibverbs.so.1."))
            .iter()
            .filter_map(|path| rdma_core_version(path))
            .max(),
        verbs_provider_config: root.exists(config).then(|| config.to_owned()),
        verbs_provider_libraries: provider_libraries(root),
        libfabrics: library_files(root, |name| name == "libfabric.so.1"),
        nccl_plugins: plugins(root),
        linker_directories: linker_directories(root),
    }
}

/// Files in the library directories, each once after links are followed, under the first path
/// that leads to it.
fn library_files(root: &NodeRoot, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let directories: Vec<String> = LIBRARY_DIRECTORIES
        .iter()
        .map(|&directory| directory.to_owned())
        .collect();
    files(root, &directories, wanted)
}

fn files(root: &NodeRoot, directories: &[String], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for directory in directories {
        for name in root
            .names(directory)
            .into_iter()
            .filter(|name| wanted(name))
        {
            let path = format!("{directory}/{name}");
            let is_file = root.locate(&path).is_some_and(|file| file.is_file());
            if is_file && root.resolve(&path).is_some_and(|real| seen.insert(real)) {
                found.push(path);
            }
        }
    }
    found
}

/// 44 of `…/libibverbs.so.1.14.44.0`: rdma-core puts its own version there.
fn rdma_core_version(path: &str) -> Option<u32> {
    let (_, version) = path.rsplit_once("libibverbs.so.1.")?;
    let mut parts = version.split('.');
    let (_, number) = (parts.next()?, parts.next()?);
    number.parse().ok()
}

fn provider_libraries(root: &NodeRoot) -> Vec<String> {
    let directories: Vec<String> = LIBRARY_DIRECTORIES
        .iter()
        .flat_map(|directory| [format!("{directory}/libibverbs"), (*directory).to_owned()])
        .collect();
    files(root, &directories, |name| {
        name.starts_with("libefa-rdmav") && name.ends_with(".so")
    })
}

fn plugins(root: &NodeRoot) -> Vec<NcclPlugin> {
    let mut directories = Vec::new();
    for prefix in PLUGIN_PREFIXES {
        for name in root.names(prefix) {
            if !name.starts_with("lib") {
                continue;
            }
            directories.push(format!("{prefix}/{name}"));
            for triplet in ["x86_64-linux-gnu", "aarch64-linux-gnu"] {
                directories.push(format!("{prefix}/{name}/{triplet}"));
            }
        }
    }
    directories.extend(LIBRARY_DIRECTORIES.iter().map(|&path| path.to_owned()));
    files(root, &directories, |name| PLUGIN_NAMES.contains(&name))
        .into_iter()
        .map(|path| NcclPlugin {
            version: root
                .bytes(&path, MAX_PLUGIN)
                .and_then(|content| plugin_version(&content)),
            path,
        })
        .collect()
}

/// The word after the plugin's mark.
fn plugin_version(content: &[u8]) -> Option<String> {
    let at = content
        .windows(PLUGIN_MARK.len())
        .position(|window| window == PLUGIN_MARK)?;
    let version: String = content[at + PLUGIN_MARK.len()..]
        .iter()
        .take(64)
        .take_while(|byte| byte.is_ascii_graphic())
        .map(|&byte| char::from(byte))
        .collect();
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(version)
}

fn linker_directories(root: &NodeRoot) -> Vec<LinkerDirectory> {
    let directory = "/etc/ld.so.conf.d";
    let mut found = Vec::new();
    for name in root.names(directory) {
        let file = format!("{directory}/{name}");
        for line in root.text(&file).unwrap_or_default().lines() {
            let line = line.trim();
            if line.starts_with("/opt/amazon/") || line.starts_with("/opt/aws-ofi-nccl") {
                found.push(LinkerDirectory {
                    file: file.clone(),
                    directory: line.to_owned(),
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rdma_core_has_its_version_in_a_file_name() {
        for (path, expected) in [
            ("/usr/lib64/libibverbs.so.1.14.44.0", Some(44)),
            ("/usr/lib64/libibverbs.so.1.15.61.0", Some(61)),
            ("/usr/lib64/libibverbs.so.1", None),
            ("/usr/lib64/libibverbs.so.1.x", None),
            ("/usr/lib64/libibverbs.so.1.14.x.0", None),
            ("", None),
        ] {
            assert_eq!(rdma_core_version(path), expected, "{path}");
        }
    }

    #[test]
    fn plugins_carry_their_version_as_text() {
        for (content, expected) in [
            (
                &b"\x7fELF\0NET/OFI Initializing aws-ofi-nccl 1.12.1-aws\0more"[..],
                Some("1.12.1-aws"),
            ),
            (b"NET/OFI Initializing aws-ofi-nccl 1.16.0", Some("1.16.0")),
            (b"NET/OFI Initializing aws-ofi-nccl %s\0", None),
            (b"NET/OFI Initializing aws-ofi-nccl ", None),
            (b"Initializing aws-ofi-nccl", None),
            (b"", None),
        ] {
            assert_eq!(plugin_version(content).as_deref(), expected);
        }
    }
}
