# make demo   sets everything up and runs the main job end to end: no AWS account, no EFA
# make check  formatting, lints, types, and the tests that need no server: after every change
# make test   sets everything up and runs every check and test
# make wheel  builds the wheel for users on x86_64 into dist/, make wheel-aarch64 the one for 64-bit Arm
# make check-wheels  looks at the wheels in dist/ and uses them, the one for Arm under qemu
# make docs   builds the documentation site into target/site, and checks the workflows
# make bench  measures what everything costs compared with its peers, in 20 minutes, into docs/benchmarks.md
# make soft-efa-clients  runs Open MPI, Mooncake and NIXL on software EFA devices, into docs/

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := demo

PYTHON := $(CURDIR)/.venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYO3_PYTHON := $(PYTHON)
export EFA_TEST_PYTHON := $(PYTHON)
# A second libfabric, to test against two versions: the one inside the PyPI wheel of mpich.
export EFA_TEST_LIBFABRIC_2 := $(CURDIR)/.venv/lib/mpich/libfabric.so.1
# The oldest Ray that surveys are tested with.
export EFA_TEST_RAY_OLDEST := $(CURDIR)/.venv-ray-oldest/bin/python
# Packages are installed uncompiled (tools/setup.sh), and the first import of a module keeps what it
# compiled, even where the environment forbids it: every process of Ray or moto would compile anew.
export PYTHONDONTWRITEBYTECODE :=
# Every build of these targets lints: clippy is the compiler with its lints, what it compiles is what the
# tests run, and nothing is compiled a second time for its lints.
ifneq ($(shell clippy-driver --version 2>/dev/null),)
export RUSTC_WORKSPACE_WRAPPER := clippy-driver
endif
export CLIPPY_ARGS := -Dwarnings__CLIPPY_HACKERY__
# What tools/setup.sh installs is there: a test that would be skipped for want of it fails.
export EFA_TEST_NO_SKIPS := 1

STAGE := tools/stage.sh
# rustdoc complains of make's jobs, which it is not handed.
CARGO_DOC := env -u MAKEFLAGS cargo
# The bindings have no tests in Rust, and maturin hands pyo3's build script what cargo would not: in a
# build of the whole workspace, pyo3 would be compiled again, and then again by maturin.
RUST := --workspace --exclude efa-py
# efa-core without AWS, and with the fake that is its feature testing: in a folder of its own, so that it
# is built next to the Python module, whose own crate takes one core for a minute.
WITHOUT_AWS := --target-dir target/without-aws -p efa-core --no-default-features --features testing
RUN_QUICKSTART = cargo run -p efa-core --example quickstart

.PHONY: setup setup-examples setup-wheels build demo demo-rust check test first-stage lint lint-module compile-and-read lint-rust lint-without-aws lint-sources docs site rustdoc workflows test-unit test-unit-rust test-unit-python test-rust test-rust-programs test-rust-rest test-wheel test-python soft-efa-sanitizer soft-efa-fuzz bench soft-efa-clients survey-long stubs wheel wheel-aarch64 check-wheels fmt clean

# Everything that the checks and tests need.
setup:
	@tools/setup.sh tests

# Only what building the package and running the examples needs.
setup-examples:
	@tools/setup.sh examples

setup-wheels:
	@tools/setup.sh wheels

# One profile (dev) builds the module, the tests and the lints, so that aws-sdk-ec2 is compiled
# once: see docs/decisions/2026-11-20-build-profiles.md.
build: setup-examples
	@echo "== building the Python module (the first build compiles aws-sdk-ec2: minutes)"
	tools/build_soft_efa.sh
	maturin develop --profile dev

demo: build
	$(PYTHON) examples/quickstart.py

demo-rust: build
	$(RUN_QUICKSTART)

# What an earlier part has done already, next to others.
DONE := --no-print-directory --assume-old=setup --assume-old=build --assume-old=test-wheel

check: first-stage compile-and-read
	$(MAKE) $(DONE) lint-module test-unit
	@$(STAGE) --last

test: first-stage compile-and-read
	$(MAKE) $(DONE) lint-module test-unit test-rust test-python
	@$(STAGE) --last
	@echo "== all checks passed"

first-stage:
	@$(STAGE) --first

lint: compile-and-read
	$(MAKE) $(DONE) lint-module

lint-module: build
	@$(STAGE) lints of the module
	$(PYTHON) tools/generate_catalog.py --check
	$(PYTHON) tools/generate_stubs.py --check
	$(PYTHON) -m mypy.stubtest efa_sdk._efa_sdk

# The compiler has one core for most of aws-sdk-ec2; pip, which waits for the network, and what reads
# sources alone have the other.
compile-and-read:
	@$(STAGE) setup, compiling and lints
	tools/setup.sh tests --debian
	$(MAKE) --jobs=2 --output-sync=target lint-rust lint-sources
	$(MAKE) --jobs=2 --output-sync=target build lint-without-aws

lint-rust:
	cargo fmt --check
	clippy-driver --version
	cargo build $(RUST) --all-targets

lint-without-aws:
	cargo build $(WITHOUT_AWS) --all-targets
	tools/check_macos.sh
	cargo package --quiet --workspace --exclude efa-py --exclude efa-soft --no-verify --allow-dirty \
		--exclude-lockfile --offline

lint-sources: setup workflows
	ruff format --check .
	ruff check .
	mypy
	$(PYTHON) tools/third_party_licenses.py --check

