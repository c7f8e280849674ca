"""From a plan on the EC2 stand-in to an accepted cluster of hosts with software EFA devices."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from efa_sdk import fabric
from efa_sdk.testing import SoftEfa
from soft_hosts import require_namespace
from support import Cloud

EXAMPLE = Path(__file__).parents[2] / "examples" / "plan_to_survey.py"
LIMIT_S = 300
INSTANCE = r"i-[0-9a-f]{17}"


def test_the_example_accepts_refuses_and_replaces() -> None:
    require_namespace()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    printed = done.stdout
    assert done.returncode == 0, f"{printed}\n{done.stderr}"
    # The doctor on each host reports what the plan stated, before and after.
    assert len(re.findall(rf"  {INSTANCE}: usable, 2 of 2 EFA devices\n", printed)) == 8
    assert "interfaces     c6in.32xlarge save-ips: 3 interfaces, 2 EFA, 1 IP" in printed
    launched, dies, replaced = re.split(
        r"\nas launched:|\nthe second device|\nas replaced:", printed
    )[1:]
    victim = dies.split()[1]
    assert re.match(rf".* dies: refused: replace {victim}\n", dies)
    assert f"survey: rail 1 of {victim} failed with every one of 3 nodes" in dies
    assert f"\n{victim} is replaced\n" in dies
    for accepted in (launched, replaced):
        assert accepted.startswith(" accepted: "), accepted
        assert re.search(
            r"- EC2: 4 instances, 12 interfaces, \d+ comparisons with .*, 0 differ\n", accepted
        )
        assert "- doctor: 4 nodes\n" in accepted
        assert (
            "no fault was found; 6 pairs in 3 rounds, 6 measurements, 0 of them failed" in accepted
        )
        assert len(re.findall(rf"^{INSTANCE}  .*  2 of 2  usable +measured$", accepted, re.M)) == 4
    assert victim in launched
    assert victim not in replaced


@pytest.mark.parametrize(
    ("instance_type", "options", "cards"),
    [
        ("p5.48xlarge", {}, list(range(32))),
        ("p5.48xlarge", {"efa": 4}, None),
        ("p6-b300.48xlarge", {}, list(range(1, 17))),
        ("p4d.24xlarge", {"profile": "combined"}, [0, 1, 2, 3]),
        ("c5n.18xlarge", {}, [0]),
    ],
    ids=str,
)
def test_an_instance_becomes_a_host_with_its_interfaces(
    cloud: Cloud, instance_type: str, options: dict[str, object], cards: list[int] | None
) -> None:
    cluster = cloud.apply(instance_type, count=1, **options)
    (instance,) = cluster.instances
    planned = sorted(i.network_card_index for i in instance.interfaces if "efa" in i.interface_type)
    with SoftEfa.of_instance(instance) as host:
        node = fabric.node(root=str(host.root))
        assert [device.network_card for device in host.devices] == planned
        assert cards is None or planned == cards
        assert len(node.efa_devices) == len(planned)
    assert (node.instance_id, node.instance_type) == (instance.instance_id, instance_type)
