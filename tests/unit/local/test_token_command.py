"""`aicd token`: what it prints, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest

from local.cli import run
from local.commands.token import parse_ttl
from local.gateway.keys import generate_signing_jwk

PROJECT = "5f0c6f0e-6a0f-5c5e-9d53-2f6c1a7d9b11"


@pytest.fixture
def signing_key(tmp_path: Path) -> str:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(generate_signing_jwk()))
    return str(path)


@pytest.fixture(autouse=True)
def no_key_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AICD_SIGNING_JWK", raising=False)
    monkeypatch.delenv("DB_URL", raising=False)


def test_json_is_one_document_with_what_is_needed_to_revoke(
    signing_key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "token",
        "mint",
        "--role",
        "runner",
        "--project",
        PROJECT,
        "--ttl",
        "15m",
        "--signing-key",
        signing_key,
    ]
    assert run([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"token", "jti", "expires_at"}
    claims = jwt.decode(document["token"], options={"verify_signature": False})
    assert (claims["role"], claims["project_id"], claims["jti"]) == ("aicd_runner", PROJECT, document["jti"])
    assert claims["exp"] - claims["iat"] == 900


def test_token_alone_goes_to_stdout(signing_key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", "mint", "--role", "functions", "--signing-key", signing_key]) == 0
    captured = capsys.readouterr()
    claims = jwt.decode(captured.out.strip(), options={"verify_signature": False})
    assert claims["jti"] in captured.err
    assert captured.out.strip() not in captured.err


def test_key_is_taken_from_the_environment(
    signing_key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AICD_SIGNING_JWK", Path(signing_key).read_text())
    assert run(["token", "mint", "--role", "functions"]) == 0
    assert capsys.readouterr().out.count(".") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["mint", "--role", "functions"], 2, "AICD_SIGNING_JWK"),
        (["mint", "--role", "admin"], 2, "admin"),
        (["mint", "--role", "runner", "--signing-key", "KEY"], 1, "--project"),
        (["mint", "--role", "runner", "--project", "x", "--signing-key", "KEY"], 2, "uuid"),
        (["mint", "--role", "functions", "--ttl", "soon", "--signing-key", "KEY"], 2, "15m"),
        (["mint", "--role", "functions", "--ttl", "9999d", "--signing-key", "KEY"], 1, "366"),
        (["mint", "--role", "functions", "--signing-key", "/nowhere"], 2, "/nowhere"),
        (["revoke", "j-1"], 2, "DB_URL"),
    ],
)
def test_bad_call_names_its_fix_and_prints_no_trace(
    signing_key: str, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    assert run(["token", *[signing_key if one == "KEY" else one for one in arguments]]) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(("text", "seconds"), [("900", 900), ("900s", 900), ("15m", 900), ("2h", 7200), ("1d", 86400)])
def test_time_to_live_is_read_in_each_unit(text: str, seconds: int) -> None:
    assert parse_ttl(text) == seconds
