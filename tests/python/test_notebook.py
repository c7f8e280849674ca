"""The notebook of examples/ runs, live progress and heatmap included, and its kernel can be
interrupted."""

from __future__ import annotations

import json
import pathlib
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from survey_actors import assert_gone, survey_actors

jupyter_client = pytest.importorskip("jupyter_client", reason="jupyter_client is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")
pytest.importorskip("pandas", reason="pandas is not installed")
pytest.importorskip("ray", reason="Ray is not installed")

# One run of the notebook for all of them.
pytestmark = pytest.mark.xdist_group("notebook")

NOTEBOOK = pathlib.Path(__file__).resolve().parents[2] / "examples" / "survey.ipynb"
NODES = 6
PAIRS = NODES * (NODES - 1) // 2
DEADLINE_S = 300

#: Added at the end: what the cells left behind, for the assertions.
EPILOGUE = """
import json
print(json.dumps({
    "measurements": report.measurements,
    "rows": len(frame),
    "pairs": len(set(map(frozenset, zip(frame.a, frame.b)))),
    "measured": len(set(map(frozenset, zip(*frame[frame.code.isna()][["a", "b"]].T.values)))),
    "columns": list(frame.columns),
    "drain": bad.drain,
}))
"""


class Recording(nbclient.NotebookClient):  # type: ignore[misc]
    """Keeps every message: outputs that were replaced are not in the notebook any more."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.messages: list[tuple[int, str, dict[str, Any]]] = []

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        self.messages.append((cell_index, msg["msg_type"], msg["content"]))
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def executed() -> Recording:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    notebook.cells.append(nbformat.v4.new_code_cell(EPILOGUE))
    client = Recording(notebook, timeout=DEADLINE_S, kernel_name="python3")
    client.execute()  # raises what a cell raises
    return client


def code_cells(client: Recording) -> list[Any]:
    return [cell for cell in client.nb.cells if cell.cell_type == "code"]


def left_behind(client: Recording) -> dict[str, Any]:
    left: dict[str, Any] = json.loads(code_cells(client)[-1].outputs[0].text)
    return left


def html_of(client: Recording, source: str) -> str:
    """The HTML of the cell that ends with this line."""
    (cell,) = (cell for cell in code_cells(client) if cell.source.splitlines()[-1] == source)
    (output,) = cell.outputs
    assert output.output_type == "execute_result"
    html: str = output.data["text/html"]
    return html


def test_every_cell_ran(executed: Recording) -> None:
    cells = code_cells(executed)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    said = "".join(output.text for output in outputs if output.get("name") == "stderr")
    assert "Traceback" not in said, said


def test_the_heatmap_has_a_cell_for_each_direction_of_each_pair(executed: Recording) -> None:
    html = html_of(executed, "report")
    titles = re.findall(r'<td[^>]* title="([^"]*) to ([^"]*): ([^"]*)"', html)
    assert len({(low, high) for low, high, _ in titles}) == len(titles) == 2 * PAIRS
    # A pair may fail on a machine that is very busy: the cells state what the rows state.
    rates = [said for _, _, said in titles if said.endswith(" Gbit/s")]
    assert len(rates) == 2 * left_behind(executed)["measured"] > 0


def test_the_made_up_cluster_shows_both_faults(executed: Recording) -> None:
    html = html_of(executed, "bad")
    titles = dict(re.findall(r'<td[^>]* title="([^":]*): ([^"]*)"', html))
    assert len(titles) == 2 * PAIRS
    assert titles["node-1 to node-2"] == titles["node-2 to node-1"] == "failed"
    assert titles["node-4 to node-0"] == titles["node-3 to node-4"] == "60.0 Gbit/s"
    assert titles["node-0 to node-5"] == "100 Gbit/s"


def test_the_frame_has_a_row_for_each_measurement_and_every_pair(executed: Recording) -> None:
    left = left_behind(executed)
    assert left["rows"] == left["measurements"] >= PAIRS
    assert left["pairs"] == PAIRS
    assert {"a", "b", "latency_us", "gbps_a_to_b", "gbps_b_to_a"} <= set(left["columns"])
    assert left["drain"] == ["node-4"]


def test_the_progress_is_one_output_that_changes(executed: Recording) -> None:
    (index,) = (
        number
        for number, cell in enumerate(executed.nb.cells)
        if "report = efa_sdk.ray.survey(" in cell.source and cell.cell_type == "code"
    )
    shown = [
        (kind, content["data"])
        for number, kind, content in executed.messages
        if number == index and kind in ("display_data", "update_display_data")
    ]
    assert [kind for kind, _ in shown].count("display_data") == 1
    texts = [data["text/plain"] for _, data in shown]
    assert texts[0] == f"starting {NODES} actors"
    for number in range(1, NODES):  # one round less than nodes
        assert any(text.startswith(f"round {number} of {NODES - 1}, ") for text in texts), texts
    assert any(re.search(r", at least \d+ s left", text) for text in texts), texts
    assert all("<progress " in data["text/html"] for _, data in shown)
    (output,) = executed.nb.cells[index].outputs
    assert output.data["text/plain"] == texts[-1]


def test_the_committed_notebook_has_outputs_and_no_noise() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) - 1
    assert [cell.execution_count for cell in cells] == [None] * len(cells)
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} == {
        "stream",
        "display_data",
        "execute_result",
    }
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


@pytest.fixture
def kernel() -> Iterator[tuple[Any, Any]]:
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3")
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


START = """
import os
os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_USAGE_STATS_REPORT_URL="http://127.0.0.1:9/",
    RAY_AUTH_MODE="disabled",
)
import efa_sdk, ray
from ray.cluster_utils import Cluster
cluster = Cluster()
for _ in range(3):
    cluster.add_node(num_cpus=1, object_store_memory=80_000_000, include_dashboard=False)
ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
cluster.wait_for_nodes()
"""
LONG = """
report = efa_sdk.ray.survey(
    provider="tcp", message_bytes=65536, test_budget_s=5.0, round_deadline_s=120,
    expected_gbps=1e-3)
