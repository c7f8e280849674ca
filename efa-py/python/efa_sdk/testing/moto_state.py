"""moto's process-wide state: forgetting it quickly, and filling in what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.core.base_backend import AccountSpecificBackend, BackendDict
from moto.core.model_instances import reset_model_data
from moto.ec2.models.subnets import Subnet
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends
from moto.moto_api._internal import mock_random


def forget() -> None:
    """Drops every backend; moto makes new ones as they are used.

    moto's own reset first builds each backend anew and then drops it, at a second or more.
    """
    kept = BackendDict._instances  # type: ignore[misc]
    for backend in list(kept):
        backend.clear()
    kept.clear()
    reset_model_data()
    # These caches have what they belong to in their keys, and would keep every backend alive.
    AccountSpecificBackend._generate_regions.cache_clear()
    Subnet._base_avail_ip_iterator.cache_clear()


@contextmanager
def ids_of_its_own(what: str) -> Iterator[None]:
    """What is made here has the same ids with every seed, and takes none from the seeded ones."""
    drawn = mock_random.getstate()
    mock_random.seed(what)
    yield
    mock_random.setstate(drawn)


class Kept:
    """An object of moto's that outlives a reset, which undoes what a caller changed of it."""

    def __init__(self, one: Any, *changeable: str) -> None:
        """`changeable`: attributes that can change, besides those that are lists, sets, dicts."""
        self.one = one
        self._values = {
            name: _copied(value)
            for name, value in vars(one).items()
            if isinstance(value, list | set | dict) or name in changeable
        }

    def bring_back(self) -> Any:
        """The object as it was."""
        for name, value in self._values.items():
            setattr(self.one, name, _copied(value))
        return self.one


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, list | set | dict) else value


#: AWS's managed policies, each with its version, by account.
_policies: dict[str, list[tuple[Kept, Kept]]] = {}


def add_managed_policies(account: str) -> None:
    """Gives an account AWS's managed policies, which moto leaves out unless the environment
    states otherwise. The first time costs some tenths of a second, so only requests about
    policies do it.
    """
    backend = iam_backends[account]["aws"]
    if backend.aws_managed_policies:
        return
    if account not in _policies:
        with ids_of_its_own(f"policies in {account}"):
            _policies[account] = _policies_of(account, backend.region_name)
    for policy, version in _policies[account]:
        version.bring_back()
        backend.aws_managed_policies.append(policy.bring_back())
    for one in backend.aws_managed_policies:
        backend.managed_policies.setdefault(one.arn, one)


def _policies_of(account: str, region: str) -> list[tuple[Kept, Kept]]:
    made = [
        AWSManagedPolicy.from_data(name, account, region, entry)
        for name, entry in json.loads(aws_managed_policies_data).items()
    ]
    changeable = ("attachment_count", "default_version_id", "next_version_num", "update_date")
    return [(Kept(one, *changeable), Kept(one.versions[0], "is_default")) for one in made]
