"""Runs integration tests and examples of a `cargo test` side by side, where cargo runs one by one.

Most of them wait for deadlines most of the time. What is given is for `cargo test`, which builds
them and runs none. Each program runs in the folder of its crate, as cargo runs it; its output is
printed when it has ended. Exits with 1 if one fails, or if there is none.

    python tools/run_test_programs.py --workspace --exclude efa-py --tests --examples
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import NamedTuple

#: Each runs as many tests at once as there are processors.
PROGRAMS_AT_ONCE = 3
#: The longest begin first, so that at the end none runs alone.
FIRST = ("device", "mutations", "bootstrap", "hostile_peers")


class Program(NamedTuple):
    """A test program, and the manifest of its crate."""

    executable: str
    manifest: pathlib.Path

    @property
    def name(self) -> str:
        """As the crate calls it: what is executed has a hash behind it."""
        return pathlib.Path(self.executable).name.rpartition("-")[0]


def build(arguments: list[str]) -> list[Program]:
    """What cargo builds for `cargo test` with these arguments."""
    command = ["cargo", "test", "--no-run", "--message-format=json-render-diagnostics", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    messages = map(json.loads, done.stdout.splitlines())
    programs = [
        Program(message["executable"], pathlib.Path(message["manifest_path"]))
        for message in messages
        if message["reason"] == "compiler-artifact"
        and message["profile"]["test"]
        and message["executable"]
        # The unit tests are those of the library itself.
        and {"test", "example"} & set(message["target"]["kind"])
    ]
    return sorted(programs, key=lambda program: program.name not in FIRST)


def run(program: Program) -> bool:
    """Whether the program succeeds, after its output is printed."""
    folder = program.manifest.parent
    begin = time.monotonic()
    done = subprocess.run(
        [program.executable],
        cwd=folder,
        env={**os.environ, "CARGO_MANIFEST_DIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    took_s = time.monotonic() - begin
    said = f"== {program.name} ({folder.name}): {took_s:.1f} s, exit status {done.returncode}"
    print(f"\n{said}\n{done.stdout.strip()}", flush=True)
    return done.returncode == 0


def main() -> None:
    """Builds and runs what the command line states."""
    programs = build(sys.argv[1:])
    with concurrent.futures.ThreadPoolExecutor(PROGRAMS_AT_ONCE) as pool:
        succeeded = list(pool.map(run, programs))
    failed = [program.name for program, good in zip(programs, succeeded, strict=True) if not good]
    print(f"\n{len(programs)} test programs, failed: {', '.join(failed) or 'none'}")
    if failed or not programs:
        sys.exit(1)


if __name__ == "__main__":
    main()
