"""Where an S3-compatible bucket is, and addresses in it that need no key of their own for a while.

Signature Version 4 in its query form, as
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html has it. It is written out here, instead of
bringing AWS's own SDK (some 80 MB of descriptions) to every runner and function; a test compares it with that SDK.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

from controlplane.errors import UsageError
from controlplane.secret import NO_SECRET, Secret

# S3 signs for no longer than this; with the keys of a session not beyond the session either.
LONGEST_SECONDS = 7 * 24 * 3_600
ALGORITHM = "AWS4-HMAC-SHA256"
DEFAULT_REGION = "us-east-1"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; the database checks the same form.
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_STORE = re.compile(rf"s3://(?P<bucket>{_BUCKET})(?:/(?P<prefix>[A-Za-z0-9_.=-]+(?:/[A-Za-z0-9_.=-]+)*))?")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class S3Keys:
    """Who signs. `session_token` belongs to keys that expire, as an assumed role has them."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret = NO_SECRET


@dataclass(frozen=True)
class S3Store:
    """`name` is how a row of `artifacts` names this place: s3://bucket or s3://bucket/prefix.

    `endpoint` is empty for AWS itself. Make one with `parse_store`, which checks all of it.
    """

    name: str
    bucket: str
    prefix: str
    endpoint: str
    region: str

    def address(self, key: str) -> tuple[str, str]:
        """(scheme://host, path) of an object: the bucket is part of the host at AWS, and of the path elsewhere."""
        full = f"{self.prefix}/{key}" if self.prefix else key
        if self.endpoint:
            return self.endpoint, f"/{self.bucket}/{full}"
        # A dot in the bucket's name does not fit the certificate of *.s3.amazonaws.com.
        if "." in self.bucket:
            return f"https://s3.{self.region}.amazonaws.com", f"/{self.bucket}/{full}"
        return f"https://{self.bucket}.s3.{self.region}.amazonaws.com", f"/{full}"


def parse_store(name: str, endpoint: str = "", region: str = "") -> S3Store:
    """Raises UsageError whose message says which of the three cannot be used."""
    found = _STORE.fullmatch(name.rstrip("/"))
    if found is None or ".." in name or len(name) > 300:
        raise UsageError(
            f"'{name[:80]}' is not s3://bucket or s3://bucket/prefix.",
            "Name the bucket in lower case, and a prefix of letters, digits, `_`, `.`, `=`, `-` and `/`.",
        )
    if region and _REGION.fullmatch(region) is None:
        raise UsageError("The region is not written as regions are.", "Write one like eu-central-1, or leave it blank.")
    return S3Store(
        name=name.rstrip("/"),
        bucket=found["bucket"],
        prefix=found["prefix"] or "",
        endpoint=_origin(endpoint),
        region=region or DEFAULT_REGION,
    )


def presign(
    store: S3Store,
    keys: S3Keys,
    method: Literal["GET", "PUT"],
    key: str,
    seconds: int,
    query: Mapping[str, str] | None = None,
    at: datetime.datetime | None = None,
) -> str:
    """An address that lets whoever has it do `method` to one object for so many seconds, LONGEST_SECONDS at most.

    `query` are further parameters that are signed, such as response-content-disposition. Nothing is asked of the
    server: that the object exists is the caller's to know.
    """
    moment = (at or datetime.datetime.now(datetime.UTC)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{store.region}/s3/aws4_request"
    origin, path = store.address(key)
    parameters = {
        **(query or {}),
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{keys.access_key_id}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(max(1, min(seconds, LONGEST_SECONDS))),
        "X-Amz-SignedHeaders": "host",
    }
    if keys.session_token.get_secret_value():
        parameters["X-Amz-Security-Token"] = keys.session_token.get_secret_value()
    asked = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in sorted(parameters.items()))
    path = quote(path, safe="/-_.~")
    request = "\n".join((method, path, asked, f"host:{urlsplit(origin).netloc}", "", "host", "UNSIGNED-PAYLOAD"))
    to_sign = "\n".join((ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = hmac.new(_signing_key(keys, scope), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{origin}{path}?{asked}&X-Amz-Signature={signature}"


def _signing_key(keys: S3Keys, scope: str) -> bytes:
    key = f"AWS4{keys.secret_access_key.get_secret_value()}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")


def _origin(endpoint: str) -> str:
    """scheme://host[:port] without a default port, as the Host header will have it; empty for AWS."""
    if not endpoint:
        return ""
    parts = urlsplit(endpoint)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
    if not is_safe or not parts.hostname or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        raise UsageError(
            "The endpoint is not an https address without a path (http is for this machine alone).",
            "Write https://host or https://host:port; links to artifacts must not travel in the clear.",
        )
    default = {"https": ":443", "http": ":80"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(default)}"
