"""Capacity Blocks that are bought, and what plans cost, over HTTP on the stand-in."""

from __future__ import annotations

import datetime
import json
import pickle
from typing import Any

import efa_sdk as efa
import pytest
from botocore.exceptions import ClientError
from efa_sdk import aio
from efa_sdk.errors import ArgumentError, PlanError
from support import P5, Cloud, raised

DAY = 24
ZONE = "us-east-1a"


def offered(cloud: Cloud, price: str = "2880.00") -> efa.CapacityBlockOffering:
    """An offering of two, as the client lists it."""
    made = cloud.stand_in.add_capacity_block_offering(P5, ZONE, 2, hours=DAY, price=price)
    listed = cloud.client.capacity_block_offerings(P5, 2, DAY)
    (offering,) = (one for one in listed if one.capacity_block_offering_id == made)
    return offering


def purchases(cloud: Cloud) -> int:
    return cloud.actions().count("PurchaseCapacityBlock")


async def test_a_block_is_bought_at_its_price_and_launched_into(cloud: Cloud) -> None:
    offering = offered(cloud)
    for price in ("2879.99", "2880.00 EUR"):
        refused = raised(
            lambda p=price: cloud.client.purchase_capacity_block(offering, confirm_price=p)
        )
        assert (refused.code, refused.context["limit"]) == ("plan.conflict", "2880.00 USD")
    for price in ("", "cheap", "-1", "2,880.00"):
        with pytest.raises(PlanError, match="confirm_price"):
            cloud.client.purchase_capacity_block(offering, confirm_price=price)
    assert purchases(cloud) == 0
    tags = {"team": "ml"}
    block = cloud.client.purchase_capacity_block(offering, confirm_price="2880.00", tags=tags)
    assert (block.state, block.reservation_type) == ("scheduled", "capacity-block")
    assert (block.total_instance_count, block.start_date) == (2, offering.start_date)
    assert pickle.loads(pickle.dumps(block)) == block
    (shown,) = cloud.ec2.describe_capacity_reservations()["CapacityReservations"]
    assert {t["Key"]: t["Value"] for t in shown["Tags"]} == {
        "team": "ml",
        "efa-sdk:offering": offering.capacity_block_offering_id,
    }
    client = aio.Client(region=cloud.network.region, endpoint_url=cloud.stand_in.endpoint_url)
    again = await client.purchase_capacity_block(offering, confirm_price="2880 USD")
    assert (again, purchases(cloud)) == (block, 1)
    cloud.stand_in.advance(2 * 3600.0)
    plan = cloud.plan(P5, capacity=block.capacity_reservation_id)
    prices = efa.Prices.from_price_list(price_list(cloud.network.region))
    assert plan.cost(prices).kind == "unknown"
    cost = plan.cost(prices, offering=offering)
    assert (cost.kind, cost.per_hour, cost.currency) == ("per_hour", "120.00", "USD")
    assert offering.price_per_instance_hour == "60.00"
    assert len(cloud.client.apply(plan)) == 2


def test_a_purchase_is_sent_once_and_looked_up(cloud: Cloud) -> None:
    offering = offered(cloud)
    cloud.stand_in.fail("PurchaseCapacityBlock", when="after")
    block = cloud.client.purchase_capacity_block(offering, confirm_price="2880.00")
    assert block.state == "scheduled"
    assert purchases(cloud) == 1, "the SDK did not send it again"
    # Nothing was bought, and nothing states this.
    other = offered(cloud, price="1.00")
    cloud.stand_in.fail("PurchaseCapacityBlock", when="before", times=None)
    client = cloud.connect(wait_timeout_s=0.2)
    error = raised(lambda: client.purchase_capacity_block(other, confirm_price="1"))
    assert error.context["took_effect"] == "unknown"
    assert error.may_have_changed_aws
    assert other.capacity_block_offering_id in (error.next_command or "")
    assert purchases(cloud) == 2


