"""The inventory of a node and its rails from Python, on machines made of files."""

from __future__ import annotations

import asyncio
import json
import pathlib
import pickle

import pytest
from efa_sdk import aio, errors, fabric

pytestmark = pytest.mark.unit

QUICK = {"sizes": [4096], "size_budget_s": 0.02}


def machine(root: pathlib.Path, count: int = 2) -> pathlib.Path:
    """Files of a p4d.24xlarge with this many EFA devices, laid out like sysfs."""
    dmi = root / "sys/class/dmi/id"
    dmi.mkdir(parents=True)
    (dmi / "sys_vendor").write_text("Amazon EC2\n")
    (dmi / "product_name").write_text("p4d.24xlarge\n")
    (dmi / "board_asset_tag").write_text("i-0123456789abcdef0\n")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/limits").write_text("Max locked memory  65536  65536  bytes\n")
    for folder in ("sys/bus/pci/devices", "sys/class/infiniband", "sys/class/infiniband_verbs"):
        (root / folder).mkdir(parents=True)
    (root / "dev/infiniband").mkdir(parents=True)
    (root / "sys/devices/system/node/node0").mkdir(parents=True)
    (root / "sys/devices/system/node/node0/cpulist").write_text("0-1023\n")
    for number in range(count):
        bus = f"{0x10 * (number + 1):02x}"
        address, name = f"0000:{bus}:1b.0", f"rdmap{int(bus, 16)}s27"
        device = root / f"sys/devices/pci0000:{bus}/{address}"
        own = device / "infiniband" / name
        (own / "ports/1/hw_counters").mkdir(parents=True)
        (own / "ports/1/rate").write_text("100 Gb/sec (4X EDR)\n")
        (own / "ports/1/state").write_text("4: ACTIVE\n")
        for counter in ("tx_bytes", "rx_bytes"):
            (own / "ports/1/hw_counters" / counter).write_text("7\n")
        (own / "device").symlink_to(f"../../../{address}")
        (device / "vendor").write_text("0x1d0f\n")
        (device / "device").write_text("0xefa0\n")
        (device / "numa_node").write_text("0\n")
        pci = f"../../../../sys/devices/pci0000:{bus}/{address}"
        (root / f"sys/bus/pci/devices/{address}").symlink_to(pci)
        (root / f"sys/class/infiniband/{name}").symlink_to(
            f"../../devices/pci0000:{bus}/{address}/infiniband/{name}"
        )
        verbs = root / f"sys/class/infiniband_verbs/uverbs{number}"
        verbs.mkdir()
        (verbs / "ibdev").write_text(f"{name}\n")
    (root / "dev/infiniband/uverbs0").write_text("")
    (root / "dev/infiniband/uverbs1").mkdir()
    return root


def test_the_inventory_of_a_machine(tmp_path: pathlib.Path) -> None:
    node = fabric.node(machine(tmp_path))
    assert (node.instance_type, node.instance_id) == ("p4d.24xlarge", "i-0123456789abcdef0")
    assert node.expected is not None
    assert (node.expected.efa_count, node.expected.instance_gbps) == (4, 400.0)
    assert [d.name for d in node.efa_devices] == ["rdmap16s27", "rdmap32s27"]
    device = node.efa_devices[0]
    assert (device.pci_address, device.pci_group) == ("0000:10:1b.0", "pci0000:10")
    assert (device.generation, device.rate_gbps, device.numa_node) == ("efa0", 100.0, 0)
    assert device.counters == {"tx_bytes": 7, "rx_bytes": 7}
    assert [(u.access, u.errno) for u in node.uverbs] == [("openable", None), ("denied", 21)]
    assert (node.memlock_bytes, node.kernel, node.shm_mib) == (65_536, None, None)
    assert "do not open: /dev/infiniband/uverbs1" in str(node)
    assert ">p4d.24xlarge" in node._repr_html_()
    assert pickle.loads(pickle.dumps(node)) == node
    assert hash(fabric.Node.from_json(node.to_json())) == hash(node)


def test_nothing_is_known_of_an_empty_directory(tmp_path: pathlib.Path) -> None:
    node = fabric.node(tmp_path)
    assert (node.instance_type, node.expected, node.memlock_bytes) == (None, None, None)
    assert node.efa_devices == node.pci_efa == node.uverbs == []
    assert all(module.loaded is None for module in node.modules)


def test_this_machine_can_be_read() -> None:
    node = fabric.node()
    assert node.root == "/"
    assert node.kernel
    assert fabric.rails(node) == [] or node.pci_efa


def test_rails_alone_and_together(tmp_path: pathlib.Path) -> None:
    node = fabric.node(machine(tmp_path))
    rails = fabric.simulated_rails(node, "tcp")
    assert [rail.device for rail in rails] == ["rdmap16s27", "rdmap32s27"]
    report = fabric.probe_rails(rails, node, **QUICK)  # type: ignore[arg-type]
    assert report.simulated
    assert report.expected_gbps == 200.0
    for result in report.rails:
        assert result.failure is None, str(report)
        assert result.is_pinned, result.not_pinned_because
        assert result.alone is not None
        assert result.together is not None
        assert result.alone.gbps > 0
        assert result.together.bytes > 0
        # The counters of the files stand still.
        assert result.alone.evidence == "not_proved"
    assert report.sum_gbps is not None
    assert report.aggregate_gbps is not None
    assert "SIMULATED: tcp stands in for efa" in str(report)
    assert json.loads(report.to_json())["size"] == 4096
    assert pickle.loads(pickle.dumps(report)) == report


def test_a_rail_that_fails_is_in_the_report(tmp_path: pathlib.Path) -> None:
    node = fabric.node(machine(tmp_path))
    rails = [fabric.Rail("a", "tcp"), fabric.Rail("b", "tcp", domain="no-such-domain")]
    report = fabric.probe_rails(rails, node, **QUICK)  # type: ignore[arg-type]
    assert [r.failure_code for r in report.rails] == [None, "fabric.provider_not_found"]
    assert (report.sum_gbps, report.aggregate_gbps) == (None, None)
    assert report.rails[0].not_pinned_because


def test_refusals_are_typed(tmp_path: pathlib.Path) -> None:
    node = fabric.node(tmp_path)
    for rails in ([], [fabric.Rail("a", "tcp"), fabric.Rail("a", "tcp")]):
        with pytest.raises(errors.FabricError) as caught:
            fabric.probe_rails(rails, node)
        assert caught.value.code == "fabric.invalid_option"


async def test_rails_can_be_awaited_and_cancelled(tmp_path: pathlib.Path) -> None:
    node = fabric.node(machine(tmp_path))
    rails = fabric.simulated_rails(node, "tcp")
    report = await aio.fabric.probe_rails(rails, node, sizes=[4096], size_budget_s=0.02)
    assert report.aggregate_gbps is not None
    task = asyncio.create_task(aio.fabric.probe_rails(rails, node, size_budget_s=600.0))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)
