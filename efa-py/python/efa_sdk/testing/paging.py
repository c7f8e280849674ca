"""MaxResults and NextToken, the same way for every action."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

from .call import Call
from .rules import refuse

Item = TypeVar("Item")

_UNPAGED = ("MaxResults", "NextToken", "Action", "Version", "DryRun")


def is_first_page(call: Call) -> bool:
    """Whether the request starts a listing, rather than going on with one."""
    return call.request.get("NextToken") is None


def page(
    call: Call,
    items: Sequence[Item],
    *,
    low: int = 5,
    high: int = 1000,
    default: int | None = None,
    ids: str | None = None,
    ids_text: str = "",
    token_rule: str = "page.token",
) -> tuple[list[Item], dict[str, Any]]:
    """One page of `items`, and the `NextToken` entry of the answer.

    `ids` names the parameter that may not go together with MaxResults. `default` is the page
    length without MaxResults; None means everything.
    """
    size = call.request.get("MaxResults")
    if size is not None:
        if ids and call.request.get(ids):
            refuse("page.with_ids", ids=ids_text or ids)
        if not low <= size <= high:
            refuse("page.size", value=size, low=low, high=high)
    length = size if size is not None else (default or max(len(items), 1))
    if ids and call.request.get(ids):
        length = max(len(items), 1)
    start = 0
    token = call.request.get("NextToken")
    if token is not None:
        start = _offset(call, str(token), token_rule)
    end = start + length
    more = {"NextToken": _token(call, end)} if end < len(items) else {}
    return list(items[start:end]), more


def _fingerprint(call: Call) -> str:
    listed = sorted(pair for pair in call.form if pair[0] not in _UNPAGED)
    return hashlib.sha256(repr((call.action, call.region, listed)).encode()).hexdigest()[:16]


def _token(call: Call, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{offset}.{_fingerprint(call)}".encode()).decode()


def _offset(call: Call, token: str, rule: str) -> int:
    try:
        offset, fingerprint = base64.urlsafe_b64decode(token.encode()).decode().split(".")
        if fingerprint == _fingerprint(call):
            return int(offset)
    except ValueError:
        pass
    refuse(rule)
