"""The wheel: abi3, complete, installable without dependencies, linked to no libfabric."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from support import DEADLINE_S

WHEEL = os.environ.get("EFA_WHEEL", "")
pytestmark = [
    pytest.mark.skipif(
        not WHEEL, reason="EFA_WHEEL names no wheel (`make test` builds one and sets it)"
    ),
    # One worker, so that it is installed once.
    pytest.mark.xdist_group("wheel"),
]

USE = """
import json, pathlib, sys
import efa_sdk as efa

catalog = efa.Catalog.bundled()
maps = open("/proc/self/maps").read()
print(json.dumps({
    "file": efa.__file__,
    "version": efa.__version__,
    "types": len(catalog),
    "layout": str(catalog["p5.48xlarge"].layout()),
    "fabric": [line.split()[-1] for line in maps.splitlines() if "libfabric" in line],
    "other": sorted({m.split(".")[0] for m in sys.modules} & {"moto", "boto3", "numpy"}),
}))
"""


@pytest.fixture(scope="module")
def names() -> list[str]:
    with zipfile.ZipFile(WHEEL) as wheel:
        assert wheel.testzip() is None
        return wheel.namelist()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of a clean virtual environment with the wheel and nothing else."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    done = run([python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", WHEEL], home)
    assert done.returncode == 0, done.stderr
    return python


def run(command: list[Path | str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP", "EFA"))}
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def read(name: str) -> str:
    with zipfile.ZipFile(WHEEL) as wheel:
        return wheel.read(name).decode()


def test_one_wheel_for_every_python_from_3_10() -> None:
    name, version, python, abi, platform = Path(WHEEL).name.removesuffix(".whl").split("-")
    assert (name, python, abi) == ("efa_sdk", "cp310", "abi3")
    assert platform.endswith(("x86_64", "aarch64"))
    assert version


def test_contents(names: list[str]) -> None:
    package = {n.removeprefix("efa_sdk/") for n in names if n.startswith("efa_sdk/")}
    assert {"__init__.py", "_efa_sdk.abi3.so", "_efa_sdk.pyi", "py.typed", "errors.py"} <= package
    assert {"testing/__init__.py", "testing/__main__.py"} <= package, "users test with it too"
    soft = {n.removeprefix("testing/soft_efa/") for n in package if "/soft_efa/" in n}
    assert {"__main__.py", "enter.py", "lib/libibverbs.so.1", "lib/libefa.so.1"} <= soft
    assert [n for n in names if n.endswith((".pyc", ".rs", ".toml"))] == []
    assert [n for n in names if n.startswith("tests")] == []
    assert {n.split("/")[0] for n in names} == {
        "efa_sdk",
        next(n.split("/")[0] for n in names if ".dist-info" in n),
    }


def test_license_and_metadata(names: list[str]) -> None:
    (license_file,) = [n for n in names if n.endswith("LICENSE")]
    assert "Apache License" in read(license_file)
    (others,) = [n for n in names if n.endswith("THIRD-PARTY-LICENSES")]
    assert "tokio 1." in read(others)
    (bill_of_materials,) = [n for n in names if n.endswith(".cyclonedx.json")]
    assert "pkg:cargo/tokio@" in read(bill_of_materials)
    (metadata_file,) = [n for n in names if n.endswith("dist-info/METADATA")]
    metadata = read(metadata_file)
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.10" in metadata
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert required
    extras = ("extra == 'testing'", "extra == 'progress'", "extra == 'completion'")
    assert all(line.endswith(extras) for line in required), "nothing is needed without"


def test_it_works_in_a_clean_environment(installed: Path, tmp_path: Path) -> None:
    import json

    done = run([installed, "-c", USE], tmp_path)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert str(installed.parent.parent) in seen["file"], "not the one of this checkout"
    assert seen["version"] == Path(WHEEL).name.split("-")[1]
    assert seen["types"] >= 303
    assert seen["layout"] == "p5.48xlarge save-ips: 33 interfaces, 32 EFA, 1 IP"
    assert seen["fabric"] == []
    assert seen["other"] == []


def test_testing_says_what_it_needs(installed: Path, tmp_path: Path) -> None:
    done = run([installed, "-c", "import efa_sdk.testing; efa_sdk.testing.StandIn"], tmp_path)
    assert done.returncode == 1
    assert "pip install 'moto[" in done.stderr.splitlines()[-1]


PINGPONG = """
fi_pingpong -p efa -e rdm -I 10 -S 4096 -B 47611 >server.log &
for _ in 1 2 3 4 5 6 7 8 9 10; do
    fi_pingpong -p efa -e rdm -I 10 -S 4096 -P 47611 127.0.0.1 2>client.log && break
    sleep 0.2
done
wait
"""


def test_software_efa_devices_in_a_clean_environment(installed: Path, tmp_path: Path) -> None:
    """The wheel alone, and Debian's libfabric with its tools."""
    soft = [installed, "-m", "efa_sdk.testing.soft_efa", "--devices"]
    done = run([*soft, "4", "--", "fi_info", "-p", "efa"], tmp_path)
    assert done.returncode == 0, done.stderr
    domains = re.findall(r"domain: (rdmap\d+s\d+)-rdm", done.stdout)
    assert domains == ["rdmap67s0", "rdmap68s0", "rdmap69s0", "rdmap70s0"]
    done = run([*soft, "2", "--", "bash", "-c", PINGPONG], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4k      10" in done.stdout, done.stdout + done.stderr
    assert "4k      10" in (tmp_path / "server.log").read_text()


def test_it_links_no_fabric_library(tmp_path: Path) -> None:
    with zipfile.ZipFile(WHEEL) as wheel:
        library = wheel.extract("efa_sdk/_efa_sdk.abi3.so", tmp_path)
    done = run(["ldd", library], tmp_path)
    assert done.returncode == 0, done.stderr
    needed = [line.split()[0] for line in done.stdout.splitlines()]
    assert any(name.startswith("libc.so") for name in needed), done.stdout
    for name in ("libfabric", "libefa", "libibverbs", "libssl", "libpython"):
        assert [n for n in needed if n.startswith(name)] == []


def test_it_is_made_for_this_machine(names: list[str]) -> None:
    assert sys.platform == "linux"
    assert sum(n.endswith(".so") for n in names) == 1
