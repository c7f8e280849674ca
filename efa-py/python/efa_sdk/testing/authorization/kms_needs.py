"""What a launch needs of the KMS keys that it names for its volumes.

Actions, and the grant for an AWS resource: EBS user guide, "Requirements for Amazon EBS encryption"
(docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html). Keys that AWS manages
need none ("How Amazon EBS encryption works").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.kms.models import KmsBackend, kms_backends

from ..call import Call
from .need import Need

_ACTIONS = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


def kms_needs(call: Call, request: Mapping[str, Any]) -> Iterator[Need]:
    """Every permission for the keys of a RunInstances request, each once."""
    backend = kms_backends[call.account][call.region]
    mappings = request.get("BlockDeviceMappings") or []
    for key in dict.fromkeys((mapping.get("Ebs") or {}).get("KmsKeyId") for mapping in mappings):
        if not key:
            continue
        arn, aliases = _key(call, backend, str(key))
        if any(alias.startswith("alias/aws/") for alias in aliases):
            continue
        context = {
            "aws:RequestedRegion": (call.region,),
            "kms:ResourceAliases": aliases,
            "kms:ViaService": (f"ec2.{call.region}.amazonaws.com",),
        }
        for action in _ACTIONS:
            of_grants = {"kms:GrantIsForAWSResource": ("true",)}
            more = of_grants if action == "kms:CreateGrant" else {}
            yield Need(action, arn, {**context, **more}, late=True)


def _key(call: Call, backend: KmsBackend, named: str) -> tuple[str, tuple[str, ...]]:
    """The key's ARN and its aliases, for a key by id, ARN, alias or an alias's ARN; of one that
    KMS does not know, those of a key of that name."""
    owner = named.rsplit(":", 1)[0] if named.startswith("arn:") else ""
    name = named.rsplit(":", 1)[-1]
    of_account = owner or f"arn:aws:kms:{call.region}:{call.account}"
    if name.startswith("alias/"):
        id_or_none = backend.get_key_id_from_alias(name)
        return f"{of_account}:key/{id_or_none or 'unknown'}", (name,)
    key_id = name.removeprefix("key/")
    known = backend.keys.get(key_id)
    return f"{of_account}:key/{key_id}", tuple(known.aliases) if known else ()
