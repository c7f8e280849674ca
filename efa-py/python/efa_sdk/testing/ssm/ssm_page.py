"""MaxResults and NextToken as SSM takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from ..call import Call
from ..paging import page
from ..rules import refuse

Item = TypeVar("Item")


def ssm_page(
    call: Call, items: Sequence[Item], *, low: int = 1, high: int = 50
) -> tuple[list[Item], dict[str, Any]]:
    """One page of `items`, and the `NextToken` entry of the answer."""
    size = call.get("MaxResults", high)
    if not low <= size <= high:
        word, bound = ("greater", low) if size < low else ("less", high)
        limit = f"Member must have value {word} than or equal to {bound}"
        refuse("ssm.limit", value=size, name="maxResults", limit=limit)
    return page(call, items, low=low, high=high, default=high, token_rule="ssm.token")
