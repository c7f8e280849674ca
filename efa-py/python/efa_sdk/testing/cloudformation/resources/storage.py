"""Buckets and log groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.moto_api._internal import mock_random

from ..stack import Made
from .context import Context, ResourceType, only, shaped
from .groups import generated_name


def _create_bucket(context: Context, name: str, properties: Mapping[str, Any]) -> Made:
    s3, region = context.client("s3"), context.call.region
    letters = mock_random.get_random_string(length=12, include_digits=True).lower()
    bucket = properties.get("BucketName") or (
        f"{context.stack.name}-{name}".lower()[:50] + f"-{letters}"
    )
    place = {} if region == "us-east-1" else {
        "CreateBucketConfiguration": {"LocationConstraint": region}
    }  # fmt: skip
    s3.create_bucket(Bucket=bucket, **place)
    made = Made(name, "", {}, bucket)
    try:
        encryption = properties.get("BucketEncryption")
        if encryption:
            key = "ServerSideEncryptionConfiguration"
            only(encryption, (key,), "BucketEncryption")
            for rule in encryption[key]:
                only(rule, ("ServerSideEncryptionByDefault",), key)
            rules = [
                {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
                for rule in encryption[key]
            ]
            s3.put_bucket_encryption(
                Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules}
            )
        blocks = properties.get("PublicAccessBlockConfiguration")
        if blocks:
            key = "PublicAccessBlockConfiguration"
            s3.put_public_access_block(
                Bucket=bucket, **{key: shaped(s3, "PutPublicAccessBlock", key, blocks)}
            )
        if tags := context.tags(properties):
            s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    except Exception:
        _delete_bucket(context, made)
        raise
    made.attributes = {
        "Arn": f"arn:aws:s3:::{bucket}",
        "DomainName": f"{bucket}.s3.amazonaws.com",
        "RegionalDomainName": f"{bucket}.s3.{region}.amazonaws.com",
    }
    return made


def _delete_bucket(context: Context, made: Made) -> None:
    context.client("s3").delete_bucket(Bucket=made.ref)


def _create_log_group(context: Context, name: str, properties: Mapping[str, Any]) -> Made:
    logs = context.client("logs")
    group = properties.get("LogGroupName") or generated_name(context, name, 512)
    tags = {one["Key"]: one["Value"] for one in context.tags(properties)}
    logs.create_log_group(logGroupName=group, **({"tags": tags} if tags else {}))
    made = Made(name, "", {}, group)
    if properties.get("RetentionInDays") is not None:
        try:
            days = int(properties["RetentionInDays"])
            logs.put_retention_policy(logGroupName=group, retentionInDays=days)
        except Exception:
            _delete_log_group(context, made)
            raise
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    made.attributes = {"Arn": found[0]["arn"]}
    return made


def _delete_log_group(context: Context, made: Made) -> None:
    context.client("logs").delete_log_group(logGroupName=made.ref)


TYPES = {
    "AWS::S3::Bucket": ResourceType(
        frozenset({"BucketName", "BucketEncryption", "PublicAccessBlockConfiguration", "Tags"}),
        _create_bucket,
        _delete_bucket,
    ),
    "AWS::Logs::LogGroup": ResourceType(
        frozenset({"LogGroupName", "RetentionInDays", "Tags"}),
        _create_log_group,
        _delete_log_group,
    ),
}
