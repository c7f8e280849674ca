#!/usr/bin/env bash
# Builds libibverbs.so.1 and libefa.so.1, the two libraries of the software EFA device, into the Python
# package. Both are the archive of the crate efa-soft, each linked with the list of its own symbols and
# their versions: docs/decisions/2026-11-29-soft-efa-device.md explains why not by rustc.
#   build_soft_efa.sh [--wheel]
# For another machine: TARGET is rustc's name for it, CC a compiler that links for it.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=debug
arguments=(build --quiet -p efa-soft --lib)
if [ "${1:-}" = --wheel ]; then
    profile=wheel
    # The archive alone: with the rlib next to it there would be no link-time optimisation.
    arguments=(rustc --quiet -p efa-soft --lib --profile wheel --crate-type staticlib)
fi
folder=${CARGO_TARGET_DIR:-target}
if [ -n "${TARGET:-}" ]; then
    arguments+=(--target "$TARGET")
    folder+=/$TARGET
fi
cargo "${arguments[@]}"

out=efa-py/python/efa_sdk/testing/soft_efa/lib
mkdir -p "$out"
for name in libibverbs libefa; do
    # Whole archive: what is exported is kept and what it needs, nothing else. The new file replaces the
    # old one at once: a program that has it open keeps its own.
    ${CC:-cc} -shared -o "$out/.$name" -Wl,-soname,"$name.so.1" \
        -Wl,--version-script="efa-soft/$name.map" -Wl,--gc-sections -Wl,-s -Wl,-z,defs \
        -Wl,--whole-archive "$folder/$profile/libefa_soft.a" -Wl,--no-whole-archive \
        -static-libgcc -lpthread -ldl -lm
    mv "$out/.$name" "$out/$name.so.1"
done
