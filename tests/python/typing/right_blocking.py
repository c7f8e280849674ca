"""What a consumer writes with the blocking client."""

from __future__ import annotations

import efa_sdk as efa


def types_with_room(minimum: int) -> list[str]:
    catalog: efa.Catalog = efa.Catalog.bundled()
    found: list[efa.InstanceType] = catalog.find(
        name=["*7i*", "*8g*"], minimum_efa_interfaces=minimum, spot=True
    )
    one = catalog.get("p5.48xlarge")
    if one is not None:
        found.append(one)
    total: int = len(catalog)
    print(total, "p5.48xlarge" in catalog, efa.instance_type_table(found))
    return sorted(t.name for t in found)


def slots(t: efa.InstanceType) -> list[tuple[int, int, str]]:
    layout = t.layout(profile="ip-bandwidth", efa=4, public_ip="none")
    return [(i.network_card_index, i.device_index, i.interface_type) for i in layout.interfaces]


def launch(subnet_id: str, image_id: str) -> dict[str, str]:
    events: list[efa.Event] = []
    client = efa.Client(region="us-east-1", endpoint_url=None, progress=events.append)
    spec = efa.ClusterSpec(
        name="train",
        instance_type="p5.48xlarge",
        count=2,
        subnet=subnet_id,
        image=image_id,
        interfaces=[efa.NetworkInterface(0, 0, "efa")],
        tags={"team": "ml"},
    )
    plan: efa.Plan = client.plan(spec)
    again: efa.Plan = efa.Plan.from_json(plan.to_json())
    cluster: efa.Cluster = client.apply(again)
    report: efa.VerifyReport = client.verify(plan)
    same: efa.VerifyReport = client.verify("train")
    for finding in report.findings:
        print(finding.check, finding.cure.upper())
    removed: list[tuple[str, str]] = client.destroy("train").removed
    print(report == same, removed, hash(plan), {plan: 1})
    address: str | None = cluster.instances[0].private_ip_address
    return {cluster.instances[0].instance_id: address or ""}


def cure() -> str | None:
    try:
        efa.Catalog.bundled()["p5"].layout()
    except efa.errors.LayoutError as error:
        return error.cure
    except efa.EfaError as error:
        context: dict[str, str] = error.context
        leftovers: list[tuple[str, str]] = error.leftovers
        print(error.code.upper(), context, leftovers, error.retryable is True)
        return error.ec2_code
    return efa.__version__


def nodes_for_a_block(client: efa.Client, plan: efa.Plan) -> int:
    with client.cluster(plan) as cluster:
        nodes: int = len(cluster.instances)
        return nodes
