#!/usr/bin/env python3
"""Write the bundled catalog of instance types, two files in efa-core/src/catalog.

Source: the copy of EC2's DescribeInstanceTypes answers that moto ships. Run it with

    pip install 'moto[ec2]==5.2.5'
    python tools/generate_catalog.py            # write the snapshot
    python tools/generate_catalog.py --check    # exit 1 if the snapshot differs

The first line of snapshot.jsonl is a header: source, date of the source, digest of its data,
script, number of types. Each other line is one type that has EFA, sorted; runs of equal network
cards are one entry with a count. without_efa.txt names the types of the same data that have no
EFA, one family per line with its sizes: what neither file names is unknown, not without EFA.
`efa-core/src/catalog/bundled.rs` and `names.rs` read them: keep them together.
"""

import gzip
import hashlib
import importlib.metadata
import importlib.resources
import itertools
import json
import pathlib
import re
import sys

MOTO_VERSION = "5.2.5"
MOTO_DATE = "2026-10-27"  # of the data file inside the wheel on PyPI
CATALOG = pathlib.Path(__file__).parents[1] / "efa-core/src/catalog"
SNAPSHOT = CATALOG / "snapshot.jsonl"
WITHOUT_EFA = CATALOG / "without_efa.txt"


def natural(name: str) -> list:
    """The order of `InstanceType` in Rust: family, then size, with numbers as numbers."""
    return [
        [
            (0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in re.findall(r"\d+|\D+", half)
        ]
        for half in name.split(".")
    ]


def network_card(card: dict) -> dict:
    return {
        "enis": card["MaximumNetworkInterfaces"],
        "types": card.get("InterfaceTypes"),
        "gbps": [card.get("BaselineBandwidthInGbps"), card.get("PeakBandwidthInGbps")],
        "text": card["NetworkPerformance"],
    }


def network_cards(cards: list) -> list:
    """Runs of equal cards; the index is implied, so it must count from 0."""
    cards = sorted(cards, key=lambda card: card["NetworkCardIndex"])
    if [card["NetworkCardIndex"] for card in cards] != list(range(len(cards))):
        raise SystemExit("network card indices have gaps: the snapshot format cannot say that")
    return [
        {"count": len(list(run)), **card}
        for card, run in itertools.groupby(map(network_card, cards))
    ]


def row(data: dict) -> dict:
    network = data["NetworkInfo"]
    out = {
        "name": data["InstanceType"],
        "vcpus": data["VCpuInfo"]["DefaultVCpus"],
        "cores": data["VCpuInfo"].get("DefaultCores"),
        "mib": data["MemoryInfo"]["SizeInMiB"],
        "arch": data["ProcessorInfo"]["SupportedArchitectures"],
        "hypervisor": data.get("Hypervisor"),
        "metal": data["BareMetal"],
        "current": data["CurrentGeneration"],
        "efa": network["EfaInfo"]["MaximumEfaInterfaces"],
        "enis": network["MaximumNetworkInterfaces"],
        "ips": [network["Ipv4AddressesPerInterface"], network["Ipv6AddressesPerInterface"]],
        "text": network["NetworkPerformance"],
        "srd": network["EnaSrdSupported"],
        "placement": data["PlacementGroupInfo"]["SupportedStrategies"],
        "usage": data["SupportedUsageClasses"],
        "cards": network_cards(network["NetworkCards"]),
    }
    if "GpuInfo" in data:
        out["gpus"] = [
            [gpu["Manufacturer"], gpu["Name"], gpu["Count"], gpu["MemoryInfo"]["SizeInMiB"]]
            for gpu in data["GpuInfo"]["Gpus"]
        ]
    if "NeuronInfo" in data:
        out["neuron"] = [
            [
                device["Name"],
                device["Count"],
                device["CoreInfo"]["Count"],
                device["MemoryInfo"]["SizeInMiB"],
            ]
            for device in data["NeuronInfo"]["NeuronDevices"]
        ]
    return out


def answers() -> tuple[dict, str]:
    """What EC2 answered, by type, and the digest of its packed form."""
    installed = importlib.metadata.version("moto")
    if installed != MOTO_VERSION:
        raise SystemExit(f"moto {MOTO_VERSION} is needed, {installed} is installed")
    packed = (
        importlib.resources.files("moto")
        .joinpath("ec2/resources/instance_types.json.gz")
        .read_bytes()
    )
    return json.loads(gzip.decompress(packed)), hashlib.sha256(packed).hexdigest()


def without_efa(types: dict) -> str:
    """The types without EFA: a family and its sizes per line."""
    names = [name for name, data in types.items() if not data["NetworkInfo"].get("EfaSupported")]
    families = itertools.groupby(sorted(names, key=natural), key=lambda name: name.split(".")[0])
    lines = [" ".join([family, *(n.split(".")[1] for n in sizes)]) for family, sizes in families]
    header = (
        f"# moto {MOTO_VERSION} (DescribeInstanceTypes), {MOTO_DATE}; tools/generate_catalog.py;"
        f" {len(names)} types without EFA"
    )
    return "\n".join([header, *lines, ""])


def snapshot(types: dict, digest: str) -> str:
    efa = [data for data in types.values() if data["NetworkInfo"].get("EfaSupported")]
    efa.sort(key=lambda data: natural(data["InstanceType"]))
    header = {
        "source": f"moto {MOTO_VERSION}, moto/ec2/resources/instance_types.json.gz"
        " (DescribeInstanceTypes)",
        "date": MOTO_DATE,
        "sha256": digest,
        "script": "tools/generate_catalog.py",
        "types": len(efa),
    }
    lines = [header, *map(row, efa)]
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def main() -> None:
    types, digest = answers()
    files = {SNAPSHOT: snapshot(types, digest), WITHOUT_EFA: without_efa(types)}
    if sys.argv[1:] not in ([], ["--check"]):
        raise SystemExit(__doc__)
    for path, text in files.items():
        if sys.argv[1:]:
            if not path.exists() or path.read_text() != text:
                raise SystemExit(f"{path} is not what {sys.argv[0]} writes")
            print(f"{path}: up to date")
        else:
            path.write_text(text)
            print(f"{path}: {len(text.splitlines()) - 1} lines, {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
