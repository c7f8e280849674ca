#!/usr/bin/env bash
# Compares our C types of libfabric with those of ofi-libfabric-sys, where libfabric's headers are
# of 1.20 or later: the crate does not build with older ones, such as Debian 12's 1.17.
set -euo pipefail
cd "$(dirname "$0")/../efa-fabric/abi-check"

if ! pkg-config --atleast-version=1.20 libfabric 2>/dev/null; then
    echo "SKIPPED comparison with ofi-libfabric-sys: no libfabric headers of 1.20 or later"
    exit 0
fi
cargo run --quiet
