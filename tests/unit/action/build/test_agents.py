"""The agents: what they are told, what they can reach, and how they are stopped."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from action.build.agents import AGENTS, Surroundings, choose_agent
from action.build.agents.claude.key import ClaudeKey
from action.build.agents.command import UNMETERED, CommandAgent, CommandSettings
from action.build.agents.files import FilesAgent
from action.build.agents.seam import Attempt, Task
from action.build.watch import Billed
from action.console import Console
from action.journal import Journal
from action.money import Ledger
from action.run import Run
from action.runfolder import RunFolder
from action.settings import AgentInputs, GitHubContext
from action.toolserver.rundesk import RunDesk
from action.toolserver.tools import TOOLS
from controlplane.errors import CallerError, UsageError
from controlplane.plan import Sprint
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


def test_tokens_are_whole_numbers_whatever_is_written(task: Task, area: Path) -> None:
    (task.repository / "usage").write_text('{"input_tokens": 10.7, "output_tokens": 1e3}')
    attempt = CommandAgent("cat usage > $AICD_USAGE_FILE", area / "cache").work(task)
    assert (attempt.input_tokens, attempt.output_tokens) == (10, 1000)


@pytest.mark.parametrize(
    ("said", "has_budget", "notes"),
    [
        ("true", True, (UNMETERED,)),
        ("true", False, ()),
        ("echo '{\"cost_usd\": 0}' > $AICD_USAGE_FILE", True, ()),
        ("echo '{\"output_tokens\": 7}' > $AICD_USAGE_FILE", True, ()),
    ],
)
def test_budget_that_nothing_was_told_for_is_a_note(
    task: Task, area: Path, said: str, has_budget: bool, notes: tuple[str, ...]
) -> None:
    agent = CommandAgent(said, area / "cache", CommandSettings(has_budget=has_budget))
    assert agent.work(task).notes == notes


def test_tokens_without_a_cost_are_counted_by_the_list(task: Task, area: Path) -> None:
    usage = '{"input_tokens": 1000, "output_tokens": 1000, "model": "claude-opus-5-5"}'
    ledger = Ledger("3f2b1c4d-0000-4000-8000-000000000001", 1.0)
    attempt = Billed(CommandAgent(f"echo '{usage}' > $AICD_USAGE_FILE", area / "cache"), ledger).work(task)
    assert attempt.cost_usd == float(ledger.spent("builder")) > 0


def test_what_is_handed_on_reaches_the_command_and_no_log(task: Task, area: Path) -> None:
    handed = CommandSettings(
        variables={"OPENAI_API_KEY": CANARY, "AICD_ITERATION": "9"}, redact=lambda text: text.replace(CANARY, "***")
    )
    command = 'echo "$OPENAI_API_KEY $AICD_ITERATION" > new.txt; env; printf "\\377"'
    CommandAgent(command, area / "cache", handed).work(task)
    assert (task.repository / "new.txt").read_text() == f"{CANARY} 1\n"
    printed = task.log.read_bytes()
    assert b"OPENAI_API_KEY=***" in printed
    assert CANARY.encode() not in printed
    assert printed.endswith(b"\377")


ASK_TOOLS = """\
import json, os, subprocess
[entry] = json.load(open(os.environ["AICD_MCP_CONFIG_FILE"]))["mcpServers"].values()
said = [
    {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {},
     "clientInfo": {"name": "x", "version": "1"}}},
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/call", "params": {"name": TOOL, "arguments": ARGUMENTS}},
]
server = subprocess.Popen([entry["command"], *entry["args"]], env={**os.environ, **entry["env"]}, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for one in said:
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **one}) + "\\n")
    server.stdin.flush()
    while "id" in one and json.loads(line := server.stdout.readline()).get("id") != one["id"]:
        pass
print(line, entry["env"])
server.kill()
"""


def call_tool(task: Task, area: Path, tool: str, arguments: str) -> Attempt:
    return agent_calling(area, desk_of(area), tool, arguments).work(task)


def agent_calling(area: Path, desk: RunDesk, tool: str, arguments: str) -> CommandAgent:
    script = area / "ask.py"
    script.write_text(ASK_TOOLS.replace("TOOL", repr(tool)).replace("ARGUMENTS", arguments))
    return CommandAgent(f"python3 {script}", area / "cache", CommandSettings(desk=desk))


def desk_of(area: Path) -> RunDesk:
    folder = RunFolder(area / "run")
    folder.prepare()
    run = Run(
        run_id="3f2b1c4d-0000-4000-8000-000000000001", spec_id="s", sprint_label="S1", repository="acme/p",
        remote_url="", branch="the-branch", base="x", started_at="",
    )  # fmt: skip
    journal = Journal(folder, Console(GitHubContext()), run.run_id, None)
    return RunDesk(run, SPEC, Sprint(label="S1"), journal, check=None)


def test_command_tests_itself_by_our_mcp_server(task: Task, area: Path) -> None:
    assert call_tool(task, area, "get_spec", "{}").ending == "done"
    printed = task.log.read_text()
    assert "the-branch" in printed
    assert "'AICD_TOOLS_TOKEN': '***'" in printed


def test_calls_of_a_command_are_bounded_for_the_run_and_its_check_ends_with_it(
    task: Task, area: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOOLS, "get_spec", replace(TOOLS["get_spec"], most_calls=1))
    desk = desk_of(area)
    agent = agent_calling(area, desk, "get_spec", "{}")
    for number, is_answered in ((1, True), (2, False)):
        agent.work(replace(task, iteration=number))
        assert ("the-branch" in task.log.read_text()) is is_answered
    assert desk._over.is_set()


def test_question_of_a_command_waits_for_its_answer(task: Task, area: Path) -> None:
    asked = '{"questions": [{"text": "Which colour?", "blocking": True}]}'
    attempt = call_tool(task, area, "ask_requester", asked)
    assert (attempt.ending, attempt.reason) == ("needs-input", "The requester has to answer first.")


def test_usage_file_that_is_a_link_is_not_read(task: Task, area: Path) -> None:
    (area / "else.json").write_text('{"cost_usd": 5}')
    attempt = CommandAgent(f"ln -s {area}/else.json $AICD_USAGE_FILE", area / "cache").work(task)
    assert attempt.cost_usd is None


def test_log_of_a_command_holds_no_secret(task: Task, area: Path) -> None:
    settings = CommandSettings(redact=lambda text: text.replace(CANARY, "***"))
    CommandAgent(f"echo {CANARY}; echo {CANARY} >&2", area / "cache", settings).work(task)
    assert task.log.read_text() == "***\n***\n"


def test_secrets_written_out_in_the_mcp_configuration_are_kept_from_the_start(area: Path) -> None:
    config = '{"mcpServers": {"notes": {"url": "https://notes.example/mcp", "headers": {"X-Api-Key": "literal-0123"}}}}'
    inputs = AgentInputs(agent="claude", mcp_config=config)
    kept: list[str] = []
    key = ClaudeKey("api-key", SecretStr("sk-ant-x"))
    choose_agent(inputs, SPEC, replace(surroundings(area), credential=key, keep_secret=kept.append))
    assert kept == ["literal-0123"]


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
