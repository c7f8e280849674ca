# The disks of the instance store, by the name that EC2 gives their model.
instance_store_disks() {
  local model
  for model in /sys/block/nvme*/device/model; do
    if grep -qs 'Amazon EC2 NVMe Instance Storage' "$model"; then
      model=${model#/sys/block/}
      printf '/dev/%s\n' "${model%%/*}"
    fi
  done
}

install_mdadm() {
  if command -v dnf >/dev/null; then
    dnf install -y mdadm
  else
    apt-get -o 'DPkg::Lock::Timeout=600' update &&
      apt-get -o 'DPkg::Lock::Timeout=600' install -y mdadm
  fi || die 'mdadm cannot be installed'
}

# Nothing that is there is overwritten: neither what a disk holds nor what a directory does.
make_instance_store() {
  local disks disk device uuid
  if mountpoint -q "$instance_store"; then say "$instance_store is mounted"; return 0; fi
  mapfile -t disks < <(instance_store_disks)
  ((${#disks[@]} > 0)) || die 'there is no disk of an instance store'
  if [[ -n $(ls -A "$instance_store" 2>/dev/null) ]]; then die "$instance_store is not empty"; fi
  for disk in "${disks[@]}"; do
    # One line for the disk itself, and without a file system, a RAID or a volume group on it.
    [[ $(lsblk -nro FSTYPE "$disk" && echo end) == $'\nend' ]] || die "$disk is in use"
  done
  device=${disks[0]}
  if ((${#disks[@]} > 1)); then
    device=/dev/md/efa-sdk
    command -v mdadm >/dev/null || install_mdadm
    mdadm --create "$device" --run --level=0 --name=efa-sdk --homehost=any \
      --raid-devices="${#disks[@]}" "${disks[@]}" || die 'mdadm failed'
    udevadm settle
  fi
  mkfs.ext4 -q -m 0 -E nodiscard "$device" || die "no file system on $device"
  uuid=$(blkid -s UUID -o value "$device")
  mkdir -p "$instance_store"
  # nofail: after a stop the disks are new, and the node must boot without them.
  printf 'UUID=%s %s ext4 defaults,noatime,nofail 0 2\n' "$uuid" "$instance_store" >>/etc/fstab
  mount "$instance_store" || die "$instance_store cannot be mounted"
  chmod 1777 "$instance_store"
}