"""
AFTER = """
print(report.partial, report.healthy, report.measurements < 3, len(report.nodes))
again = efa_sdk.ray.survey(
    provider="tcp", message_bytes=65536, test_budget_s=0.02, round_deadline_s=120, progress=False,
    expected_gbps=1e-3)
print(again.partial, again.measurements)
ray.shutdown()
cluster.shutdown()
"""


def test_interrupting_the_kernel_gives_the_partial_report(kernel: tuple[Any, Any]) -> None:
    manager, client = kernel
    run(client, START)
    before = survey_actors()
    request = client.execute(LONG)
    wait_for_output(client, "round 1 of 3")
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=DEADLINE_S)
    while reply["parent_header"]["msg_id"] != request:
        reply = client.get_shell_msg(timeout=DEADLINE_S)
    assert reply["content"]["status"] == "ok", reply["content"]
    assert_gone(before)
    # The cluster is as it was: the interrupt reached only the survey.
    assert run(client, AFTER).splitlines() == ["True False True 3", "False 3"]


RANKS = """
import threading
from efa_sdk import survey
from efa_sdk.progress import SurveyLine

pair = survey.PairOptions("tcp", source_address="127.0.0.1", test_budget_s=0.02)

def rank(number, progress=None):
    client = survey.StoreClient(server.address, "a secret of tests")
    node = survey.SurveyNode(str(number))
    survey.run_rank(
        client, "a", node, pair, rank=number, world_size=2, round_deadline_s=120, progress=progress,
        expected_gbps=1e-3)  # few nodes whose rates differ are not measured again

with survey.StoreServer("a secret of tests") as server, SurveyLine() as line:
    other = threading.Thread(target=rank, args=(1,))
    other.start()
    rank(0, line)
    other.join()
"""


def test_ranks_show_their_progress_too(kernel: tuple[Any, Any]) -> None:
    _, client = kernel
    client.execute(RANKS)  # progress comes from a thread of the survey there
    wait_for_output(client, "round 1 of 1, 1 pairs, ")


def run(client: Any, code: str) -> str:
    """What the code prints."""
    printed: list[str] = []

    def keep(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(code, output_hook=keep, timeout=DEADLINE_S)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed)


def wait_for_output(client: Any, start: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        message = client.get_iopub_msg(timeout=DEADLINE_S)
        text = message["content"].get("data", {}).get("text/plain", "")
        if text.startswith(start):
            return
        assert message["msg_type"] != "error", message["content"]
    raise AssertionError(f"no output starts with {start}")
