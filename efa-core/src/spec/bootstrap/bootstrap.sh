# shellcheck shell=bash
set -euo pipefail
umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin
export HOME=/root DEBIAN_FRONTEND=noninteractive AWS_METADATA_SERVICE_NUM_ATTEMPTS=5

state_dir=/var/lib/efa-sdk
state_file=$state_dir/bootstrap.json
work=$state_dir/work
log_file=/var/log/efa-sdk-bootstrap.log
# cloud-init runs user data on the first boot only, and what is here on each boot.
resume=/var/lib/cloud/scripts/per-boot/efa-sdk-bootstrap
installed=/opt/amazon/efa_installed_packages

# Absolute, before any cd; empty where the script came through a pipe.
script=$(readlink -f -- "${BASH_SOURCE[0]:-}") || script=
stage=start
reason=
reboot_reason=
# What a signal ends has the exit status 0 in an EXIT trap: only the end of main says ok.
reached_end=false
resumed=false
if [[ $script -ef $resume ]]; then resumed=true; fi

# To the log, and to cloud-init's, which the instance's console shows. A full disk stops neither.
say() {
  local line
  line="$(date -u +%FT%TZ) efa-sdk bootstrap: $1"
  printf '%s\n' "$line" || true
  printf '%s\n' "$line" >&3 || true
}

# What goes in is of letters, digits and plain punctuation, so that JSON needs no escapes.
write_state() {
  printf '{"state":"%s","stage":"%s","reason":"%s","cluster":"%s","efa_installer":"%s","at":"%s"}\n' \
    "$1" "$stage" "$reason" "$cluster" "$(installed_version)" "$(date -u +%FT%TZ)" >"$state_file.new" &&
    mv "$state_file.new" "$state_file"
}

disk_is_full() {
  local free
  free=$(df --output=avail -k "$state_dir" 2>/dev/null | tail -n 1) && ((free < 1024))
}

