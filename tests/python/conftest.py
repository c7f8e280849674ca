"""Fixtures for the EC2 stand-in."""

from __future__ import annotations

from collections.abc import Iterator

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
