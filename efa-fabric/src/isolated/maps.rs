//! Which libfabrics a process has mapped.

use std::path::{Path, PathBuf};

/// Files of libfabric among this process's mappings, each once, in order of address.
pub(super) fn own() -> Vec<PathBuf> {
    let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
    libfabrics(&String::from_utf8_lossy(&maps))
}

/// Files of libfabric in a text like `/proc/self/maps` (proc_pid_maps(5)): named `libfabric`
/// something `.so`, because wheels that bundle one put a hash into its name.
fn libfabrics(maps: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in maps.lines() {
        let Some(at) = line.find('/') else { continue };
        let path = line[at..].trim_end();
        let path = Path::new(path.strip_suffix(" (deleted)").unwrap_or(path));
        let is_libfabric = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("libfabric") && name.contains(".so"));
        if is_libfabric && !found.iter().any(|known| known == path) {
            found.push(path.to_path_buf());
        }
    }
    found
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
