# Before everything else, so that a node whose bootstrap fails ends too.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
(
  set -e
  umask 022
  known=/var/lib/efa-sdk/expires-at
  units=/etc/systemd/system
  mkdir -p /var/lib/efa-sdk /usr/local/sbin "$units"
  # Until the tag is read; a later boot keeps what it finds.
  if [[ ! -s $known ]]; then
    now=$(date +%s)
    printf '%s\n' "$((now + expires_after_s))" >"$known"
  fi
  cat >/usr/local/sbin/efa-sdk-expiry <<'CHECK'
#!/bin/bash
# Ends the instance once the time in its tag efa-sdk:expires-at has passed. Where the metadata
# service does not answer, the time that was read last counts.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
known=/var/lib/efa-sdk/expires-at
imds=http://169.254.169.254/latest
get() { curl --fail --silent --noproxy '*' --max-time 5 "$@"; }
at=
if token=$(get -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/api/token") &&
  tag=$(get -H "X-aws-ec2-metadata-token: $token" \
    "$imds/meta-data/tags/instance/efa-sdk:expires-at") &&
  [[ $tag =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$ ]] &&
  at=$(date -d "$tag" +%s); then
  printf '%s\n' "$at" >"$known.new" && mv "$known.new" "$known"
fi
if [[ -z $at ]]; then at=$(<"$known"); fi
if [[ ! $at =~ ^[0-9]+$ ]]; then
  echo 'efa-sdk: it is not known when this instance expires' >&2
  exit 1
fi
if (($(date +%s) >= at)); then shutdown -h now; fi
CHECK
  chmod 755 /usr/local/sbin/efa-sdk-expiry
  cat >"$units/efa-sdk-expiry.service" <<'UNIT'
[Unit]
Description=Ends this instance when its cluster expires

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/efa-sdk-expiry
UNIT
  cat >"$units/efa-sdk-expiry.timer" <<'UNIT'
[Unit]
Description=Looks every minute whether this instance's cluster has expired

[Timer]
OnCalendar=minutely
AccuracySec=1s

[Install]
WantedBy=timers.target
UNIT
  systemctl daemon-reload
  systemctl enable --now efa-sdk-expiry.timer
)
# Not `if ! (…)`: what is tested in place does not stop at its first error.
# shellcheck disable=SC2181
if (($? != 0)); then
  echo 'efa-sdk: the timer of the expiry is not installed; shutting down by a timer that no reboot survives'
  shutdown -h "+$((expires_after_s / 60))"
fi
