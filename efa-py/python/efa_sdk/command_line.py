"""What the commands of this package have in common: wrong usage, Ctrl-C, output that goes nowhere.

Each ends with 0 where the answer is good, and with other small numbers for other answers:
docs/command.md has the table. Wrong usage is `WRONG_USAGE`, so that it is never taken for one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

#: The arguments are wrong, and nothing was done: EX_USAGE of sysexits.h.
WRONG_USAGE = 64
#: The answer cannot be written, such as to a full disk: EX_IOERR of sysexits.h.
NOT_WRITTEN = 74
#: What a shell reports for a process that SIGINT ended.
INTERRUPTED = 130
#: The same for SIGTERM, which schedulers send to end a process.
TERMINATED = 143


class Parser(argparse.ArgumentParser):
    """A parser whose errors end with `WRONG_USAGE`, and that takes no abbreviated options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def parse_known_args(self, *given: Any, **named: Any) -> Any:
        """As argparse's, but what is left over is an error of this parser, not of the one above."""
        found, left = super().parse_known_args(*given, **named)
        if left:
            known = self._option_string_actions
            near = [_did_you_mean(word.partition("=")[0], known) for word in left if word[0] == "-"]
            self.error(f"unrecognized arguments: {' '.join(left)}{''.join(near[:1])}")
        return found, left

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            cure = _did_you_mean(str(value), map(str, action.choices or ()))
            raise argparse.ArgumentError(action, f"{error.message}{cure}") from None

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        complain(self.prog, message)
        self.exit(WRONG_USAGE)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    import difflib  # where it is needed: it takes longer than the other imports

    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def complain(prog: str, message: object) -> None:
    """Prints a message about the command ``prog``, in the form of those about wrong usage."""
    if sys.stderr is not None:  # it is None where the caller closed it
        print(f"{prog}: {reason(message)}", file=sys.stderr)


def reason(error: object) -> str:
    """An error as a person reads it: of an OSError the file and the reason, without its number."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


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
            complain("efa-sdk", f"the answer cannot be written: {error.strerror}")
            sys.exit(NOT_WRITTEN)


def is_terminal() -> bool:
    """Returns whether a person reads standard output; a closed one is None in Python."""
    return sys.stdout is not None and sys.stdout.isatty()


class Terminated(KeyboardInterrupt):
    """SIGTERM came: the process ends as after Ctrl-C."""

    #: What other ranks of a survey are told.
    signal_name = "SIGTERM"


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Lets SIGTERM raise `Terminated` meanwhile, so that what is under way can take its leave.

    Outside of the main thread, where no handler can be set, it does nothing.
    """

    def raise_terminated(*_: object) -> NoReturn:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, raise_terminated)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
