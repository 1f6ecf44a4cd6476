"""`aicd mail check`: shape of the answer and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.cli import run

MAIL = (
    b"Authentication-Results: mx.google.com; dmarc=pass header.from=good.org\r\nFrom: Ann <ann@good.org>\r\n"
    b"Message-ID: <1@good.org>\r\n\r\nPlease build a shop.\r\n"
)


def test_proven_mail_answers_in_the_contracts_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.eml"
    file.write_bytes(MAIL)
    assert run(["mail", "check", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "sender": "ann@good.org",
        "accepted": True,
        "reason": "ok",
        "thread": "<1@good.org>",
        "specs": [{"name": "mail text", "format": "text"}],
        "body_text": "Please build a shop.",
        "problems": [],
    }


def test_mail_of_another_server_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.eml"
    file.write_bytes(MAIL)
    assert run(["mail", "check", str(file), "--trusted-authserv-id", "mx.ours.net"]) == 1
    assert capsys.readouterr().out.startswith("refused: ")


def test_mail_that_is_no_file_is_a_usage_error(tmp_path: Path) -> None:
    assert run(["mail", "check", str(tmp_path / "missing.eml")]) == 2


BROKEN = (
    b"From: Ann <ann@good.org>\r\nMessage-ID: <1@good.org>\r\n\r\n"
    b"meta:\r\n  project: shop\r\n  repo: ann/shop\r\nplanning:\r\n  epics: [\r\n"
)


def test_hand_written_mail_is_told_how_it_is_proven_and_what_is_wrong_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "m.eml"
    file.write_bytes(BROKEN)
    assert run(["mail", "check", str(file)]) == 1
    said = capsys.readouterr().out
    assert "A mail saved from Gmail" in said
    assert "`aicd send FILE`" in said
    assert "problem: mail text: line " in said
    assert run(["mail", "check", str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"sender", "accepted", "reason", "thread", "specs", "body_text", "problems"}
    assert [problem.startswith("mail text: line ") for problem in told["problems"]] == [True]


def test_mail_without_a_sender_is_told_what_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.eml"
    file.write_bytes(MAIL.replace(b"From: Ann <ann@good.org>\r\n", b""))
    assert run(["mail", "check", str(file)]) == 1
    assert "fix:     Write `From: NAME <ADDRESS>`" in capsys.readouterr().out
