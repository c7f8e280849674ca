"""ListServiceQuotas, GetServiceQuota."""

from __future__ import annotations

from typing import Any

from ..call import Answer, Call, Handler
from ..paging import page
from ..quotas import BY_CODE, QUOTAS, REGION_QUOTAS, UNLIMITED, Quota
from ..rules import refuse

_SERVICES = {
    "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "vpc": "Amazon Virtual Private Cloud (Amazon VPC)",
    "ebs": "Amazon Elastic Block Store (Amazon EBS)",
}


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
    service, code = str(call.need("ServiceCode")), str(call.need("QuotaCode"))
    if (service, code) in REGION_QUOTAS:
        name, default = REGION_QUOTAS[service, code]
        return {"Quota": _shown(call, service, code, name, call.settings.quotas.get(code, default))}
    if service != "ec2":
        return call.forward(None)
    found = BY_CODE.get(str(call.need("QuotaCode")))
    if found is None:
        refuse("quota.unknown")
    return {"Quota": _quota(call, found)}


def _quota(call: Call, one: Quota) -> dict[str, Any]:
    value = call.settings.quotas.get(one.code, UNLIMITED)
    return _shown(call, "ec2", one.code, one.name, value)


def _shown(call: Call, service: str, code: str, name: str, value: float) -> dict[str, Any]:
    return {
        "ServiceCode": service,
        "ServiceName": _SERVICES[service],
        "QuotaArn": f"arn:aws:servicequotas:{call.region}:{call.account}:{service}/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


HANDLERS: dict[str, Handler] = {
    "GetServiceQuota": get_service_quota,
    "ListServiceQuotas": list_service_quotas,
}
