#!/usr/bin/env python3
"""Write the bundled catalog of instance types, two files in efa-core/src/catalog.

Source: the copy of EC2's DescribeInstanceTypes answers that moto ships, and newer answers that a
maintainer saved. Run it with

    pip install 'moto[ec2]==5.2.5'
    python tools/generate_catalog.py            # write the snapshot
    python tools/generate_catalog.py --check    # exit 1 if the snapshot differs
    python tools/generate_catalog.py --from answer.json --date 2026-11-30          # show changes
    python tools/generate_catalog.py --from answer.json --date 2026-11-30 --write  # and write

With --from, the types of the answer replace those of the snapshot or are added to them; types that
the answer lacks stay, since no Region has all. catalog_answer.py has what is shown. A snapshot that
was written so is checked no more against moto: --check then states that its source is not here.

The first line of snapshot.jsonl is a header: source, date of the source, digest of its data,
script, number of types. Each other line is one type that has EFA, sorted; runs of equal network
cards are one entry with a count. without_efa.txt names the types of the same data that have no
EFA, one family per line with its sizes: what neither file names is unknown, not without EFA.
`efa-core/src/catalog/bundled.rs` and `names.rs` read them: keep them together.
"""

import argparse
import gzip
import hashlib
import importlib.metadata
import importlib.resources
import itertools
import json
import pathlib
import re

import catalog_answer

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
        raise SystemExit("network card indices have gaps: the snapshot format cannot express that")
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
    if data["InstanceStorageSupported"]:
        out["store"] = data["InstanceStorageInfo"]["TotalSizeInGB"]
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
    """The types without EFA in answers: a family and its sizes per line."""
    names = [name for name, data in types.items() if not data["NetworkInfo"].get("EfaSupported")]
    return names_file(names, f"moto {MOTO_VERSION}", MOTO_DATE)


def names_file(names: list, source: str, date: str) -> str:
    families = itertools.groupby(sorted(names, key=natural), key=lambda name: name.split(".")[0])
    lines = [" ".join([family, *(n.split(".")[1] for n in sizes)]) for family, sizes in families]
    header = (
        f"# {source} (DescribeInstanceTypes), {date}; tools/generate_catalog.py;"
        f" {len(names)} types without EFA"
    )
    return "\n".join([header, *lines, ""])


def snapshot(types: dict, digest: str) -> str:
    efa = [row(data) for data in types.values() if data["NetworkInfo"].get("EfaSupported")]
    source = (
        f"moto {MOTO_VERSION}, moto/ec2/resources/instance_types.json.gz (DescribeInstanceTypes)"
    )
    return rows_file(efa, source, MOTO_DATE, digest)


def rows_file(rows: list, source: str, date: str, digest: str) -> str:
    header = {
        "source": source,
        "date": date,
        "sha256": digest,
        "script": "tools/generate_catalog.py",
        "types": len(rows),
    }
    lines = [header, *sorted(rows, key=lambda row: natural(row["name"]))]
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def refreshed(answer: pathlib.Path, date: str) -> tuple[dict, str]:
    """The two files with a saved answer laid over them, and what changed in words."""
    found = catalog_answer.read(answer)
    before = catalog_answer.Bundled.read(SNAPSHOT, WITHOUT_EFA)
    rows, without = dict(before.rows), set(before.without_efa)
    for name, data in found.items():
        rows.pop(name, None)
        without.discard(name)
        if data["NetworkInfo"].get("EfaSupported"):
            try:
                rows[name] = row(data)
            except KeyError as key:
                raise catalog_answer.AnswerError(f"{answer}: {name} has no {key}") from None
        else:
            without.add(name)
    known = catalog_answer.families_with_rdma((CATALOG / "rdma.rs").read_text())
    report = catalog_answer.report(before, rows, without, found, known)
    digest = hashlib.sha256(answer.read_bytes()).hexdigest()
    source = f"DescribeInstanceTypes saved on {date}, over {before.source}"
    files = {
        SNAPSHOT: rows_file(list(rows.values()), source, date, digest),
        WITHOUT_EFA: names_file(sorted(without), f"saved on {date} over older answers", date),
    }
    return files, report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--from", dest="answer", type=pathlib.Path)
    parser.add_argument("--date", type=catalog_answer.date)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if (given.answer is None) != (given.date is None):
        parser.error("--from and --date go together: the date is the day of the answer")
    if given.answer is None and given.write:
        parser.error("--write goes with --from")
    if given.answer is not None:
        if given.check:
            parser.error("--check compares with moto's answers, not with those of --from")
        try:
            files, report = refreshed(given.answer, given.date)
        except catalog_answer.AnswerError as error:
            raise SystemExit(str(error)) from None
        print(report)
        if given.write:
            write(files)
        return
    if given.check and not catalog_answer.is_from_moto(SNAPSHOT):
        print(f"{SNAPSHOT}: from a saved answer, which is not here; its digest is in the header")
        return
    types, digest = answers()
    files = {SNAPSHOT: snapshot(types, digest), WITHOUT_EFA: without_efa(types)}
    if not given.check:
        write(files)
        return
    for path, text in files.items():
        if not path.exists() or path.read_text() != text:
            raise SystemExit(f"{path} is not what tools/generate_catalog.py writes")
        print(f"{path}: up to date")


def write(files: dict) -> None:
    for path, text in files.items():
        path.write_text(text)
        print(f"{path}: {len(text.splitlines()) - 1} lines, {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
