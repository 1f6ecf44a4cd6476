"""Addresses that carry their own permission, for a while."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from storage3.exceptions import StorageApiError
from storage3.types import CreateSignedUploadUrlOptions

from local.gateway.errors import StorageError
from local.gateway.signing import Signer, StorageToken
from supabase import Client

from .conftest import ALICE, Stack, http

TEXT: Any = {"content-type": "text/plain"}


@pytest.fixture
def key(alice: Client) -> str:
    """The key of an object of Alice's, made for this test."""
    key = f"{ALICE}/{uuid.uuid4()}"
    alice.storage.from_("private").upload(key, b"content", TEXT)
    return key


def test_signed_url_needs_nothing_else(alice: Client, key: str) -> None:
    url = alice.storage.from_("private").create_signed_url(key, 60, {"download": "näme.txt"})["signedURL"]
    answer = http.get(str(url))
    assert answer.content == b"content"
    assert "filename*=UTF-8''n%C3%A4me.txt" in answer.headers["content-disposition"]


def test_signed_url_expires(alice: Client, key: str) -> None:
    url = str(alice.storage.from_("private").create_signed_url(key, 1)["signedURL"])
    assert http.get(url).status_code == 200
    time.sleep(2.1)
    assert http.get(url).json()["error"] == "InvalidJWT"


def test_signed_url_opens_only_its_object(alice: Client, key: str) -> None:
    bucket = alice.storage.from_("private")
    bucket.upload(f"{key}.other", b"other", TEXT)
    url = str(bucket.create_signed_url(key, 60)["signedURL"])
    assert http.get(url.replace(f"{key}?", f"{key}.other?")).json()["error"] == "InvalidSignature"


@pytest.mark.parametrize("tamper", ["", "x", "e30.e30.e30"])
def test_tampered_token_is_refused(alice: Client, key: str, tamper: str) -> None:
    url = str(alice.storage.from_("private").create_signed_url(key, 60)["signedURL"])
    base, _, token = url.partition("?token=")
    header, payload, signature = token.split(".")
    forged = tamper or f"{header}.{payload}.{signature[::-1]}"
    assert http.get(f"{base}?token={forged}").status_code == 400
    assert http.get(base).status_code == 400


def test_callers_token_is_no_signature(gateway: Stack, alice: Client, key: str) -> None:
    token = gateway.token(role="service_role", url=f"private/{key}", purpose="download")
    answer = http.get(f"{gateway.url}/storage/v1/object/sign/private/{key}?token={token}")
    assert answer.json()["error"] == "InvalidJWT"


def test_signature_is_no_callers_token(gateway: Stack, alice: Client, key: str) -> None:
    token = str(alice.storage.from_("private").create_signed_url(key, 60)["signedURL"]).partition("?token=")[2]
    headers = {"apikey": gateway.publishable_key, "Authorization": f"Bearer {token}"}
    assert http.get(f"{gateway.url}/rest/v1/notes", headers=headers).status_code == 401


def test_many_urls_name_what_is_missing(alice: Client, key: str) -> None:
    found, missing = alice.storage.from_("private").create_signed_urls([key, f"{key}.none"], 60)
    assert http.get(str(found["signedURL"])).content == b"content"
    assert (missing["signedURL"], missing["path"]) == (None, f"{key}.none")
    assert missing["error"]


@pytest.mark.parametrize("seconds", [0, -5])
def test_life_must_be_positive(alice: Client, key: str, seconds: int) -> None:
    with pytest.raises(StorageApiError):
        alice.storage.from_("private").create_signed_url(key, seconds)


def test_signed_upload_writes_once(gateway: Stack, alice: Client, stranger: Client) -> None:
    key = f"{ALICE}/{uuid.uuid4()}"
    bucket = alice.storage.from_("private")
    signed = bucket.create_signed_upload_url(key)
    outside = stranger.storage.from_("private")
    outside.upload_to_signed_url(key, signed["token"], b"sent", TEXT)
    assert bucket.download(key) == b"sent"
    again: Any = TEXT | {"x-upsert": "true"}
    with pytest.raises(StorageApiError) as caught:
        outside.upload_to_signed_url(key, signed["token"], b"again", again)
    assert caught.value.code == "Duplicate"
    assert http.put(signed["signed_url"], content=b"bare").json()["error"] == "Duplicate"


def test_signed_upload_may_be_made_repeatable(alice: Client, stranger: Client, key: str) -> None:
    signed = alice.storage.from_("private").create_signed_upload_url(key, CreateSignedUploadUrlOptions(upsert="true"))
    for content in (b"two", b"three"):
        stranger.storage.from_("private").upload_to_signed_url(key, signed["token"], content, TEXT)
    assert alice.storage.from_("private").download(key) == b"three"


def test_signed_upload_keeps_to_the_buckets_limits(alice: Client, stranger: Client) -> None:
    key = f"{ALICE}/{uuid.uuid4()}"
    signed = alice.storage.from_("small").create_signed_upload_url(key)
    for content, options in ((b"x" * 1001, TEXT), (b"x", {"content-type": "application/zip"})):
        with pytest.raises(StorageApiError):
            stranger.storage.from_("small").upload_to_signed_url(key, signed["token"], content, options)
    assert not alice.storage.from_("small").exists(key)


def test_upload_and_download_tokens_are_not_exchangeable(alice: Client, gateway: Stack, key: str) -> None:
    bucket = alice.storage.from_("private")
    upload = bucket.create_signed_upload_url(key, CreateSignedUploadUrlOptions(upsert="true"))["token"]
    download = str(bucket.create_signed_url(key, 60)["signedURL"]).partition("?token=")[2]
    base = f"{gateway.url}/storage/v1/object"
    assert http.get(f"{base}/sign/private/{key}?token={upload}").json()["error"] == "InvalidSignature"
    assert (
        http.put(f"{base}/upload/sign/private/{key}?token={download}", content=b"x").json()["error"]
        == "InvalidSignature"
    )
    assert bucket.download(key) == b"content"


def test_signed_upload_expires(gateway: Stack) -> None:
    signer = Signer(gateway.jwk)
    token = signer.sign_storage_url(StorageToken(purpose="upload", url="private/x", exp=int(time.time()) - 1))
    with pytest.raises(StorageError):
        signer.verify_storage_url(token, purpose="upload", url="private/x")
    assert (
        http.put(f"{gateway.url}/storage/v1/object/upload/sign/private/x?token={token}", content=b"x").status_code
        == 400
    )
