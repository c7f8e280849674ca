"""GPU memory in probes, without a GPU: the words, and every refusal that a machine can give."""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import subprocess
import sys

import pytest
from efa_sdk import errors, fabric

SECOND = os.environ.get("EFA_TEST_LIBFABRIC_2", "")
LIBRARIES = ["", SECOND] if SECOND else [""]
SUPPORT = pathlib.Path(__file__).parents[2] / "efa-fabric" / "tests" / "support"
QUICK = {"sizes": [64], "size_budget_s": 0.01, "deadline_s": 60.0}
#: A probe whose driver is a stand-in, in a process of its own: a driver is loaded once.
PROBE = """
import json, sys
from efa_sdk import errors, fabric
provider, path = sys.argv[1:]
library = fabric.Library(path) if path else fabric.Library()
options = fabric.ProbeOptions(provider, sizes=[64], size_budget_s=0.01, memory="cuda:1")
try:
    fabric.loopback(options, library=library)
except errors.FabricError as error:
    print(json.dumps([error.code, error.context, error.cure]))
"""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    library = tmp_path_factory.mktemp("cuda") / "libfake_cuda.so"
    source = SUPPORT / "fake_libcuda.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def test_words_of_memory() -> None:
    options = fabric.ProbeOptions("efa", memory="cuda:3", dmabuf=True, forbid_cuda_calls=True)
    assert (options.memory, options.dmabuf, options.forbid_cuda_calls) == ("cuda:3", True, True)
    assert pickle.loads(pickle.dumps(options)) == options
    assert fabric.ProbeOptions("efa", memory="cuda").memory == "cuda:0"
    plain = fabric.ProbeOptions("tcp")
    assert (plain.memory, plain.dmabuf, plain.forbid_cuda_calls) == ("host", False, False)
    for word in ["gpu", "", "cuda:", "cuda:-1", "CUDA"]:
        with pytest.raises(ValueError, match=f"memory is '{word}'"):
            fabric.ProbeOptions("tcp", memory=word)
    with pytest.raises(ValueError, match="dmabuf"):
        fabric.ProbeOptions("tcp", dmabuf=True)
    with pytest.raises(ValueError, match="memory is 'gpu'"):
        fabric.Server("a secret of tests").serve_one(memory="gpu")


def test_host_memory_is_said_to_be_such() -> None:
    report = fabric.loopback(fabric.ProbeOptions("tcp", **QUICK))
    assert (report.memory, report.peer_memory, report.gpu) == ("host", "host", None)


@pytest.mark.parametrize("path", LIBRARIES)
def test_no_driver(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFA_FABRIC_TEST_LIBCUDA", "/no/such/libcuda.so.1")
    library = fabric.Library(path) if path else fabric.Library()
    with pytest.raises(errors.FabricError) as caught:
        fabric.loopback(fabric.ProbeOptions("shm", memory="cuda:0", **QUICK), library=library)
    assert caught.value.code == "fabric.gpu_unavailable"
    assert caught.value.context["missing"] == "libcuda"
    assert "driver" in caught.value.cure


@pytest.mark.parametrize("path", LIBRARIES)
@pytest.mark.parametrize(
    ("provider", "variable", "missing"),
    [
        ("shm", "EFA_TEST_CUDA_INIT=100", "device"),
        ("shm", "EFA_TEST_CUDA_INIT=803", "driver"),
        ("shm", "EFA_TEST_CUDA_DEVICES=1", "device"),
        ("tcp", "", "hmem"),
        ("shm", "", "registration"),
    ],
)
def test_what_is_missing_is_named(
    path: str, provider: str, variable: str, missing: str, stand_in: pathlib.Path
) -> None:
    name, _, value = variable.partition("=")
    environment = {**os.environ, "EFA_FABRIC_TEST_LIBCUDA": str(stand_in), name or "X": value}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, provider, path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, context, cure = json.loads(done.stdout)
    assert (code, context["missing"]) == ("fabric.gpu_unavailable", missing)
    assert cure


def test_a_report_of_gpu_memory_is_a_value() -> None:
    evidence = {"source": "FI_OPT_FI_HMEM_P2P", "finding": "accepted", "shows": "proven"}
    text = json.dumps(
        {
            "device": 1,
            "device_name": "H100",
            "driver_path": "/usr/lib/libcuda.so.1",
            "is_stand_in": False,
            "dmabuf": True,
            "gpudirect": "proven",
            "evidence": [evidence],
        }
    )
    report = fabric.GpuReport.from_json(text)
    assert (report.device, report.device_name, report.dmabuf) == (1, "H100", True)
    assert (report.gpudirect, report.is_stand_in) == ("proven", False)
    assert report.driver_path.endswith("libcuda.so.1")
    (one,) = report.evidence
    assert (one.source, one.finding, one.shows) == tuple(evidence.values())
    assert pickle.loads(pickle.dumps(report)) == report
    assert hash(fabric.GpuEvidence.from_json(one.to_json())) == hash(one)
    assert "GPUDirect proven" in str(report)
