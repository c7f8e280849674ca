"""The command of the child process in which libfabric is asked."""

from __future__ import annotations

import sys

from efa_sdk import _efa_sdk

# The compiled module by its file: the child needs no package, no site and no search path, and so
# starts fast and whatever the caller did to sys.path.
_PROGRAM = """
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
loader = ExtensionFileLoader("efa_sdk._efa_sdk", sys.argv[1])
module = module_from_spec(spec_from_loader(loader.name, loader))
loader.exec_module(module)
module.answer_if_child()
"""


def command() -> list[str] | None:
    """Program and arguments; None in a program that has no Python interpreter to start."""
    if not sys.executable or _efa_sdk.__file__ is None:
        return None
    return [sys.executable, "-I", "-S", "-c", _PROGRAM, _efa_sdk.__file__]
