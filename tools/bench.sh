#!/usr/bin/env bash
# Measures what users get compared with its peers, all in .venv-bench, and writes docs/benchmarks.md.
#   [WHEEL=FILE] bench.sh [arguments of python -m tools.bench]
# The wheel is that of this checkout: built first, which takes longer than the measuring, where dist/ has
# none or one that is older than a source.
set -euo pipefail
cd "$(dirname "$0")/.."

newest() { find dist -name "efa_sdk-*_$(uname -m).whl" -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -1 | cut -d' ' -f2; }

tools/setup.sh bench
wheel=${WHEEL:-$(newest)}
sources=(efa-core/src efa-fabric/src efa-py/src efa-soft/src efa-py/python Cargo.toml Cargo.lock)
if [ -z "${WHEEL:-}" ] && { [ -z "$wheel" ] || [ -n "$(find "${sources[@]}" -type f -newer "$wheel" ! -name '*.so*' ! -name '*.pyc' -print -quit)" ]; }; then
    tools/setup.sh wheels
    tools/build_wheel.sh "$(uname -m)"
    wheel=$(newest)
fi
python=$PWD/.venv-bench/bin/python
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheel"
exec "$python" -m tools.bench --write --build "the wheel $(basename "$wheel")" "$@"
