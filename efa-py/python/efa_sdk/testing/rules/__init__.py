"""Everything that the stand-in refuses: one table, and the one way to raise from it."""

from __future__ import annotations

from typing import NoReturn

from .access import ACCESS_RULES
from .addresses import ADDRESS_RULES
from .cloudformation import CLOUDFORMATION_RULES
from .iam import IAM_RULES
from .interfaces import INTERFACE_RULES
from .launch import LAUNCH_RULES
from .quotas import QUOTA_RULES
from .requests import REQUEST_RULES
from .resources import RESOURCE_RULES
from .rule import Refused, Rule
from .ssm import SSM_RULES

__all__ = ["RULES", "Refused", "Rule", "refusal", "refuse", "rules_markdown"]

RULES: tuple[Rule, ...] = (
    *REQUEST_RULES,
    *ACCESS_RULES,
    *INTERFACE_RULES,
    *ADDRESS_RULES,
    *LAUNCH_RULES,
    *RESOURCE_RULES,
    *QUOTA_RULES,
    *IAM_RULES,
    *SSM_RULES,
    *CLOUDFORMATION_RULES,
)

_BY_ID = {rule.id: rule for rule in RULES}


def refusal(rule_id: str, **values: object) -> Refused:
    """The refusal `rule_id`, its message filled in with `values`."""
    rule = _BY_ID[rule_id]
    return Refused(rule, rule.message.format(**values))


def refuse(rule_id: str, **values: object) -> NoReturn:
    """Raises the refusal `rule_id`."""
    raise refusal(rule_id, **values)


def rules_markdown() -> str:
    """The table as Markdown, for the documentation."""
    literal = sum(rule.literal for rule in RULES)
    lines = [
        f"{len(RULES)} refusals; {literal} answer with EC2's own text, {len(RULES) - literal}"
        " with EC2's meaning in efa-sdk's words.",
        "",
        "| rule | refuses | EC2 code | text | origin |",
        "|---|---|---|---|---|",
    ]
    for rule in RULES:
        cells = (
            f"`{rule.id}`",
            rule.refuses,
            f"{rule.status} `{rule.code}`" if rule.status != 400 else f"`{rule.code}`",
            "EC2's" if rule.literal else "efa-sdk's",
            rule.origin,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
