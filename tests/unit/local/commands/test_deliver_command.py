"""`aicd deliver`: what is missing is said in the command's own words, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.cli import run
from local.commands.deliver import _failure, as_options

SPEC = """\
meta: {project: greeter, repo: grace/greeter}
planning:
  epics:
    - id: E1
      sprints:
        - {id: greet, goals: [Greet people], dod: {tests_min: 1}}
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "letter.txt").write_text("Hello,\n\nplease greet people.\n\nrepository: grace/greeter\n")
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AICD_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ("spec.yaml", 1, ("Nobody is there to build", "--agent-command", "--agent claude", "ANTHROPIC_API_KEY")),
        ("letter.txt", 1, ("The specification has no plan", "--agent claude")),
        ("spec.yaml --agent gpt", 2, ("There is no agent 'gpt'", "claude, files, command, none")),
        ("spec.yaml --agent command", 2, ("has no program", "--agent-command")),
    ],
)
def test_what_is_missing_is_said_in_options(
    arguments: str, code: int, told: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["deliver", *arguments.split(), "--repo", "repo"]) == code
    said = capsys.readouterr().err
    assert [word for word in told if word not in said] == [], said
    assert "anthropic-api-key" not in said


def test_failure_of_the_action_is_told_with_what_it_wrote_down(tmp_path: Path) -> None:
    (tmp_path / "failure.json").write_text(
        '{"code": "budget", "message": "The budget is used up.", "fix": "Raise `max-budget-usd`, or `agent: command`."}'
    )
    told = _failure(tmp_path, 2)
    assert str(told) == "The budget is used up. Fix: Raise `--max-budget-usd`, or `--agent command`."
    assert (told.code, told.exit_code, _failure(tmp_path, 4).exit_code) == ("budget", 1, 4)


def test_key_of_the_action_is_a_variable_of_the_shell() -> None:
    assert as_options("Set `anthropic-api-key`.") == "Set ANTHROPIC_API_KEY."
