"""Logs: one JSON object a line, one correlation id, and no secret in any of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from controlplane.logs import HIDDEN, bind_correlation, configure_logs, hide_secret, redact

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJyb2xlIjoiYWljZCJ9.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def clean_context() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_line_names_component_level_time_and_correlation(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("dispatch")
    bind_correlation("c-1")
    structlog.get_logger().info("row finished", outbox_id="o-1")
    (line,) = lines(capsys)
    assert (line["event"], line["component"], line["correlation_id"], line["level"], line["outbox_id"]) == (
        "row finished", "dispatch", "c-1", "info", "o-1",
    )  # fmt: skip
    assert line["timestamp"].endswith("Z")


def test_later_correlation_replaces_the_earlier_one(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("x")
    bind_correlation("c-1")
    bind_correlation("c-2")
    structlog.get_logger().warning("hello")
    assert lines(capsys)[0]["correlation_id"] == "c-2"


def test_line_break_in_a_value_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("x")
    structlog.get_logger().info("a\nb", subject="x\r\n{}")
    assert len(lines(capsys)) == 1


def test_trace_is_logged_without_the_secret_in_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("x")
    try:
        raise ValueError(f"refused with Bearer {JWT}")
    except ValueError:
        structlog.get_logger().exception("crashed")
    (line,) = lines(capsys)
    assert "ValueError" in line["exception"]
    assert JWT not in json.dumps(line)


@pytest.mark.parametrize(
    "text",
    [
        JWT,
        f"Authorization: Bearer {JWT}",
        "bearer c2VjcmV0LXRva2VuLTEyMw==",
        "key sb_secret_abcDEF123 used",
        "sk-ant-api03-abc_DEF-123",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "github_pat_11ABCDEFG0abcdefghij_KLMNOP",
        "ya29.a0AfH6SMBx-abc_123",
        "postgresql://postgres:hunter2secret@127.0.0.1:5432/postgres",
        f"https://x.supabase.co/storage/v1/object/sign/a/b?token={JWT}&download=x",
        "https://reports.s3.eu-central-1.amazonaws.com/r/a?X-Amz-Expires=9&X-Amz-Signature=5e6c9da1f0c1b2d3",
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----",
    ],
)
def test_text_that_looks_like_a_secret_is_hidden(text: str) -> None:
    clean = redact(text)
    assert HIDDEN in clean
    for secret in (JWT, "hunter2secret", "sb_secret_abcDEF123", "sk-ant-api03", "ghp_0123", "11ABCDEFG0", "MHcCAQEE",
                   "c2VjcmV0LXRva2VuLTEyMw", "ya29.a0", "5e6c9da1f0c1b2d3"):  # fmt: skip
        assert secret not in clean


@pytest.mark.parametrize(
    "name", ["token", "supabase_token", "api-key", "apikey", "password", "Authorization", "X-Aicd-Signature",
             "signing_jwk", "client_secret", "credentials"],
)  # fmt: skip
def test_field_named_like_a_secret_is_hidden_at_any_depth(name: str) -> None:
    assert redact({"outer": [{name: "plain words"}]}) == {"outer": [{name: HIDDEN}]}


@pytest.mark.parametrize(
    "value",
    [
        {"tokens": 12},
        "a token was refused",
        {"input_tokens": 40, "cost_usd": 0.5},
        "https://example.com/a?b=c",
        None,
        1.5,
    ],
)
def test_ordinary_values_stay_as_they_are(value: Any) -> None:
    assert redact(value) == value


def test_registered_secret_is_hidden_wherever_it_turns_up() -> None:
    hide_secret("correct horse battery")
    assert redact({"note": "it said: correct horse battery!"}) == {"note": f"it said: {HIDDEN}!"}


def test_short_text_is_not_registered() -> None:
    hide_secret("the")
    assert redact("the end") == "the end"


def test_bytes_and_endless_nesting_are_bounded() -> None:
    deep: list[Any] = []
    inner = deep
    for _ in range(1000):
        inner.append([])
        inner = inner[0]
    assert len(str(redact(deep))) < 100
    assert redact(b"\x00" * 1000) == "[1000 bytes]"