def test_the_stand_in_sells_an_offering_once(cloud: Cloud) -> None:
    offering = offered(cloud)
    sold: dict[str, Any] = {"CapacityBlockOfferingId": offering.capacity_block_offering_id}
    with pytest.raises(ClientError, match="DryRunOperation"):
        cloud.ec2.purchase_capacity_block(**sold, InstancePlatform="Linux/UNIX", DryRun=True)
    with pytest.raises(ClientError, match="InstancePlatform"):
        cloud.ec2.purchase_capacity_block(**sold, InstancePlatform="BeOS")
    bought = cloud.ec2.purchase_capacity_block(**sold, InstancePlatform="Linux/UNIX")
    assert bought["CapacityReservation"]["ReservationType"] == "capacity-block"
    assert len(bought["CapacityBlocks"]) == 1
    with pytest.raises(ClientError, match="is not available"):
        cloud.ec2.purchase_capacity_block(**sold, InstancePlatform="Linux/UNIX")
    assert cloud.client.capacity_block_offerings(P5, 2, DAY) == []


def price_list(region: str) -> str:
    """What GetProducts answers for a type, with a price that is nobody's."""
    attributes = {
        "instanceType": P5,
        "regionCode": region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "capacitystatus": "Used",
        "preInstalledSw": "NA",
    }
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": "12.5000000000"}}
    product = {
        "product": {"sku": "S", "attributes": attributes},
        "terms": {"OnDemand": {"S.T": {"priceDimensions": {"S.T.R": dimension}}}},
        "publicationDate": "2026-11-20T00:00:00Z",
    }
    return json.dumps({"FormatVersion": "aws_v1", "PriceList": [json.dumps(product)]})


def test_pages_of_get_products_are_one_list() -> None:
    west, east = price_list("us-west-2"), price_list("us-east-1")
    # As a paginator of boto3 gives them.
    when = datetime.datetime.now(datetime.timezone.utc)
    first = {**json.loads(west), "NextToken": "t", "ResponseMetadata": {"Date": when}}
    prices = efa.Prices.from_pages(iter([first, east]))
    assert (prices.instance_types, prices.is_partial) == ([P5], False)
    assert efa.Prices.from_pages([first]).is_partial
    assert prices == efa.Prices.from_pages([west, json.loads(east)])
    unreadable: list[list[Any]] = [[], [east, "{}"], [{"PriceList": []}]]
    for pages in unreadable:
        with pytest.raises(PlanError) as error:
            efa.Prices.from_pages(pages)
        assert error.value.code == "plan.prices_unreadable"
    wrong: list[Any] = [[3], east, json.loads(east), 3]
    for pages in wrong:
        with pytest.raises(ArgumentError, match="pages"):
            efa.Prices.from_pages(pages)
    with pytest.raises(ZeroDivisionError):
        efa.Prices.from_pages(1 / 0 for _ in "x")  # type: ignore[misc]
    assert efa.Prices.product_filters(P5, "us-east-1") == [
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"},
        {"Type": "TERM_MATCH", "Field": "instanceType", "Value": P5},
    ]


def test_what_a_plan_costs(cloud: Cloud) -> None:
    prices = efa.Prices.from_price_list(price_list(cloud.network.region))
    assert (prices.instance_types, prices.is_partial) == ([P5], False)
    assert efa.Prices.from_json(prices.to_json()) == prices
    cost = cloud.plan(P5).cost(prices)
    assert (cost.kind, cost.per_hour, cost.currency) == ("per_hour", "25.00", "USD")
    assert cost.published == prices.published == "2026-11-20T00:00:00Z"
    assert str(cost).startswith("cluster 'train': 25.00 USD per hour\n")
    assert "EBS volumes" in cost.excludes
    unknown = cloud.plan().cost(prices)
    assert (unknown.kind, unknown.per_hour, unknown.currency) == ("unknown", None, None)
    assert "the price list has no" in (unknown.unknown_because or "")
    with pytest.raises(PlanError) as error:
        efa.Prices.from_price_list("{}")
    assert error.value.code == "plan.prices_unreadable"
