//! The devices that a process knows: found once, and never forgotten, as with libibverbs.

use std::fs::{self, OpenOptions};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::abi;
use crate::addresses;
use crate::capability;
use crate::control::{Control, Field, LAYOUT, Published};
use crate::settings::Settings;
use crate::tree::{self, Found};

/// A device with its one port.
pub(crate) struct Port {
    /// What C callers hold; first, so that its address is that of the port.
    pub(crate) device: abi::Device,
    pub(crate) name: String,
    pub(crate) uverbs: String,
    pub(crate) index: u8,
    pub(crate) ip: Ipv4Addr,
    pub(crate) gid: [u8; 16],
    pub(crate) control: Control,
    counters: PathBuf,
    published: Mutex<Published>,
}

// SAFETY: the pointers of `device` are never followed nor changed.
unsafe impl Send for Port {}
// SAFETY: as above.
unsafe impl Sync for Port {}

impl Port {
    /// The device of this index that the tree at `root` shows.
    fn new(root: &Path, found: &Found, settings: &Settings) -> std::io::Result<Self> {
        let control = Control::open(&root.join(".soft").join(&found.name))?;
        let index = usize::from(found.index);
        if control.get(Field::Layout) == 0 {
            let listed = settings
                .capabilities
                .get(index)
                .or(settings.capabilities.last());
            let capabilities = match listed.map(|text| capability::parse(text)) {
                None => capability::of_part(found.part),
                Some(Ok(listed)) => listed,
                Some(Err(word)) => {
                    eprintln!(
                        "efa-soft: SOFT_EFA_CAPS: {word:?} is not a capability; use read, write, \
                               rnr, sgid, unsolicited, none, or efa0 to efa3"
                    );
                    capability::of_part(found.part)
                }
            };
            control.set(Field::Capabilities, capabilities);
            control.set(Field::Part, found.part);
            control.set(Field::Layout, LAYOUT);
        }
        let port = root
            .join("class/infiniband")
            .join(&found.name)
            .join("ports/1");
        for (device, name, value) in &settings.faults {
            if *device != -1 && *device != i64::from(found.index) {
                continue;
            }
            if !control.set_fault(name, *value) {
                eprintln!("efa-soft: SOFT_EFA_FAULT: there is no fault {name:?}");
            }
            if name == "down" {
                let state = if *value == 0.0 {
                    "4: ACTIVE\n"
                } else {
                    "1: DOWN\n"
                };
                let _ = fs::write(port.join("state"), state);
            }
        }
        let class = root.join("class");
        Ok(Self {
            device: abi::Device {
                ops: [std::ptr::null_mut(); 2],
                node_type: abi::NODE_UNSPECIFIED,
                transport_type: abi::TRANSPORT_UNSPECIFIED,
                name: text(&found.name),
                dev_name: text(&found.uverbs),
                dev_path: path(&class.join("infiniband_verbs").join(&found.uverbs)),
                ibdev_path: path(&class.join("infiniband").join(&found.name)),
            },
            name: found.name.clone(),
            uverbs: found.uverbs.clone(),
            index: found.index,
            ip: found.ip,
            gid: addresses::gid(found.ip, found.index),
            control,
            counters: port.join("hw_counters"),
            published: Mutex::new(Published::new()),
        })
    }

    /// Whether the device has a capability.
    pub(crate) fn can(&self, capability: u64) -> bool {
        self.control.get(Field::Capabilities) & capability != 0
    }

    /// Writes the counters to their files; see [`Published::publish`].
    pub(crate) fn publish(&self, force: bool) {
        if let Ok(mut published) = self.published.try_lock() {
            published.publish(&self.control, &self.counters, force);
        } else if force {
            let mut published = self
                .published
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            published.publish(&self.control, &self.counters, true);
        }
    }
}

/// The bytes of a C string of fixed size, cut if too long.
fn text<const N: usize>(value: &str) -> [std::ffi::c_char; N] {
    let mut out = [0; N];
    for (to, from) in out[..N - 1].iter_mut().zip(value.bytes()) {
        *to = from as std::ffi::c_char;
    }
    out
}

fn path<const N: usize>(value: &Path) -> [std::ffi::c_char; N] {
    text(&value.to_string_lossy())
}

/// What a process knows.
pub(crate) struct Host {
    pub(crate) settings: Settings,
    pub(crate) ports: Vec<Port>,
}

/// The host of this process, found when first asked for.
pub(crate) fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| find(Settings::read(|name| std::env::var(name).ok())))
}

fn find(settings: Settings) -> Host {
    let root = settings.sysfs.clone();
    let ports = open(&root, &settings).unwrap_or_else(|error| {
        eprintln!(
            "efa-soft: no devices: the tree at {}: {error}",
            root.display()
        );
        Vec::new()
    });
    if settings.trace > 0 {
        eprintln!("efa-soft: {} devices under {}", ports.len(), root.display());
    }
    Host { settings, ports }
}

fn open(root: &Path, settings: &Settings) -> std::io::Result<Vec<Port>> {
    let own = root.join(".soft");
    // The machine's own /sys is never written to: devices lie there only where a made tree was
    // mounted over it.
    let is_real = root == Path::new("/sys") && !own.is_dir();
    if is_real {
        return Ok(Vec::new());
    }
    fs::create_dir_all(&own)?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(own.join("lock"))?;
    // SAFETY: an open file; the lock goes when it is closed.
    unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) };
    let mut found = tree::scan(root);
    // A machine whose devices were taken away has none.
    if found.is_empty() && !root.join("class/infiniband_verbs").is_dir() {
        tree::make(root, settings)?;
        found = tree::scan(root);
    }
    found.truncate(settings.devices.unwrap_or(usize::MAX));
    found
        .iter()
        .map(|found| Port::new(root, found, settings))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_made_once_and_keeps_its_capabilities() {
        let above = std::env::temp_dir().join(format!("efa-soft-port-{}", std::process::id()));
        let with = |capabilities: &str, devices: &str| {
            find(Settings::read(|name| match name {
                "SYSFS_PATH" => Some(above.join("sys").display().to_string()),
                "SOFT_EFA_DEVICES" => Some(devices.to_owned()),
                "SOFT_EFA_CAPS" => Some(capabilities.to_owned()),
                "SOFT_EFA_FAULT" => Some("1:loss=0.5".to_owned()),
                _ => None,
            }))
        };
        let first = with("read,efa0", "2");
        let second = with("none", "1");
        for name in ["uverbs0", "uverbs1"] {
            let path = above.join("sys/class/infiniband_verbs").join(name);
            fs::remove_file(&path)
                .or_else(|_| fs::remove_dir_all(&path))
                .expect("made above");
        }
        assert!(with("none", "2").ports.is_empty());
        fs::remove_dir_all(&above).expect("made above");
        assert_eq!(first.ports.len(), 2);
        assert!(first.ports[0].can(capability::READ) && !first.ports[0].can(capability::WRITE));
        assert!(!first.ports[1].can(capability::READ));
        assert_eq!(first.ports[1].control.part(Field::Loss), 0.5);
        assert_eq!(second.ports.len(), 1);
        assert!(second.ports[0].can(capability::READ));
        assert!(
            first.ports[0]
                .device
                .ibdev_path
                .contains(&(b'1' as std::ffi::c_char))
        );
    }

    #[test]
    fn the_real_sysfs_is_left_alone() {
        assert!(find(Settings::read(|_| None)).ports.is_empty());
        assert!(!Path::new("/sys/.soft").exists());
    }
}
