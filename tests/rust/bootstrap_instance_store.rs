//! The instance store, on a scratch machine whose disks are made up.

use efa_core::spec::Bootstrap;

use crate::bootstrap_machine::Machine;
use crate::bootstrap_release::Release;
use crate::{AL2023, failed, ok, user_data};

/// A machine with this many disks of an instance store besides its EBS volume; user data for it.
fn machine(name: &str, disks: u32) -> Option<(Machine, String)> {
    let machine = Machine::new(name, AL2023)?;
    let model = |disk: u32, model: &str| {
        let path = format!("sys/block/nvme{disk}n1/device/model");
        machine.place(&path, &format!("{model}\n"));
    };
    model(0, "Amazon Elastic Block Store");
    (1..=disks).for_each(|disk| model(disk, "Amazon EC2 NVMe Instance Storage"));
    for command in ["mdadm", "udevadm", "mkfs.ext4", "mount"] {
        machine.record(command, "");
    }
    machine.record("mountpoint", "[[ -e /fake/mounted ]]");
    machine.record("lsblk", "cat /fake/lsblk");
    machine.record("blkid", "echo 1234-abcd");
    machine.place("fake/lsblk", "\n");
    machine.place("etc/fstab", "");
    let mut bootstrap: Bootstrap = machine.serve(&Release::default());
    bootstrap.instance_store = Some("/data/scratch".to_owned());
    Some((machine, user_data(&bootstrap)))
}

#[test]
fn several_disks_are_one_raid_and_one_is_itself() {
    for (disks, device) in [(2, "/dev/md/efa-sdk"), (1, "/dev/nvme1n1")] {
        let Some((machine, script)) = machine(&format!("instance-store-{disks}"), disks) else {
            return;
        };
        assert!(machine.first_boot(&script), "{}", machine.log());
        assert_eq!(machine.state(), ok());
        let raid = "mdadm --create /dev/md/efa-sdk --run --level=0 --name=efa-sdk --homehost=any \
                    --raid-devices=2 /dev/nvme1n1 /dev/nvme2n1";
        let expected: &[&str] = if disks > 1 { &[raid] } else { &[] };
        assert_eq!(machine.calls_of("mdadm"), expected);
        let made = format!("mkfs.ext4 -q -m 0 -E nodiscard {device}");
        assert_eq!(machine.calls_of("mkfs.ext4"), [made]);
        let line = "UUID=1234-abcd /data/scratch ext4 defaults,noatime,nofail 0 2\n";
        assert_eq!(machine.read("etc/fstab"), line);
        assert_eq!(machine.calls_of("mount"), ["mount /data/scratch"]);

        machine.place("fake/mounted", "");
        assert!(machine.first_boot(&script), "{}", machine.log());
        assert_eq!(machine.calls_of("mkfs.ext4").len(), 1);
        assert_eq!(machine.read("etc/fstab"), line);
    }
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let Some((machine, script)) = machine("instance-store-used", 2) else {
        return;
    };
    let refused = |reason: &str| {
        assert!(!machine.first_boot(&script));
        assert_eq!(machine.state(), failed("instance-store", reason));
        assert_eq!(machine.calls_of("mkfs.ext4"), [""; 0]);
        assert_eq!(machine.read("etc/fstab"), "");
    };
    for shown in ["xfs\n", "\n\n", "\nLVM2_member\n"] {
        machine.place("fake/lsblk", shown);
        refused("/dev/nvme1n1 is in use");
    }
    machine.place("fake/lsblk", "\n");
    machine.place("data/scratch/results", "mine");
    refused("/data/scratch is not empty");
    machine.sh("rm /data/scratch/results; rm -r /sys/block/nvme1n1 /sys/block/nvme2n1");
    refused("there is no disk of an instance store");
    machine.place(
        "sys/block/nvme3n1/device/model",
        "Amazon EC2 NVMe Instance Storage\n",
    );
    machine.place("fail/mkfs.ext4", "");
    assert!(!machine.first_boot(&script));
    let reason = "no file system on /dev/nvme3n1";
    assert_eq!(machine.state(), failed("instance-store", reason));
}
