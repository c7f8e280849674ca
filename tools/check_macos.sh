#!/usr/bin/env bash
# Whether efa-core and efa-fabric compile for macOS: they are only looked at, without aws-sdk-ec2, and
# nothing is linked.
set -euo pipefail
cd "$(dirname "$0")/.."
target=aarch64-apple-darwin

if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    echo "SKIPPED the check for macOS: rustup target add $target"
    exit 0
fi
# In a folder of its own: cargo would wait for other builds.
cargo check --target-dir target/macos --target "$target" -p efa-core --no-default-features -p efa-fabric
