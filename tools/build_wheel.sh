#!/usr/bin/env bash
# Builds the wheel for users into dist/, for glibc 2.28 and later, with zig's compiler and linker.
#   build_wheel.sh x86_64|aarch64
set -euo pipefail
cd "$(dirname "$0")/.."

architecture=$1
target=$architecture-unknown-linux-gnu
checkout=$PWD
python=$checkout/.venv-wheels/bin/python
[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || rustup target add "$target"
# maturin asks the first python of the path for zig.
export PATH="$checkout/.venv-wheels/bin:$PATH"
export PYO3_PYTHON=$python

# Built from a copy of the sources: maturin packs the libraries of the software EFA device that lie in
# the package, and those of the checkout are of another build, which others use meanwhile. The copy has
# the dates of the sources, so that only what changed is compiled.
export CARGO_TARGET_DIR=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
sources=$CARGO_TARGET_DIR/wheel-sources/$architecture
rm -rf "$sources"
mkdir -p "$sources"
git ls-files -z --cached --others --exclude-standard --deduplicate |
    tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory="$sources"
cd "$sources"

# zig does not link the library that panics unwind with, as a C compiler does for -static-libgcc.
TARGET=$target CC="$python -m ziglang cc -target $architecture-linux-gnu.2.28 -lunwind" \
    tools/build_soft_efa.sh --wheel
maturin build --profile wheel --no-default-features --zig --target "$target" --compatibility manylinux_2_28 \
    --compression-level 9 --out "$checkout/dist"
"$python" tools/pack_wheel.py "$checkout"/dist/efa_sdk-*_"$architecture".whl
