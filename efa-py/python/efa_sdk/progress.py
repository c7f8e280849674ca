"""A progress bar for the callback ``progress`` of ``Client``: in terminals and notebooks.

>>> import efa_sdk as efa
>>> client = efa.Client(region="us-east-1", progress=efa.progress.Bar())

Silent where standard error is neither, such as in a log file. Needs ``efa-sdk[progress]``, which
is tqdm.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from efa_sdk._efa_sdk import Event

__all__ = ["Bar"]

_OF = re.compile(r"(\d+) of (\d+)")


class Bar:
    """Shows each step as the text of a bar, and what is waited for as its length."""

    def __init__(self, *, disable: bool | None = None) -> None:
        """``disable``: never or always show it; None shows it on a terminal or in a notebook."""
        from tqdm.auto import tqdm  # type: ignore[import-untyped]

        if disable is None:
            disable = not (sys.stderr.isatty() or "ipykernel" in sys.modules)
        self._bar: Any = tqdm(total=1, disable=disable, leave=True, bar_format=_FORMAT)

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self._bar.set_description_str(str(event), refresh=False)
        if counted := _OF.search(event.detail):
            self._bar.n, self._bar.total = int(counted[1]), int(counted[2])
        self._bar.refresh()

    def close(self) -> None:
        """Ends the bar's line."""
        self._bar.close()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_FORMAT = "{desc} |{bar:20}| {n_fmt}/{total_fmt} {elapsed}"