# Best effort: the state file is what always tells.
tag_instance() {
  local imds=http://169.254.169.254/latest token id region
  if ! command -v aws >/dev/null; then say 'no aws command, so no tag'; return 0; fi
  if ! {
    token=$(metadata -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$imds/api/token") &&
      id=$(metadata -H "X-aws-ec2-metadata-token: $token" "$imds/meta-data/instance-id") &&
      region=$(metadata -H "X-aws-ec2-metadata-token: $token" "$imds/meta-data/placement/region") &&
      timeout 60 aws ec2 create-tags --region "$region" --resources "$id" \
        --tags "Key=$tag_key,Value=$1"
  }; then say 'the tag was not set'; fi
}

metadata() { curl --fail --silent --show-error --noproxy '*' --retry 3 --max-time 5 "$@"; }

enter() {
  stage=$1
  say "$stage"
  write_state running || die 'the state cannot be written'
}

die() {
  reason=$1
  exit 1
}

finish() {
  local status=$?
  trap - EXIT
  # What is said here is said to its end.
  trap '' TERM HUP INT
  set +e
  if [[ $reached_end == false ]]; then
    if ((status == 0)); then
      status=1
      reason=${reason:-a signal ended it}
    fi
    reason=${reason:-exit status $status}
    if disk_is_full; then reason="$reason (the disk is full)"; fi
  fi
  rm -rf "$work"
  rm -f "$resume"
  if [[ $reached_end == true ]]; then
    stage='done'
    if ! write_state ok; then
      status=1
      reason='the state cannot be written'
    fi
  fi
  if ((status == 0)); then
    say 'ok'
    tag_instance "ok $(installed_version)"
  else
    write_state failed || say 'the state cannot be written'
    say "failed in stage $stage: $reason; see $log_file"
    tag_instance "failed $stage"
  fi
  exit "$status"
}

put() {
  mkdir -p "${1%/*}"
  cat >"$1"
}

installed_version() {
  local line
  line=$(grep -m 1 -oE '^# EFA installer version: [0-9.]+' "$installed" 2>/dev/null) || return 0
  printf '%s' "${line##* }"
}

efa_is_there() {
  local found
  found=$(installed_version)
  [[ -n $found ]] &&
    printf '%s\n%s\n' "$version" "$found" | sort --version-sort --check=quiet &&
    { [[ $minimal == true ]] || [[ -x /opt/amazon/efa/bin/fi_info ]]; } &&
    modinfo efa >/dev/null
}

install_tools() {
  local os missing=()
  # shellcheck source=/dev/null
  os=$(. /etc/os-release && printf '%s' "$ID${VERSION_ID:+-$VERSION_ID}")
  case $os in
    amzn-2023*)
      command -v curl >/dev/null || missing+=(curl-minimal)
      command -v gpg >/dev/null || missing+=(gnupg2-minimal)
      ((${#missing[@]} == 0)) || dnf install -y "${missing[@]}"
      ;;
    ubuntu-*)
      # Unattended upgrades hold the lock on a first boot; the installer's apt-get waits too.
      export APT_CONFIG=$work/apt.conf
      echo 'DPkg::Lock::Timeout "600";' >"$APT_CONFIG"
      command -v curl >/dev/null || missing+=(curl)
      command -v gpg >/dev/null || missing+=(gnupg)
      apt-get update
      ((${#missing[@]} == 0)) || apt-get install -y "${missing[@]}"
      ;;
    *)
      say "$os"
      die 'neither Amazon Linux 2023 nor Ubuntu'
      ;;
  esac
}

fetch() {
  curl --fail --silent --show-error --location --proto '=https' --tlsv1.2 \
    --retry 4 --retry-all-errors --connect-timeout 10 --speed-limit 10000 --speed-time 60 \
    --output "$work/$2" "$base_url/$1" || die "could not fetch $1"
}

verify_signature() {
  local home=$work/gnupg signer
  mkdir -m 700 "$home"
  gpg --homedir "$home" --batch --import "$work/key" || die 'the public key cannot be read'
  signer=$(gpg --homedir "$home" --batch --status-fd 1 --verify "$work/tar.gz.sig" "$work/tar.gz" |
    awk '$2 == "GOODSIG" { good = 1 } $2 == "VALIDSIG" { print $NF } END { exit !good }') ||
    die 'no good signature'
  # A good signature by another key in the downloaded file proves nothing.
  [[ $signer == "$key_fingerprint" ]] || die 'signed by another key than the pinned one'
}

install_efa() {
  local flags=(-y) name=aws-efa-installer-$version.tar.gz
  if [[ $minimal == true ]]; then flags+=(--minimal); fi
  enter tools
  install_tools
  enter download
  fetch "$name" tar.gz
  fetch "$name.sig" tar.gz.sig
  fetch aws-efa-installer.key key
  enter checksum
  printf '%s  %s\n' "$sha256" "$work/tar.gz" | sha256sum --check --status ||
    die 'the SHA-256 is not the pinned one'
  enter signature
  verify_signature
  enter install
  tar -xzf "$work/tar.gz" -C "$work" --no-same-owner
  # Its own test over EFA fails under cloud-init's memlock limit.
  (ulimit -l unlimited; cd "$work/aws-efa-installer" && ./efa_installer.sh "${flags[@]}") 2>&1 9>&- |
    tee "$work/output" || die 'efa_installer.sh failed'
  if grep -qiE 'reboot (to complete|is needed)' "$work/output"; then
    reboot_reason='the EFA installer asks for it'
  elif [[ -e /var/run/reboot-required ]]; then
    reboot_reason='reboot-required is set'
  fi
}

set_limits() {
  put /etc/security/limits.d/99-efa-sdk.conf <<'CONF'
* - memlock unlimited
root - memlock unlimited
CONF
  put /etc/systemd/system.conf.d/99-efa-sdk.conf <<'CONF'
[Manager]
DefaultLimitMEMLOCK=infinity
CONF
  systemctl daemon-reexec
}

reserve_huge_pages() {
  put /etc/sysctl.d/99-efa-sdk.conf <<<"vm.nr_hugepages = $huge_pages"
  sysctl -q -p /etc/sysctl.d/99-efa-sdk.conf
  if (($(sysctl -n vm.nr_hugepages) < huge_pages)); then
    [[ $resumed == false ]] || die 'the kernel reserved fewer huge pages than asked for'
    reboot_reason='memory is too fragmented for the huge pages'
  fi
}

load_driver() {
  modprobe efa && return 0
  [[ $resumed == false ]] || die 'modprobe efa fails after a reboot too'
  reboot_reason='modprobe efa fails'
}

reboot_and_resume() {
  stage=reboot
  say "reboot: $reboot_reason"
  [[ -f $script ]] || die 'a reboot is needed, and the script has no file to go on from after it'
  mkdir -p "${resume%/*}"
  cp -- "$script" "$resume"
  chmod 700 "$resume"
  write_state rebooting || die 'the state cannot be written'
  tag_instance rebooting
  # From here on the reboot's own signals end this, and the state is right.
  trap - EXIT
  if ! timeout 120 reboot; then
    trap finish EXIT
    die 'the reboot failed'
  fi
  rm -rf "$work"
  exit 0
}

main() {
  mkdir -p "$state_dir"
  exec 3>&1 >>"$log_file" 2>&1
  # Two at once would install into each other, and the second would say what the first is doing.
  exec 9<"$state_dir"
  if ! flock -n 9; then
    say 'another bootstrap runs on this machine: this one ends and changes nothing'
    exit 75
  fi
  cd /
  trap finish EXIT
  rm -rf "$work"
  mkdir -m 700 "$work"
  # One reboot is the most: after it, what is still missing is a failure.
  if [[ $resumed == false ]]; then
    if efa_is_there; then say "EFA $(installed_version) is there"; else install_efa; fi
  fi
  enter limits
  set_limits
  enter driver
  load_driver
  if [[ -n $huge_pages ]]; then
    enter huge-pages
    reserve_huge_pages
  fi
  if [[ -n $reboot_reason ]]; then reboot_and_resume; fi
  if [[ -n $instance_store ]]; then
    enter instance-store
    make_instance_store
  fi
  if [[ -n $extra_script ]]; then
    enter extra-script
    # Without the lock: what it leaves in the background must not keep it.
    bash -c "$extra_script" 9>&- || die "exit status $?"
  fi
  reached_end=true
}

main
