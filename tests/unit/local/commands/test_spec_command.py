"""`aicd spec`: shape of the answer, exit codes, lines for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controlplane.specfile import spec_schema
from local.cli import run

GOOD = (
    "meta:\n  project: Shop\n  repo: acme/shop\nplanning: {epics: [{sprints: [{id: s1, user_stories: [{id: US1}]}]}]}\n"
)


def test_valid_spec_answers_in_the_contracts_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD)
    assert run(["spec", "check", str(file), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == ["valid", "format", "sprints", "stories", "problems", "notes"]
    assert (answer["valid"], answer["format"], answer["sprints"], answer["stories"]) == (True, "yaml", 1, 1)


def test_invalid_spec_names_line_and_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD.replace("Shop", "1"))
    assert run(["spec", "check", "--json", str(file)]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert list(problem) == ["path", "line", "column", "message"]
    assert (problem["path"], problem["line"], problem["column"]) == ("meta.project", 2, 12)
    assert run(["spec", "check", str(file)]) == 1
    assert f"{file}:2:12: 'project' should be text" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_spec_that_is_no_file_is_a_usage_error(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["spec", "check", str(tmp_path / name)]) == 2
    assert "Fix:" in capsys.readouterr().err


def test_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["spec", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == spec_schema()


LETTER = "repository: acme/shop\n\nThe page greets people.\nMessage-ID: is a header, too.\n"
MAIL = "From: a@example.org\r\nSubject: x\r\n y\r\nMessage-ID: <1@example.org>\r\n\r\nThe page greets people.\r\n"


@pytest.mark.parametrize(("name", "text"), [("m.eml", LETTER), ("m.txt", MAIL)])
def test_mail_is_no_specification_and_has_a_command_of_its_own(
    tmp_path: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(text.encode())
    assert run(["spec", "check", str(file)]) == 2
    assert f"aicd mail check {file}" in capsys.readouterr().err
    letter = tmp_path / "letter.txt"
    letter.write_text(LETTER)
    assert run(["spec", "check", str(letter)]) == 0
