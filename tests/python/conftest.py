"""Fixtures for the EC2 stand-in, and tables that are printed after the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from efa_sdk.testing import StandIn
from support import aws_environment as aws_environment
from support import cloud as cloud


@pytest.fixture(scope="session")
def _stand_in_server() -> Iterator[StandIn]:
    with StandIn(seed=42) as server:
        yield server


@pytest.fixture
def stand_in(_stand_in_server: StandIn) -> StandIn:
    """A fresh EC2: one server for the session, reset for each test."""
    _stand_in_server.reset()
    return _stand_in_server


_TABLES = pytest.StashKey[dict[str, str]]()


@pytest.fixture
def print_at_end(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Takes a title and a text that is printed after all tests; the last text of a title wins."""
    return request.config.stash.setdefault(_TABLES, {}).__setitem__


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what `print_at_end` was given, whatever the verbosity."""
    for title, text in terminalreporter.config.stash.get(_TABLES, {}).items():
        terminalreporter.section(title)
        terminalreporter.write_line(text)
