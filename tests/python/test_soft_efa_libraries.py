"""The two libraries of the software EFA device as files: symbols, versions, and what they need."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest
from efa_sdk import Catalog
from efa_sdk.testing.soft_efa import GENERATIONS

pytestmark = pytest.mark.unit

HERE = Path(__file__).parents[2]
LIBRARIES = HERE / "efa-py/python/efa_sdk/testing/soft_efa/lib"
NAMES = ["libibverbs", "libefa"]
#: Some of what Debian's libfabric 1.17, the mpich wheel's 2.5.1, and one with data-path-direct were
#: linked against.
WANTED = {
    "libibverbs": {
        "ibv_open_device": "IBVERBS_1.1",
        "ibv_create_comp_channel": "IBVERBS_1.0",
        "ibv_qp_to_qp_ex": "IBVERBS_1.6",
        "ibv_reg_mr_iova2": "IBVERBS_1.8",
        "_ibv_query_gid_ex": "IBVERBS_1.11",
        "ibv_reg_dmabuf_mr": "IBVERBS_1.12",
        "ibv_is_fork_initialized": "IBVERBS_1.13",
        "ibv_query_qp_data_in_order": "IBVERBS_1.14",
    },
    "libefa": {
        "efadv_create_driver_qp": "EFA_1.0",
        "efadv_query_device": "EFA_1.1",
        "efadv_create_cq": "EFA_1.2",
        "efadv_query_mr": "EFA_1.3",
        "efadv_query_qp_wqs": "EFA_1.4",
    },
}


def test_a_generation_has_the_rdma_that_every_published_family_of_it_has() -> None:
    """The device's own table, for programs without `SoftEfa`, and the catalog."""
    text = (HERE / "efa-soft/src/capability.rs").read_text()
    table = re.findall(r'name: "efa(\d)",.*?capabilities: ([A-Z_| ]+),', text, re.DOTALL)
    assert [int(number) for number, _ in table] == [0, 1, 2, 3]
    rows = list(Catalog.bundled())
    for number, words in table:
        families = {
            family
            for family, generation in GENERATIONS.items()
            if generation.number == int(number) and generation.origin.startswith("PCI ids")
        }
        found = [row for row in rows if row.family in families]
        assert families == {row.family for row in found}
        has = set(words.split(" | "))
        assert ("READ" in has) == all(row.rdma_read == "yes" for row in found), number
        assert ("WRITE" in has) == all(row.rdma_write == "yes" for row in found), number


def listed(name: str) -> dict[str, str]:
    """The symbols of a version script, with their versions."""
    text = (HERE / f"efa-soft/{name}.map").read_text()
    found = {}
    for version, body in re.findall(r"^(\w+(?:\.\w+)*) \{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        for symbol in re.findall(r"^\s+(\w+);", body, re.MULTILINE):
            found[symbol] = version
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_listed_symbol_is_there_with_its_version(name: str) -> None:
    library = ctypes.CDLL(str(LIBRARIES / f"{name}.so.1"))
    dlvsym = ctypes.CDLL(None).dlvsym
    dlvsym.restype = ctypes.c_void_p
    dlvsym.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]

    def has(symbol: str, version: str) -> bool:
        return bool(dlvsym(library._handle, symbol.encode(), version.encode()))

    symbols = listed(name)
    assert len(symbols) > 10
    assert WANTED[name].items() <= symbols.items()
    assert not [symbol for symbol, version in symbols.items() if not has(symbol, version)]
    assert not has("ibv_open_device", "IBVERBS_9.9")


@pytest.mark.parametrize("name", NAMES)
def test_a_library_needs_glibc_only_and_is_small(name: str) -> None:
    data = (LIBRARIES / f"{name}.so.1").read_bytes()
    needed = set(re.findall(rb"\x00((?:lib|ld-)[\w.+-]+\.so\.\d+)(?=\x00)", data))
    assert needed <= {b"libc.so.6", b"ld-linux-x86-64.so.2", b"ld-linux-aarch64.so.1"} | {
        f"{name}.so.1".encode()
    }
    assert b"libc.so.6" in needed
    assert len(data) < 1_000_000
