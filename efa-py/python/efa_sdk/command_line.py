"""What the commands of this package have in common: wrong usage, Ctrl-C, output that goes nowhere.

Each ends with 0 where the answer is good, and with other small numbers for other answers:
docs/command.md has the table. Wrong usage is `WRONG_USAGE`, so that it is never taken for one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

#: The arguments are wrong, and nothing was done: EX_USAGE of sysexits.h.
WRONG_USAGE = 64
#: The answer cannot be written, such as to a full disk: EX_IOERR of sysexits.h.
NOT_WRITTEN = 74
#: What a shell reports for a process that SIGINT ended.
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """A parser whose errors end with `WRONG_USAGE`, and that takes no abbreviated options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"{self.prog}: {message}\n")


def show(text: str) -> None:
    """Prints, and goes on where the reader has read enough: the exit status has the result.

    Ends with `NOT_WRITTEN` where the text cannot be written otherwise.
    """
    with _writing():
        print(text.rstrip("\n"), flush=True)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # What is left in the buffer goes nowhere, without Python's own complaint at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # `| head` has read enough
            print(f"the answer cannot be written: {error.strerror}", file=sys.stderr)
            sys.exit(NOT_WRITTEN)


def is_terminal() -> bool:
    """Returns whether a person reads standard output; a closed one is None in Python."""
    return sys.stdout is not None and sys.stdout.isatty()


def interruptible(run: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None) -> int:
    """Returns the exit status of a command that Ctrl-C may end."""
    try:
        return run(argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if sys.stdout is not None:
            with _writing():  # what argparse printed
                sys.stdout.flush()
