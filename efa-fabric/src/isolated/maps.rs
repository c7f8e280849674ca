//! Which libfabrics a process has mapped.

use std::path::{Path, PathBuf};

/// Files of libfabric among this process's mappings, each once, in order of address.
pub(super) fn own() -> Vec<PathBuf> {
    libfabrics(&read())
}

/// Whether rdma-core's `libefa` is among them; `libefa-rdmav34.so` is its driver of devices, and
/// `libefa-fi.so` a provider of libfabric.
pub(super) fn has_libefa() -> bool {
    let is_libefa = |path: &Path| file_name(path).starts_with("libefa.so");
    files(&read()).any(is_libefa)
}

fn read() -> String {
    let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
    String::from_utf8_lossy(&maps).into_owned()
}

/// Files of libfabric in a text like `/proc/self/maps` (proc_pid_maps(5)): named `libfabric`
/// something `.so`, because wheels that bundle one put a hash into its name.
fn libfabrics(maps: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in files(maps) {
        let name = file_name(path);
        let is_libfabric = name.starts_with("libfabric") && name.contains(".so");
        if is_libfabric && !found.iter().any(|known| known == path) {
            found.push(path.to_path_buf());
        }
    }
    found
}

fn files(maps: &str) -> impl Iterator<Item = &Path> {
    maps.lines().filter_map(|line| {
        let path = line[line.find('/')?..].trim_end();
        Some(Path::new(path.strip_suffix(" (deleted)").unwrap_or(path)))
    })
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libfabrics_are_found_by_name() {
        let maps = "\
55d0-55d1 r--p 00000000 fe:00 12 /usr/bin/python3.11
7f10-7f11 r--p 00000000 fe:00 34 /opt/amazon/efa/lib/libfabric.so.1.29.0
7f11-7f12 r-xp 00001000 fe:00 34 /opt/amazon/efa/lib/libfabric.so.1.29.0
7f20-7f21 r-xp 00000000 fe:00 56 /srv/a b/libfabric-1a2b3c.so.1 (deleted)
7f30-7f31 r-xp 00000000 fe:00 78 /usr/lib/libfabricmanager.txt
7f40-7f41 rw-p 00000000 00:00 0 [heap]
7f50-7f51 r-xp 00000000 fe:00 90 /usr/lib/libnccl-net-ofi.so
";
        assert_eq!(
            libfabrics(maps),
            [
                Path::new("/opt/amazon/efa/lib/libfabric.so.1.29.0"),
                Path::new("/srv/a b/libfabric-1a2b3c.so.1"),
            ]
        );
        assert_eq!(libfabrics(""), [] as [PathBuf; 0]);
    }
}
