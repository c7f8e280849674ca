#!/usr/bin/env bash
# Builds the wheel for users into dist/, for glibc 2.28 and later, with zig's compiler and linker.
#   build_wheel.sh x86_64|aarch64
set -euo pipefail
cd "$(dirname "$0")/.."

architecture=$1
target=$architecture-unknown-linux-gnu
python=$PWD/.venv-wheels/bin/python
[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || rustup target add "$target"
# maturin asks the first python of the path for zig.
export PATH="$PWD/.venv-wheels/bin:$PATH"
export PYO3_PYTHON=$python

# The libraries of this architecture take the place of the checkout's own, which come back.
library=efa-py/python/efa_sdk/testing/soft_efa/lib
kept=$(mktemp -d)
put_back() {
    if [ -d "$kept/lib" ]; then rm -rf "$library" && cp -a "$kept/lib" "$library"; fi
    rm -rf "$kept"
}
if [ -d "$library" ]; then cp -a "$library" "$kept/lib"; fi
trap put_back EXIT

# zig does not link the library that panics unwind with, as a C compiler does for -static-libgcc.
TARGET=$target CC="$python -m ziglang cc -target $architecture-linux-gnu.2.28 -lunwind" \
    tools/build_soft_efa.sh --wheel
maturin build --profile wheel --no-default-features --zig --target "$target" --compatibility manylinux_2_28 \
    --compression-level 9 --out dist
"$python" tools/pack_wheel.py dist/efa_sdk-*_"$architecture".whl
