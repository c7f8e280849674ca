"""What is happening, shown while it happens: in terminals and notebooks, without any package.

``Bar`` is for the callback ``progress`` of ``Client``:

>>> import efa_sdk as efa
>>> client = efa.Client(region="us-east-1", progress=efa.progress.Bar())

``SurveyLine`` is what surveys show by themselves. Both are silent where standard error is neither a
terminal nor a notebook, such as in a log file; in a notebook they draw in the cell that runs.
"""

from __future__ import annotations

import contextlib
import html
import importlib
import os
import sys
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from efa_sdk.arguments import typed

if TYPE_CHECKING:
    from efa_sdk._efa_sdk import Event, SurveyProgress


__all__ = ["Bar", "SurveyLine"]


@typed
class Bar:
    """Shows each step as a text, and what is waited for as the length of a bar.

    >>> import efa_sdk as efa
    >>> with efa.progress.Bar() as bar:
    ...     client = efa.Client(region="us-east-1", progress=bar)
    """

    def __init__(self, *, disable: bool | None = None, file: TextIO | None = None) -> None:
        """``disable``: never show it, or always, on a file as a line per step; None shows it on a
        terminal or in a notebook. ``file``: standard error if not given."""
        self._show = _display(sys.stderr if file is None else file, disable)
        self._share = 0.0

    def __call__(self, event: Event) -> None:
        """Takes one ``event``; ``done`` of ``total`` is the bar's length until others come."""
        text = str(event)
        if event.done is not None and event.total:
            self._share = event.done / event.total
            text = f"{event.done}/{event.total} {text}"
        self._show.draw(text, self._share)

    def close(self) -> None:
        """Ends the bar's line; what was shown last stays."""
        self._show.close()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


#: Seconds between two pictures of the same round.
_PAUSE_S = 0.1
_CELLS = 20
#: A terminal that went away is no reason to end a survey.
_GONE = contextlib.suppress(OSError, ValueError)


@typed
class SurveyLine:
    """Shows how far a survey is: round, pairs, failures, time left, suspects.

    >>> from efa_sdk import survey
    >>> line = SurveyLine(disable=True)
    >>> line(survey.SurveyPlan([survey.SurveyNode("a"), survey.SurveyNode("b")], "tcp").progress())

    One line of a terminal that is drawn again and again; in a notebook, an output that changes.
    The time left is that of the base rounds at the pace so far, from the second round on: a
    survey that has suspects takes longer.
    """

    def __init__(self, *, disable: bool | None = None, file: TextIO | None = None) -> None:
        """``disable``: never show it, or always, on a file as a line per round; None shows it on a
        terminal or in a notebook. ``file``: standard error if not given."""
        self._file = sys.stderr if file is None else file
        self._pace = _Pace()
        self._next = 0.0
        self._show = _display(self._file, disable)

    def __call__(self, state: SurveyProgress) -> None:
        """Takes one state."""
        self._pace.see(state)
        self._next = time.monotonic() + _PAUSE_S
        self._show.draw(_text(state, self._pace.left_s(state)), _share(state))

    def due(self) -> bool:
        """Returns whether a picture within a round is due; those between rounds always are."""
        return isinstance(self._show, (_Terminal, _Notebook)) and time.monotonic() >= self._next

    def note(self, text: str) -> None:
        """Reports what is waited for before the first round."""
        self._show.draw(text, 0.0)

    def close(self) -> None:
        """Ends the line; what was shown last stays."""
        self._show.close()

    def __enter__(self) -> SurveyLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Pace:
    """How long a round takes. The first is left out: connections and processes start in it."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._last = (0, 0.0)

    def see(self, state: SurveyProgress) -> None:
        if state.rounds > self._last[0]:
            self._last = (state.rounds, state.elapsed_s)
            if self._first is None:
                self._first = self._last

    def left_s(self, state: SurveyProgress) -> float | None:
        """Returns the rest of the base rounds; None while unknown, and after them."""
        left = state.base_rounds - state.rounds
        if self._first is None or self._last[0] == self._first[0] or left <= 0:
            return None
        pace = (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])
        return max(0.0, pace * left - (state.elapsed_s - self._last[1]))


def _share(state: SurveyProgress) -> float:
    """The length of the bar; it is full where nothing is left to measure, and not before."""
    if state.over:
        return 1.0
    return state.rounds / max(state.base_rounds, state.rounds + 1)


def _text(state: SurveyProgress, left_s: float | None) -> str:
    """One line, the most important first: the end is cut off where the terminal is narrow."""
    if state.rounds > state.base_rounds:
        why = "rechecking suspects" if state.suspects else "control measurements"
        parts = [f"round {state.rounds}, {why}"]
    else:
        parts = [f"round {state.rounds} of {state.base_rounds}"]
        if state.base_rounds > state.planned_rounds:
            parts[0] += f" ({state.planned_rounds} planned)"
        if state.rounds == state.base_rounds and not state.over:
            parts.append("more to come")
    parts.append(f"{state.pairs} pairs")
    if state.failed:
        parts.append(f"{state.failed} failed")
    parts.append(f"{state.elapsed_s:.0f} s")
    if left_s is not None:
        parts.append(f"at least {left_s:.0f} s left")
    for what, names in (("suspects", state.suspects), ("silent", state.silent)):
        if names:
            parts.append(f"{what}: {' '.join(names)}")
    return ", ".join(parts)


def _display(file: TextIO, disable: bool | None) -> _Nothing | _Terminal | _Lines | _Notebook:
    if disable is True:
        return _Nothing()
    if (publish := _notebook()) is not None:
        return _Notebook(publish)
    if file.isatty():
        return _Terminal(file)
    return _Nothing() if disable is None else _Lines(file)


def _notebook() -> Callable[..., Any] | None:
    """The display function of IPython, where this process is the kernel of a notebook."""
    if "ipykernel" not in sys.modules:
        return None
    shell = importlib.import_module("IPython").get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    display: Callable[..., Any] = importlib.import_module("IPython.display").display
    return display


def _running_cell() -> object:
    """What differs from cell to cell."""
    shell = importlib.import_module("IPython").get_ipython()
    return getattr(shell, "execution_count", None)


class _Nothing:
    def draw(self, text: str, share: float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class _Lines:
    """A line per picture, for files."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def draw(self, text: str, share: float) -> None:
        with _GONE:
            print(_printable(text), file=self._file, flush=True)

    def close(self) -> None:
        """Nothing."""


