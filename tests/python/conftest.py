"""Fixtures for the EC2 stand-in, and tables that are printed after the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file comes first, so that at the end no worker is left alone with it."""
    items.sort(key=lambda item: item.path.name != "test_fault_matrix.py")


_TABLES = pytest.StashKey[dict[str, str]]()


def _tables(config: pytest.Config) -> dict[str, str]:
    return config.stash.setdefault(_TABLES, {})


@pytest.fixture
def print_at_end(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Takes a title and a text that is printed after all tests; the last text of a title wins."""
    return _tables(request.config).__setitem__


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist leaves its tables to the process that prints."""
    left: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if left is not None:
        left["tables"] = _tables(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes the tables of a worker; one that crashed left none."""
    _tables(node.config).update(getattr(node, "workeroutput", {}).get("tables", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what `print_at_end` was given, whatever the verbosity."""
    for title, text in _tables(terminalreporter.config).items():
        terminalreporter.section(title)
        terminalreporter.write_line(text)
