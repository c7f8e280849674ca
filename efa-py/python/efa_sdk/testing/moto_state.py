"""moto's process-wide state: forgetting it quickly, and filling in what it leaves out."""

from __future__ import annotations

import json

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends


def forget() -> None:
    """Drops every backend; moto makes new ones as they are used.

    moto's own reset first builds each backend anew and then drops it, at a second or more.
    """
    kept = BackendDict._instances  # type: ignore[misc]
    for backend in list(kept):
        backend.clear()
    kept.clear()
    reset_model_data()


def add_managed_policies(account: str) -> None:
    """Gives an account AWS's managed policies, which moto leaves out unless the environment
    says otherwise. Costs some tenths of a second, so only requests about policies do it.
    """
    backend = iam_backends[account]["aws"]
    if backend.aws_managed_policies:
        return
    backend.aws_managed_policies = [
        AWSManagedPolicy.from_data(name, account, backend.region_name, entry)
        for name, entry in json.loads(aws_managed_policies_data).items()
    ]
    for policy in backend.aws_managed_policies:
        backend.managed_policies.setdefault(policy.arn, policy)
