#!/usr/bin/env bash
# Installs what the demo (`setup.sh examples`), the tests (`setup.sh tests`), the wheels for users
# (`setup.sh wheels`), the benchmark (`setup.sh bench`) or the documentation site (`setup.sh docs`) needs:
# Debian packages, a virtual environment, its packages, a target of Rust. Idempotent; `make` calls it
# first. With --debian, only what compiling needs: Debian packages and the target.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# libfabric to measure with, its headers and tools to compare with, a C compiler for both.
debian_packages=(libfabric1 libfabric-dev libfabric-bin gcc libc6-dev python3-venv)
# The wheel for 64-bit Arm is used under qemu.
if [ "$1" = wheels ]; then debian_packages=(gcc libc6-dev python3-venv qemu-user); fi
# For the bootstrap tests: a throw-away key, a TLS server, and what the script itself uses. For the
# tests of efa-fabric: a memory checker. For surveys of hosts that are namespaces: their network.
# For torch jobs: torch 1.13 for the CPU, 152 MB to download, 652 MB on disk; PyPI's torch is 2.9 GB
# to download.
if [ "$1" = tests ]; then
    debian_packages+=(gnupg openssl curl ca-certificates shellcheck valgrind iproute2 nftables python3-torch)
fi
missing=()
for package in "${debian_packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    say "installing Debian packages: ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if ! command -v cargo >/dev/null; then
    echo "cargo is missing: install Rust 1.94.1 or later from https://rustup.rs" >&2
    exit 1
fi

# That both crates compile for macOS is checked without its linker or headers. Only a rustup that reaches
# its server can add this target: elsewhere `make lint` reports that it did not check.
macos=aarch64-apple-darwin
if [ "$1" = tests ] && [ ! -d "$(rustc --print sysroot)/lib/rustlib/$macos" ]; then
    rustup target add "$macos" || echo "rustup cannot add $macos: macOS is not checked" >&2
fi

if [ "${2:-}" = --debian ]; then exit; fi

# The stamp of these files: the last one is installed, the others are named in it.
stamp_of() { cat "$@" | sha256sum; }

# A virtual environment, the name of its stamp, and the files that list what is in it, the last of
# which pip reads.
install_into() {
    local venv=$1 stamp=$1/setup-$2.sha256 wanted
    shift 2
    wanted=$(stamp_of "$@")
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        say "installing Python packages into $venv"
        [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
        "$venv/bin/python" -m pip install --no-compile --quiet --disable-pip-version-check -r "${@: -1}"
        echo "$wanted" > "$stamp"
    fi
}

if [ "$1" = docs ]; then
    install_into .venv-docs docs docs/requirements.txt
    exit
fi
if [ "$1" = wheels ]; then
    install_into .venv-wheels wheels tools/requirements-wheels.txt
    exit
fi
if [ "$1" = bench ]; then
    install_into .venv-bench bench tools/bench/requirements.txt
    exit
fi
install_into .venv "$1" examples/requirements.txt "$1/requirements.txt"
# What the tests need has all that the examples need: a later setup for those has nothing to do.
if [ "$1" = tests ]; then
    stamp_of examples/requirements.txt examples/requirements.txt > .venv/setup-examples.sha256
fi
# Surveys are tested with two versions of Ray; this one has 290 MB on disk.
if [ "$1" = tests ]; then install_into .venv-ray-oldest tests tests/requirements-ray-oldest.txt; fi

# The tests of the PyPI package efa are in its source only.
efa_source=.venv/share/efa-source
if [ "$1" = tests ] && ! cmp -s tests/requirements-efa-source.txt "$efa_source/requirements.txt"; then
    say "fetching the tests of the package efa"
    rm -rf "$efa_source" && mkdir -p "$efa_source"
    .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps \
        --dest "$efa_source" -r tests/requirements-efa-source.txt
    tar -xzf "$efa_source"/efa-*.tar.gz -C "$efa_source" --strip-components=1
    cp tests/requirements-efa-source.txt "$efa_source/requirements.txt"
fi