class _Terminal:
    """One line that is written over, without escape sequences."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._width = 0

    def draw(self, text: str, share: float) -> None:
        full = round(share * _CELLS)
        line = f"|{'#' * full}{'.' * (_CELLS - full)}| {_printable(text)}"
        columns = self._columns() - 1  # the last column would start a new line
        if len(line) > columns:
            line = line[: max(0, columns - 3)] + "..."
        with _GONE:
            self._file.write("\r" + line.ljust(min(self._width, columns)))
            self._file.flush()
        self._width = len(line)

    def _columns(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            if (columns := os.get_terminal_size(self._file.fileno()).columns) > 0:
                return columns
        return 80

    def close(self) -> None:
        if self._width:
            self._width = 0
            with _GONE:
                self._file.write("\n")
                self._file.flush()


class _Notebook:
    """One output of each cell, which is replaced; nothing but IPython is needed for it."""

    def __init__(self, publish: Callable[..., Any]) -> None:
        self._publish = publish
        self._cell: object = None
        self._id = ""

    def draw(self, text: str, share: float) -> None:
        text = _printable(text)
        bar = f'<progress value="{share:.3f}" max="1"></progress> {html.escape(text)}'
        cell = _running_cell()
        same = bool(self._id) and cell == self._cell
        if not same:
            self._cell, self._id = cell, uuid.uuid4().hex
        with _GONE:
            self._publish(
                {"text/plain": text, "text/html": bar},
                raw=True,
                display_id=self._id,
                update=same,
            )

    def close(self) -> None:
        """Nothing: the last picture stays."""


def _printable(text: str) -> str:
    """Names come from other machines: they must not move the cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def survey_display(
    progress: Callable[[SurveyProgress], object] | bool | None,
) -> tuple[SurveyLine, Callable[[SurveyProgress], object]]:
    """Returns what surveys take as ``progress``: a line, and what is called after each round."""
    if callable(progress):
        return SurveyLine(disable=True), progress
    line = SurveyLine(disable=None if progress is None else not progress)
    return line, line
