"""Signed addresses of objects: equal to what AWS publishes and to what its own SDK signs."""

from __future__ import annotations

import datetime
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from controlplane.errors import UsageError
from controlplane.s3 import LONGEST_SECONDS, S3Keys, parse_store, presign

# The example of AWS's own page on signing by query.
KEYS = S3Keys("AKIAIOSFODNN7EXAMPLE", SecretStr("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
AT = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)
NAME = "logs/a b+c&d=ü~'(1).log"


def test_example_that_aws_publishes_is_met() -> None:
    """There the bucket's host names no region; ours does, so the signed host is put in place of it."""
    store = mock.Mock(wraps=parse_store("s3://examplebucket"), region="us-east-1", prefix="")
    store.address.side_effect = lambda key: ("https://examplebucket.s3.amazonaws.com", f"/{key}")
    signed = presign(store, KEYS, "GET", "test.txt", 86_400, at=AT)
    assert signed.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


@pytest.mark.parametrize("session", ["", "FQoGZXIvYXdzE/+=="])
@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    ("name", "endpoint", "region"),
    [
        ("s3://reports", "", "eu-central-1"),
        ("s3://re.por.ts/team-1/ci", "", "us-west-2"),
        ("s3://reports/team=1", "https://minio.example:9000", ""),
        ("s3://reports", "http://127.0.0.1:80", "garage"),
        ("s3://reports", "https://abc.r2.example:443/", "auto"),
    ],
)
def test_address_is_the_one_that_the_sdk_signs(
    name: str, endpoint: str, region: str, method: Any, session: str
) -> None:
    keys = S3Keys(KEYS.access_key_id, KEYS.secret_access_key, SecretStr(session))
    store = parse_store(name, endpoint, region)
    query = {"response-content-disposition": f"attachment; filename*=UTF-8''{NAME}"} if method == "GET" else {}
    ours = presign(store, keys, method, "run/artifact", 600, query, AT)
    theirs = sdk_signs(store, keys, method, "run/artifact", 600, query)
    assert urlsplit(ours)[:3] == urlsplit(theirs)[:3]
    assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(theirs).query)


def sdk_signs(store: Any, keys: S3Keys, method: str, key: str, seconds: int, query: dict[str, str]) -> str:
    import boto3
    from botocore.config import Config

    path_style = bool(store.endpoint) or "." in store.bucket
    client = boto3.client(
        "s3",
        endpoint_url=store.endpoint or f"https://s3.{store.region}.amazonaws.com",
        region_name=store.region,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key.get_secret_value(),
        aws_session_token=keys.session_token.get_secret_value() or None,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path" if path_style else "virtual"}),
    )
    given = {"Bucket": store.bucket, "Key": f"{store.prefix}/{key}".lstrip("/")}
    if query:
        given["ResponseContentDisposition"] = query["response-content-disposition"]
    with mock.patch("botocore.auth.get_current_datetime", return_value=AT):
        return str(client.generate_presigned_url(f"{method.lower()}_object", given, seconds))


def test_link_never_lives_longer_than_seven_days() -> None:
    signed = presign(parse_store("s3://reports"), KEYS, "GET", "a", 10**9)
    assert parse_qs(urlsplit(signed).query)["X-Amz-Expires"] == [str(LONGEST_SECONDS)]


@pytest.mark.parametrize(
    ("name", "endpoint", "region"),
    [
        ("reports", "", ""),
        ("s3://", "", ""),
        ("s3://Reports", "", ""),
        ("s3://re/../ports", "", ""),
        ("s3://reports//x", "", ""),
        ("s3://reports/a b", "", ""),
        ("s3://reports/" + "x" * 400, "", ""),
        ("s3://reports", "http://minio.example", ""),
        ("s3://reports", "https://user:word@minio.example", ""),
        ("s3://reports", "https://minio.example/path", ""),
        ("s3://reports", "ftp://minio.example", ""),
        ("s3://reports", "", "eu central"),
    ],
)
def test_place_that_cannot_be_used_is_refused(name: str, endpoint: str, region: str) -> None:
    with pytest.raises(UsageError):
        parse_store(name, endpoint, region)


def test_keys_do_not_show_themselves() -> None:
    assert "wJalr" not in repr(KEYS)
