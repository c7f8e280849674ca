"""ListServiceQuotas, GetServiceQuota."""

from __future__ import annotations

from typing import Any

from ..call import Answer, Call, Handler
from ..paging import page
from ..quotas import BY_CODE, QUOTAS, UNLIMITED, Quota
from ..rules import refuse


def list_service_quotas(call: Call) -> Answer:
    """Lists EC2's vCPU quotas."""
    if call.need("ServiceCode") != "ec2":
        return call.forward(None)
    wanted = call.request.get("QuotaCode")
    found = [one for one in QUOTAS if wanted in (None, one.code)]
    shown, more = page(call, found, low=1, high=100, default=100)
    return {"Quotas": [_quota(call, one) for one in shown], **more}


def get_service_quota(call: Call) -> Answer:
    """Shows one quota."""
    if call.need("ServiceCode") != "ec2":
        return call.forward(None)
    found = BY_CODE.get(str(call.need("QuotaCode")))
    if found is None:
        refuse("quota.unknown")
    return {"Quota": _quota(call, found)}


def _quota(call: Call, one: Quota) -> dict[str, Any]:
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{call.region}:{call.account}:ec2/{one.code}",
        "QuotaCode": one.code,
        "QuotaName": one.name,
        "Value": call.settings.quotas.get(one.code, UNLIMITED),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


HANDLERS: dict[str, Handler] = {
    "GetServiceQuota": get_service_quota,
    "ListServiceQuotas": list_service_quotas,
}