# The site, strictly: it fails where a link or an anchor leads nowhere, a page is in no menu, a public name
# is not found, or rustdoc has no page of a module. It reads the package's sources and stub; rustdoc's pages
# are built before, and copied.
docs: workflows site

site: rustdoc
	@tools/setup.sh docs
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --config-file docs/.mkdocs.yml \
		--site-dir $(CURDIR)/target/site

rustdoc:
	RUSTDOCFLAGS="-D warnings" $(CARGO_DOC) doc --no-deps -p efa-core --no-default-features -p efa-fabric -p efa-soft

# GitHub's own schemas, as check-jsonschema ships them.
workflows:
	@tools/setup.sh docs
	.venv-docs/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv-docs/bin/check-jsonschema --builtin-schema vendor.github-issue-forms \
		.github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/unknown.yml
	.venv-docs/bin/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml

# What needs no server, no process and no network, on the build of the whole workspace.
test-unit: setup build
	@$(STAGE) unit tests
	$(MAKE) --jobs=2 --output-sync=target test-unit-rust test-unit-python

test-unit-rust:
	cargo test $(RUST) --lib

# Files by the mark of their tests: to read all of them takes every process of pytest 8 s.
MARKED_UNIT = $(shell grep --files-with-matches "mark\.unit" tests/python/test_*.py)
MARKED_ALONE = $(shell grep --files-with-matches "mark\.alone" tests/python/test_*.py)
NOT_ALL_UNIT = $(shell grep --files-without-match "^pytestmark = pytest.mark.unit" tests/python/test_*.py)

test-unit-python:
	$(PYTHON) -m pytest -m unit $(MARKED_UNIT)

# What waits for deadlines and what computes, side by side; then the site, which needs rustdoc's pages.
test-rust: setup build
	@$(STAGE) Rust tests, the wheel for the Python tests, and the site
	$(MAKE) --jobs=3 --output-sync=target test-wheel test-rust-programs test-rust-rest site

test-rust-programs:
	$(PYTHON) tools/run_test_programs.py $(RUST) --tests --examples

# efa-core a second time: without AWS, and with the fake that is the feature testing.
test-rust-rest:
	$(CARGO_DOC) test $(RUST) --doc
	cargo test $(WITHOUT_AWS) --lib --examples --test fake --test fault_campaign
	$(CARGO_DOC) test $(WITHOUT_AWS) --doc
	cargo test -p efa-core --features testing --test scenarios
	tools/check_abi.sh
	$(RUN_QUICKSTART)
	cargo run --quiet --example fabric_probe -- loopback tcp

test-wheel:
	rm -rf target/test-wheel
	maturin build --profile dev --out target/test-wheel

test-python: setup build test-wheel
	@$(STAGE) Python tests side by side
	EFA_WHEEL=$$(ls $(CURDIR)/target/test-wheel/*.whl) $(PYTHON) -m pytest -m "not alone and not unit" \
		--numprocesses 6 --dist loadgroup --no-loadscope-reorder $(NOT_ALL_UNIT)
	@$(STAGE) Python tests alone
	$(PYTHON) -m pytest -m alone $(MARKED_ALONE)

# What users get compared with its peers: docs/benchmarks.md. WHEEL=FILE measures another wheel than that of this
# checkout. Extra arguments: make bench BENCH="--only importing live_catalog"
bench: export RUSTC_WORKSPACE_WRAPPER :=
bench:
	WHEEL="$(WHEEL)" tools/bench.sh $(BENCH)

# Clients of software EFA devices that are too large for the tests: docs/soft-efa-clients.md.
soft-efa-clients: setup build
	$(PYTHON) tools/soft_efa_clients --write

# The model's loop as the wheel has it.
OPTIMISED := --config profile.dev.package.efa-fabric.opt-level=3
# Detection rates of surveys on simulated clusters of up to 4,096 nodes: docs/survey-statistics.md.
survey-long: setup-examples
	cargo run $(OPTIMISED) --example survey_simulation -- long

# The tests of the software EFA device under AddressSanitizer and LeakSanitizer; needs nightly Rust. The
# last result is in docs/decisions/2026-11-29-soft-efa-device.md. One test leaves objects on a closed
# device on purpose.
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
soft-efa-sanitizer soft-efa-fuzz: export RUSTC_WORKSPACE_WRAPPER :=
soft-efa-sanitizer:
	RUSTFLAGS=-Zsanitizer=address cargo +nightly test -p efa-soft --lib --test device --target $(HOST) \
		--target-dir target/sanitizer -- --skip a_device_is_closed_with_objects_left_on_it

# Its packet parser under libFuzzer for a minute, without cargo-fuzz.
soft-efa-fuzz:
	cd efa-soft/fuzz && RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
		-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
		-Zsanitizer=address" cargo +nightly run --release --target $(HOST) --target-dir ../../target/fuzz \
		--bin wire -- -max_total_time=60 -max_len=400

stubs: build
	$(PYTHON) tools/generate_stubs.py

# One compiler and linker for both: docs/decisions/2026-11-20-build-profiles.md.
wheel wheel-aarch64: export RUSTC_WORKSPACE_WRAPPER :=
wheel: setup-wheels
	tools/build_wheel.sh x86_64

wheel-aarch64: setup-wheels
	tools/build_wheel.sh aarch64

check-wheels: setup-wheels
	$(CURDIR)/.venv-wheels/bin/python tools/check_wheels.py

fmt: setup
	cargo fmt
	ruff format .
	ruff check --fix .

clean:
	rm -rf target .venv .venv-docs .venv-ray-oldest .venv-wheels .venv-bench .venv-soft-efa-clients dist
