"""Fixtures for the EC2 stand-in, and tables that are printed after the tests."""

from __future__ import annotations

import functools
import gc
import importlib
import pathlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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


#: Files that come first: those whose tests stay together for a minute, and the largest one.
_FIRST = (
    "test_survey_ray.py",
    "test_survey_ranks_on_hosts.py",
    "test_fault_matrix.py",
    "test_notebook.py",
    "test_survey_torch.py",
    "test_survey_ray_oldest.py",
    "test_plan_to_survey.py",
)


#: Files whose tests share what takes long to make, as their mark `xdist_group` states.
_TOGETHER = {
    "test_call_counts.py",
    "test_hosts.py",
    "test_notebook.py",
    "test_survey_ranks_on_hosts.py",
    "test_survey_ray.py",
    "test_survey_torch.py",
    "test_typing.py",
    "test_wheel.py",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups by file: xdist 3.8 writes a group into the id of a test, which pytest 9.2 ignores."""
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file.rpartition("/")[2] in _TOGETHER else nodeid

        def remove_node(self, node: Any) -> str | None:
            """Hands on what a worker leaves, without the test that ended it.

            xdist 3.8 would run that test again, and hand on what is done: a worker that gets
            nothing to do never asks for more, and the run never ends.
            """
            units = self.assigned_work.pop(node)
            left = [
                (unit, test) for unit in units for test, done in units[unit].items() if not done
            ]
            for unit, test in left[1:]:
                self.workqueue.setdefault(unit, {})[test] = False
            for other in self.nodes:
                self._reschedule(other)
            return left[0][1] if left else None

        def schedule(self) -> None:
            """A worker begins a test once it knows the next: one that replaces another gets two."""
            super().schedule()
            for node in self.nodes:
                self._reschedule(node)

    return ByFile(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is loaded by now stays: looking through it for garbage, moto's services above all, took
    a third of the time of tests against the stand-in."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@functools.cache
def _marks_in(file: pathlib.Path) -> set[str]:
    return set(re.findall(r"mark\.(\w+)", file.read_text()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests come first, so that at the end no worker is left alone with one."""
    for item in items:
        if item.get_closest_marker("unit") and "stand_in" in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(f"{item.nodeid} is marked unit, but needs a server")
        if item.get_closest_marker("xdist_group") and item.path.name not in _TOGETHER:
            raise pytest.UsageError(f"{item.nodeid} is of a group: name its file in _TOGETHER")
        for mark in ("unit", "alone"):
            if item.get_closest_marker(mark) and mark not in _marks_in(item.path):
                raise pytest.UsageError(
                    f"{item.nodeid} is marked {mark}, and its file has no `mark.{mark}`, "
                    "by which the Makefile finds it"
                )
    order = {name: number for number, name in enumerate(_FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


Cells = dict[tuple[str, ...], str]


@dataclass
class Tables:
    """What is printed after all tests."""

    #: Texts by title; the last one wins.
    texts: dict[str, str] = field(default_factory=dict)
    #: Cells by title and by the module and function that lay them out.
    cells: dict[tuple[str, str, str], Cells] = field(default_factory=dict)

    def take(self, texts: dict[str, str], cells: dict[tuple[str, str, str], Cells]) -> None:
        """Adds what another process has collected."""
        self.texts.update(texts)
        for key, more in cells.items():
            self.cells.setdefault(key, {}).update(more)

    def laid_out(self) -> dict[str, str]:
        """Every text by title."""
        found = dict(self.texts)
        for (title, module, function), cells in self.cells.items():
            found[title] = getattr(importlib.import_module(module), function)(cells)
        return found


_TABLES = pytest.StashKey[Tables]()


def _tables(config: pytest.Config) -> Tables:
    return config.stash.setdefault(_TABLES, Tables())


@pytest.fixture
def print_at_end(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Takes a title and a text that is printed after all tests; the last text of a title wins."""
    return _tables(request.config).texts.__setitem__


@pytest.fixture
def lay_out_at_end(
    request: pytest.FixtureRequest,
) -> Callable[[str, Callable[[Cells], str], Cells], None]:
    """Takes a title, a function of a test module, and cells for it.

    It gets the cells that the tests of all workers gave, in no order, and its text is printed.
    """
    tables = _tables(request.config)

    def take(title: str, layout: Callable[[Cells], str], cells: Cells) -> None:
        tables.take({}, {(title, layout.__module__, layout.__name__): cells})

    return take


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist leaves its tables to the process that prints."""
    left: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if left is not None:
        tables = _tables(session.config)
        left["tables"] = (tables.texts, tables.cells)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes the tables of a worker; one that crashed left none."""
    _tables(node.config).take(*getattr(node, "workeroutput", {}).get("tables", ({}, {})))


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str) -> None:
    """Names the test that ended its worker at once: the summary may never come."""
    print(f"\na worker ended in {crashitem}", file=sys.stderr, flush=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what the tests gave, whatever the verbosity."""
    for title, text in _tables(terminalreporter.config).laid_out().items():
        terminalreporter.section(title)
        terminalreporter.write_line(text)
