"""The agents: what they are told, what they can reach, and how they are stopped."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from action.build.agents import AGENTS, Surroundings, choose_agent
from action.build.agents.claude.key import ClaudeKey
from action.build.agents.command import CommandAgent
from action.build.agents.files import FilesAgent
from action.build.agents.seam import Task
from action.money import Ledger
from action.settings import AgentInputs
from controlplane.errors import CallerError, UsageError
from controlplane.spec import Spec, SpecFile

CANARY = "ghs_canary_0123456789"
SPEC = Spec(project="p", repo="acme/p", format="yaml", sha256="0" * 64)


@pytest.fixture
def task(area: Path) -> Task:
    repository = area / "repository"
    repository.mkdir()
    (repository / "kept.txt").write_text("kept\n")
    return Task("# The task\n", "", 1, repository, area / "scratch", area / "agent.log", 20.0)


KEY = ClaudeKey("api-key", SecretStr("sk-ant-x"))


def surroundings(area: Path, credential: ClaudeKey | None = None) -> Surroundings:
    return Surroundings(area, Ledger("3f2b1c4d-0000-4000-8000-000000000001", 1.0), credential=credential)


def run(task: Task, command: str, area: Path) -> tuple[str, str, str]:
    """(ending, reason, what it printed)."""
    attempt = CommandAgent(command, area / "cache").work(task)
    return attempt.ending, attempt.reason, task.log.read_text(errors="replace")


def test_command_finds_its_task_and_leaves_its_work(task: Task, area: Path) -> None:
    ending, _, printed = run(task, 'cat "$AICD_TASK_FILE"; echo "$AICD_ITERATION" > new.txt', area)
    assert (ending, printed) == ("done", "# The task\n")
    assert (task.repository / "new.txt").read_text() == "1\n"


def test_command_gets_feedback_only_from_the_second_attempt_on(task: Task, area: Path) -> None:
    assert run(task, 'echo "${AICD_FEEDBACK_FILE-none}"', area)[2] == "none\n"
    again = Task(task.text, "coverage_min: failed\n", 2, task.repository, task.scratch, task.log, 20.0)
    assert run(again, 'cat "$AICD_FEEDBACK_FILE"', area)[2] == "coverage_min: failed\n"


def test_command_that_looks_for_secrets_finds_none(task: Task, area: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment, the environments of all processes, git's configuration and home folders."""
    ours = ("AICD_GITHUB_TOKEN", "GITHUB_TOKEN", "AICD_SUPABASE_TOKEN", "AICD_ANTHROPIC_API_KEY")
    for name in (*ours, "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        monkeypatch.setenv(name, CANARY)
    holder = subprocess.Popen(["sleep", "30"], env={"SECRET": CANARY, "PATH": os.environ["PATH"]})
    look = "env; for f in /proc/[0-9]*/environ; do tr '\\0' '\\n' < $f; done 2>/dev/null; git config --list; ls -a ~"
    try:
        ending, _, printed = run(task, look, area)
    finally:
        holder.kill()
        holder.wait()
    assert ending == "done"
    if os.geteuid() == 0:
        assert CANARY not in printed
    else:
        assert printed.count(CANARY) <= 1  # the other process of the same user, which is not ours to hide


def test_command_that_never_ends_is_stopped_with_all_its_children(task: Task, area: Path) -> None:
    brief = Task(task.text, "", 1, task.repository, task.scratch, task.log, 0.7)
    began = time.monotonic()
    ending, reason, _ = run(brief, "(setsid sleep 63 &); sleep 63", area)
    assert (ending, "time limit" in reason) == ("timed-out", True)
    assert time.monotonic() - began < 5
    assert subprocess.run(["pgrep", "-f", "sleep 63"], capture_output=True, check=False).returncode == 1


def test_command_that_ends_leaves_no_process_behind(task: Task, area: Path) -> None:
    assert run(task, "(setsid sleep 64 > /dev/null 2>&1 &)", area)[0] == "done"
    assert subprocess.run(["pgrep", "-f", "sleep 64"], capture_output=True, check=False).returncode == 1


def test_command_that_prints_without_end_is_bounded_on_disk(task: Task, area: Path) -> None:
    ending, _, _ = run(task, "head -c 50000000 /dev/zero", area)
    assert ending == "done"
    assert task.log.stat().st_size <= 4_000_000


def test_command_that_fails_says_how(task: Task, area: Path) -> None:
    assert run(task, "echo no >&2; exit 7", area) == ("failed", "The command ended with 7.", "no\n")


@pytest.mark.parametrize(
    ("written", "cost"),
    [
        ('{"cost_usd": 0.5, "model": "m"}', 0.5),
        ('{"cost_usd": -1}', None),
        ('{"cost_usd": true}', None),
        ('{"cost_usd": NaN}', None),
        ("[1]", None),
        ("{", None),
    ],
)
def test_usage_is_taken_only_when_it_is_an_amount(task: Task, area: Path, written: str, cost: float | None) -> None:
    (task.repository / "usage").write_text(written)
    attempt = CommandAgent("cat usage > $AICD_USAGE_FILE", area / "cache").work(task)
    assert attempt.cost_usd == cost


def test_usage_file_that_is_a_link_is_not_read(task: Task, area: Path) -> None:
    (area / "else.json").write_text('{"cost_usd": 5}')
    attempt = CommandAgent(f"ln -s {area}/else.json $AICD_USAGE_FILE", area / "cache").work(task)
    assert attempt.cost_usd is None


def test_files_of_the_spec_are_written_as_they_are(task: Task) -> None:
    FilesAgent((SpecFile(path="a/b/c.txt", content="ü\r\n"), SpecFile(path="kept.txt", content="new"))).work(task)
    assert (task.repository / "a" / "b" / "c.txt").read_bytes() == "ü\r\n".encode()
    assert (task.repository / "kept.txt").read_text() == "new"


@pytest.mark.parametrize("path", ["out/x", "link", "../x", "/tmp/x", "kept.txt/x", ".git/config", "folder"])
def test_file_whose_way_leads_elsewhere_is_refused(task: Task, area: Path, path: str) -> None:
    (area / "outside").mkdir()
    (task.repository / "out").symlink_to(area / "outside")
    (task.repository / "link").symlink_to(area / "outside" / "new")
    (task.repository / "folder").mkdir()
    with pytest.raises(CallerError):
        FilesAgent((SpecFile(path=path, content="x"),)).work(task)
    assert list((area / "outside").iterdir()) == []


@pytest.mark.parametrize(
    ("inputs", "key", "files", "name"),
    [
        (AgentInputs(), None, (SpecFile(path="a", content=""),), "files"),
        (AgentInputs(agent_command="x"), None, (SpecFile(path="a", content=""),), "command"),
        (AgentInputs(agent="none"), None, (), "none"),
        (AgentInputs(), KEY, (SpecFile(path="a", content=""),), "files"),
        (AgentInputs(), KEY, (), "claude"),
    ],
)
def test_agent_without_a_wish_is_the_one_that_is_there(
    area: Path, inputs: AgentInputs, key: ClaudeKey | None, files: tuple[SpecFile, ...], name: str
) -> None:
    given = surroundings(area, key)
    assert choose_agent(inputs, SPEC.model_copy(update={"files": files}), given).name == name


@pytest.mark.parametrize(
    "inputs", [AgentInputs(), AgentInputs(agent="claud"), AgentInputs(agent="command"), AgentInputs(agent="claude")]
)
def test_agent_that_is_not_there_is_named_with_the_fix(area: Path, inputs: AgentInputs) -> None:
    with pytest.raises(UsageError) as caught:
        choose_agent(inputs, SPEC, surroundings(area))
    assert caught.value.fix


def test_every_agent_is_in_the_table_under_its_own_name(area: Path) -> None:
    for name, make in AGENTS.items():
        assert make(AgentInputs(agent_command="x"), SPEC, surroundings(area, KEY)).name == name
