#!/usr/bin/env python3
"""Runs examples/survey.ipynb and keeps its outputs in it, so that they are seen without running it.

The name of this machine, times and the numbers of cells are left out: only what was measured
changes from one run to the next. Needs tests/requirements.txt.
"""

from __future__ import annotations

import pathlib
import socket
import sys

import nbclient
import nbformat

NOTEBOOK = pathlib.Path(__file__).resolve().parents[1] / "examples" / "survey.ipynb"


def main() -> int:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, record_timing=False).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "execution_count" in output:
                output.execution_count = None
        if cell.cell_type == "code":
            cell.execution_count = None
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    text = nbformat.writes(notebook).replace(socket.gethostname(), "host")
    NOTEBOOK.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
