"""A case for each rule of the stand-in that breaks it: `CASES`, by the id of the rule."""

from rule_cases import interfaces, launches, requests, resources, stacks
from rule_cases.scene import CASES, Scene

__all__ = ["CASES", "Scene", "interfaces", "launches", "requests", "resources", "stacks"]
