"""One refusal of EC2: when it happens, what EC2 answers, and how we know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One refusal.

    `message` is a `str.format` template. With `literal` it is EC2's own text, seen in the public
    place that `origin` names; without, EC2 refuses too (or is documented to) but its text is not
    known, and the text is efa-sdk's.
    """

    id: str
    refuses: str
    code: str
    message: str
    origin: str
    literal: bool = False
    status: int = 400


class Refused(Exception):
    """A refusal by EC2. Becomes the error answer of the request that raised it."""

    def __init__(self, rule: Rule, message: str) -> None:
        super().__init__(f"{rule.code}: {message}")
        self.rule = rule
        self.code = rule.code
        self.message = message
        self.status = rule.status
