//! Kernel modules and files of the software that EFA needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::root::NodeRoot;

/// `mlx_compat` is there where NVIDIA's OFED (MOFED, DOCA) replaced the kernel's RDMA modules.
const MODULES: [&str; 7] = [
    "efa",
    "ib_uverbs",
    "ib_core",
    "mlx_compat",
    "gdrdrv",
    "nvidia",
    "nvidia_peermem",
];

/// Where systems keep shared libraries.
pub(super) const LIBRARY_DIRECTORIES: [&str; 9] = [
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
/// How the plugin's own log line begins, with its version after it.
const PLUGIN_MARK: &[u8] = b"Initializing aws-ofi-nccl ";
/// What all its log lines carry.
const LOG_MARK: &[u8] = b"NET/OFI";
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
    /// Every path in the directories that were looked at that leads to it.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Whether it is aws-ofi-nccl, by the mark in its log lines; `None` where it cannot be read.
    #[serde(default)]
    pub is_for_libfabric: Option<bool>,
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

/// Installed software, according to files. `None` and empty mean not found.
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
    /// Directories of EFA software that the dynamic linker is configured to search.
    pub linker_directories: Vec<LinkerDirectory>,
    /// Variables that `/etc/nccl.conf` sets for every program with NCCL.
    #[serde(default)]
    pub nccl_settings: BTreeMap<String, String>,
}

pub(super) fn read_modules(root: &NodeRoot) -> Vec<KernelModule> {
    let listed = root.bytes("/proc/modules", 1 << 20);
    // A recorded tree may have single modules of sysfs, which states nothing about the others.
    let known = listed.is_some() || root.is_live() && root.exists("/sys/module");
    let listed = String::from_utf8_lossy(listed.as_deref().unwrap_or_default()).into_owned();
    MODULES
        .iter()
        .map(|&name| {
            let directory = format!("/sys/module/{name}");
            let in_list = listed
                .lines()
                .any(|line| line.split_whitespace().next() == Some(name));
            // Modules that are part of the kernel are only in sysfs.
            let is_there = in_list || root.exists(&directory);
            KernelModule {
                name: name.to_owned(),
                loaded: (known || is_there).then_some(is_there),
                version: root.line(&format!("{directory}/version")),
            }
        })
        .collect()
}

pub(super) fn read(root: &NodeRoot, environment: &BTreeMap<String, String>) -> Software {
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
        nccl_plugins: plugins(root, environment),
        linker_directories: linker_directories(root),
        nccl_settings: nccl_settings(root),
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

/// Plugins in the usual directories, in those of `LD_LIBRARY_PATH`, and the files that
/// `NCCL_NET_PLUGIN` names.
fn plugins(root: &NodeRoot, environment: &BTreeMap<String, String>) -> Vec<NcclPlugin> {
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
    let value = |name: &str| environment.get(name).map_or("", String::as_str);
    directories.extend(
        value("LD_LIBRARY_PATH")
            .split(':')
            .filter(|entry| entry.starts_with('/'))
            .map(|entry| entry.trim_end_matches('/').to_owned()),
    );
    let in_directories = directories.iter().flat_map(|directory| {
        root.names(directory)
            .into_iter()
            .filter(|name| name.starts_with("libnccl-net") && name.ends_with(".so"))
            .map(move |name| format!("{directory}/{name}"))
    });
    let named = value("NCCL_NET_PLUGIN")
        .split(',')
        .filter(|entry| entry.starts_with('/'))
        .map(str::to_owned);
    let mut found: Vec<(PathBuf, NcclPlugin)> = Vec::new();
    for path in in_directories.chain(named) {
        let (Some(real), Some(file)) = (root.resolve(&path), root.locate(&path)) else {
            continue;
        };
        if !file.is_file() {
            continue;
        }
        match found.iter_mut().find(|(known, _)| *known == real) {
            Some((_, plugin)) if plugin.paths.contains(&path) => {}
            Some((_, plugin)) => plugin.paths.push(path),
            None => found.push((real, plugin(root, path))),
        }
    }
    found.into_iter().map(|(_, plugin)| plugin).collect()
}

fn plugin(root: &NodeRoot, path: String) -> NcclPlugin {
    let content = root.bytes(&path, MAX_PLUGIN);
    let has = |content: &Vec<u8>| contains(content, PLUGIN_MARK) || contains(content, LOG_MARK);
    NcclPlugin {
        version: content.as_deref().and_then(plugin_version),
        is_for_libfabric: content.as_ref().map(has),
        paths: vec![path.clone()],
        path,
    }
}

fn contains(content: &[u8], mark: &[u8]) -> bool {
    content.windows(mark.len()).any(|window| window == mark)
}

/// Lines `NAME=value` of NCCL's file of settings.
fn nccl_settings(root: &NodeRoot) -> BTreeMap<String, String> {
    let text = root.text("/etc/nccl.conf").unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .filter(|(name, _)| name.starts_with("NCCL_"))
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
