"""What a caller may do: IAM policies, and what each action needs."""

from __future__ import annotations

from .policy import Policy, PolicyError

__all__ = ["Policy", "PolicyError"]
