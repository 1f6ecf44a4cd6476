"""A build is broken off: its job is cancelled, or its runner is lost. Another runner, with an empty home, goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from action.verify.options import default_cache_dir
from local.doubles.anthropic import AnthropicDouble, Call, Conversation, Step, build_anthropic, serving
from tests.crash.world import REPO, ROOT, World

pytestmark = pytest.mark.database

SPEC = """\
meta: {project: greeting, repo: acme/greeting}
planning:
  epics:
    - sprints:
        - id: S1
          goals: [People can be greeted.]
          user_stories: [{id: US1, as: visitor, want: a greeting, acceptance: [greet returns a greeting]}]
          dod: {tests_min: 1}
"""
# What GitHub waits after SIGINT before it is less polite.
PATIENCE_SECONDS = 7.0


@dataclass
class Runner:
    """A machine with nothing on it: its home and its run folder are empty. `sign` is where an agent says that it is
    at work."""

    world: World
    area: Path
    run_id: str
    ci_run_id: str

    def __post_init__(self) -> None:
        for folder, mode in ((self.area, 0o755), (self.area / "home", 0o755), (self.sign.parent, 0o777)):
            folder.mkdir()
            folder.chmod(mode)

    @property
    def sign(self) -> Path:
        return self.area / "signs" / "at-work"

    @property
    def folder(self) -> Path:
        return self.area / "run"

    def begin(self, verb: str, **inputs: str) -> subprocess.Popen[str]:
        world = self.world
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.area / "home"),
            "AICD_CACHE_DIR": str(default_cache_dir()),
            "AICD_RUN_ID": self.run_id,
            "AICD_SUPABASE_URL": world.api_url,
            "AICD_SUPABASE_PUBLISHABLE_KEY": world.publishable_key,
            "AICD_SUPABASE_TOKEN": world.runner_token(self.run_id),
            "AICD_GITHUB_TOKEN": world.environment["AICD_GITHUB_TOKEN"],
            "AICD_RUN_DIR": str(self.folder),
            "GITHUB_SERVER_URL": world.github.url,
            "GITHUB_REPOSITORY": REPO,
            "GITHUB_RUN_ID": self.ci_run_id,
            **inputs,
        }
        command = [sys.executable, "-P", "-m", "action", verb]
        return subprocess.Popen(
            command, env=environment, cwd=self.area, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def act(self, *verbs: str, **inputs: str) -> int:
        """The last one's exit code; the ones before must do."""
        code = 0
        for verb in verbs:
            assert code == 0
            process = self.begin(verb, **inputs)
            said, _ = process.communicate(timeout=120)
            code = process.returncode
            print(said)
        return code

    def wait_for_sign(self, process: subprocess.Popen[str], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not self.sign.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.sign.exists(), process.communicate()[0]

    def read(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        return document


@dataclass
class Sprint:
    """The only one of its specification, and the runners that come to it."""

    world: World
    area: Path
    spec_id: str

    def runner(self, name: str) -> Runner:
        """Of the run that is open now."""
        (row,) = self.world.rows("select id::text, ci_run_id from public.runs where result is null")
        return Runner(self.world, self.area / name, row["id"], row["ci_run_id"] or uuid.uuid4().hex)

    def try_again(self) -> None:
        (row,) = self.world.rows("select id::text from public.sprints where spec_id = %s", self.spec_id)
        with self.world.administration() as operator:
            operator.retry_sprint(row["id"])

    def lose_runner(self) -> None:
        """Its silence is noticed, as tick does it."""
        with psycopg.connect(self.world.database.superuser_dsn, autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(
                "update public.runs set bound_at = bound_at - interval '1 hour',"
                " started_at = started_at - interval '1 hour', last_seen_at = last_seen_at - interval '1 hour'"
            )
        assert self.world.store().close_dead_runs(60) == 1


@pytest.fixture
def sprint(clean: World) -> Iterator[Sprint]:
    area = clean.folder / f"broken-{uuid.uuid4().hex[:8]}"
    area.mkdir(mode=0o755)
    yield Sprint(clean, area, clean.ingest(SPEC)["spec_id"])
    shutil.rmtree(area, ignore_errors=True)


def files_of(runner: Runner) -> set[str]:
    return set(runner.read("change")["files"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancelled_job_keeps_what_the_agent_did_and_another_try_goes_on(sprint: Sprint, number: signal.Signals) -> None:
    first = sprint.runner("one")
    assert first.act("start", "plan") == 0
    command = f"echo half > half.txt; touch {first.sign}; sleep 61"
    build = first.begin("build", AICD_AGENT="command", AICD_AGENT_COMMAND=command)
    first.wait_for_sign(build)
    began = time.monotonic()
    build.send_signal(number)
    said, _ = build.communicate(timeout=30)
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert (build.returncode, first.read("failure")["code"]) == (4, "cancelled"), said
    assert "goes on with what was done" in first.read("failure")["fix"]
    assert subprocess.run(["pgrep", "-f", "sleep 61"], capture_output=True, check=False).returncode == 1
    assert first.act("finish") == 1
    sprint.try_again()
    second = sprint.runner("two")
    assert second.run_id != first.run_id
    more = {"AICD_AGENT": "command", "AICD_AGENT_COMMAND": "test -f half.txt && echo whole > whole.txt"}
    assert second.act("start", "plan", "build", AICD_MAX_ITERATIONS="1", **more) == 0
    assert files_of(second) == {"half.txt", "whole.txt"}


@pytest.mark.parametrize("is_rerun", [False, True], ids=["another-run", "re-run-on-github"])
def test_runner_that_is_lost_before_its_verdict_is_gone_on_from_without_another_attempt(
    sprint: Sprint, is_rerun: bool
) -> None:
    """Its attempts are used up; what they made is judged at the end of the next run, and then it is over."""
    first = sprint.runner("one")
    works = {"AICD_AGENT": "command", "AICD_MAX_ITERATIONS": "1"}
    assert first.act("start", "plan", "build", AICD_AGENT_COMMAND="echo a > a.txt", **works) == 0
    if not is_rerun:
        sprint.lose_runner()
        sprint.try_again()
    second = sprint.runner("two")
    assert (second.run_id == first.run_id) is is_rerun
    works["GITHUB_RUN_ATTEMPT"] = "2"
    assert second.act("start", "plan", "build", AICD_AGENT_COMMAND="echo b > b.txt", **works) == 0
    assert (files_of(second), second.read("build")["iterations"]) == ({"a.txt"}, [])
    assert second.act("verify", "gate") in (0, 1)
    second.act("finish")
    (row,) = sprint.world.rows("select state, session_json from public.sprints")
    assert row == {"state": "FAILED", "session_json": None}


# --- the real Claude Code


@pytest.fixture(scope="module")
def anthropic() -> Iterator[tuple[AnthropicDouble, str]]:
    from local.doubles.anthropic import Scenario

    double = build_anthropic(Scenario())
    with serving(double) as url:
        yield double, url


class Play:
    """What the model says: two parts, and in the midst of the second one everything hangs until `is_over`."""

    def __init__(self, sign: Path) -> None:
        self.is_over = False
        self.sign = sign
        self.said: Counter[str] = Counter()

    def __call__(self, talk: Conversation) -> Step:
        step = self.next_step(talk)
        self.said[step.say] += 1
        return step

    def next_step(self, talk: Conversation) -> Step:
        spoken = str(talk.document["messages"])
        if "First part." not in spoken:
            return Step(say="First part.", call=(write("first.txt"),))
        if "First part is done." not in spoken:
            return Step(say="First part is done.")
        if not self.is_over:
            hang = Call(name="Bash", input={"command": f"touch {self.sign}; sleep 20"})
            return Step(say="I hang.", call=(write("half.txt"), hang))
        if "Second part." not in spoken:
            return Step(say="Second part.", call=(write("second.txt"),))
        return Step(say="Second part is done.")


def write(name: str) -> Call:
    return Call(name="Write", input={"file_path": "{folder}/" + name, "content": "made\n"})


def claude(url: str) -> dict[str, str]:
    return {"AICD_AGENT": "claude", "AICD_ANTHROPIC_API_KEY": "sk-ant-x", "ANTHROPIC_BASE_URL": url,
            "AICD_MAX_ITERATIONS": "2"}  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_claude_goes_on_elsewhere_in_the_same_session_and_nothing_is_paid_twice(
    sprint: Sprint, anthropic: tuple[AnthropicDouble, str], number: signal.Signals
) -> None:
    """A lost runner loses the attempt that it was in, a cancelled job nothing."""
    double, url = anthropic
    first = sprint.runner("one")
    play = Play(first.sign)
    double.set_script(play)
    assert first.act("start", "plan") == 0
    build = first.begin("build", **claude(url))
    first.wait_for_sign(build)
    began = time.monotonic()
    build.send_signal(number)
    build.communicate(timeout=30)
    assert time.monotonic() - began < PATIENCE_SECONDS
    if number == signal.SIGKILL:
        sprint.lose_runner()
    else:
        assert first.act("finish") == 1
    (before,) = sprint.world.rows("select session_json ->> 'session' as id from public.sprints")
    play.is_over = True
    sprint.try_again()
    second = sprint.runner("two")
    assert second.act("start", "plan", "build", **claude(url)) == 0
    kept = {"first.txt", "second.txt"} | ({"half.txt"} if number == signal.SIGINT else set())
    assert files_of(second) == kept
    outcome = second.read("build")
    assert (outcome["session"], [one["number"] for one in outcome["iterations"]]) == (before["id"], [2])
    once = ("First part.", "First part is done.", "I hang.", "Second part.", "Second part is done.")
    assert play.said == dict.fromkeys(once, 1)
    assert sprint.world.count("select count(*) from public.ledger") == sum(play.said.values())
