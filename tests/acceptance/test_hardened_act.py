"""The hardened form as a consumer calls it: three jobs of our reusable workflow, run by act on this host.

All jobs are on one machine here, so every run but one says `allow-shared-runner: true`, and its report must say so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from action.verify.account import can_switch_user
from tests.acceptance.acting import (
    ACT,
    ROOT,
    Seen,
    act_command,
    act_environment,
    copy_action,
    make_consumer,
    run_act,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.skipif(not ACT.exists(), reason="act is not installed")]

# The first is given to publish only, the second to build, never to its agent. The pattern does not match itself where a
# spy's own text is searched.
CANARY, READER = "ghs_publish_0123456789abcdefghij", "ghs_reading_0123456789abcdefghij"
PATTERN = "ghs_[a-z]*_[0-9]"
CALLER = """
name: hardened
on: workflow_dispatch
permissions: {}
jobs:
  aicd:
    permissions: {id-token: write, contents: write, pull-requests: write, checks: write, attestations: write}
    uses: ai-continuous-delivery/aicd/.github/workflows/deliver.yml@v1
    with:
      spec-path: spec.yaml
      agent: command
      agent-command: |
AGENT
      max-iterations: '1'
      timeout-minutes: 'MINUTES'
      allow-shared-runner: SHARED
      attest: ATTEST
    secrets:
      github-read-token: ${{ secrets.READER }}
      github-token: ${{ secrets.CANARY }}
"""
SPEC = """
meta: {project: calc, repo: REPOSITORY, requester_email: ada@example.com}
planning:
  epics:
    - sprints:
        - id: S1
          goals: [Subtract]
          user_stories:
            - {id: US1, as: user, want: subtract, acceptance: ["2-1 is 1"]}
          dod: DOD
"""
PRODUCT = {
    "calc/__init__.py": "def add(a, b):\n    return a + b\n",
    "tests/test_add.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
}
HONEST = """
cat >calc/sub.py <<'END'
def sub(a, b):
    return a - b
END
cat >tests/test_sub.py <<'END'
from calc.sub import sub


def test_us1_1_sub():
    assert sub(2, 1) == 1
END
"""
BROKEN = HONEST.replace("== 1", "== 7")
# Looks for the canary wherever an agent can look, and leaves what it found to the tests, which look once more.
SPY = """
seen() { cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline ~/.gitconfig ~/.config/* .git/config 2>/dev/null; env; }
seen | tr '\\0' '\\n' >all.txt
grep -c AICD_TASK_FILE all.txt >control.txt
{ grep -c 'PATTERN' all.txt; grep -rIl 'PATTERN' SCRATCH 2>/dev/null; } >leak.txt
rm all.txt
cat >tests/test_spy.py <<'END'
import glob
import os
import re


def test_no_secret_is_near():
    seen = [repr(sorted(os.environ.items()))]
    for path in [*glob.glob("/proc/[0-9]*/environ"), *glob.glob("/proc/[0-9]*/cmdline")]:
        try:
            with open(path, "rb") as file:
                seen.append(file.read().decode(errors="replace"))
        except OSError:
            pass
    assert any("PATH" in one for one in seen)
    assert not [one[:200] for one in seen if re.search("PATTERN", one)]
END
"""
STUB = """
name: stub
inputs: {name: {default: ''}, pattern: {default: ''}, path: {required: true}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {NAME: '${{ inputs.name }}', PATTERN: '${{ inputs.pattern }}', TARGET: '${{ inputs.path }}'}
      run: bash "$GITHUB_ACTION_PATH/stub.sh"
"""
ATTEST = """
name: stub
inputs: {subject-name: {required: true}, subject-digest: {required: true}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {NAME: '${{ inputs.subject-name }}', DIGEST: '${{ inputs.subject-digest }}'}
      run: mkdir -p "$AICD_TEST_STORE" && echo "$NAME $DIGEST" >"$AICD_TEST_STORE/attested"
"""
UPLOAD = 'mkdir -p "$AICD_TEST_STORE/$NAME"\ncp -r "$TARGET/." "$AICD_TEST_STORE/$NAME/"\n'
DOWNLOAD = 'mkdir -p "$TARGET"\nfor one in "$AICD_TEST_STORE"/$PATTERN; do cp -r "$one/." "$TARGET/"; done\n'


@dataclass(frozen=True)
class Place:
    """What all runs share: the published action, the GitHub double, and stubs of the artifact actions."""

    scratch: Path
    action: Path
    github: httpx.Client
    stubs: dict[str, Path]

    def consumer(self, name: str, agent: str, *, dod: str, shared: bool = True, minutes: str = "5",
                 attest: bool = False) -> Path:  # fmt: skip
        repository = {"owner": "acme", "name": name, "files": PRODUCT}
        self.github.post("/_double/repos", json=repository).raise_for_status()
        filled = {
            "AGENT": textwrap.indent(agent.strip(), " " * 8),
            "MINUTES": minutes,
            "SHARED": str(shared).lower(),
            "ATTEST": str(attest).lower(),
        }
        workflow = re.sub("|".join(filled), lambda found: filled[found.group()], CALLER)
        spec = SPEC.replace("REPOSITORY", f"acme/{name}").replace("DOD", dod)
        return make_consumer(self.scratch / name, {".github/workflows/h.yml": workflow, "spec.yaml": spec})

    def environment(self, name: str) -> dict[str, str]:
        url = str(self.github.base_url)
        store = {"AICD_TEST_STORE": str(self.scratch / f"{name}-store")}
        return {"GITHUB_API_URL": url, "AICD_GITHUB_SERVER_URL": url, **store}

    def run(self, consumer: Path) -> Seen:
        return run_act(
            consumer,
            self.action,
            self.scratch / f"{consumer.name}-act",
            secrets={"CANARY": CANARY, "READER": READER},
            environment=self.environment(consumer.name),
            stubs=self.stubs,
        )

    def pulls(self, name: str) -> list[dict[str, Any]]:
        answer = self.github.get(f"/repos/acme/{name}/pulls", headers={"Authorization": f"Bearer {READER}"})
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    scratch = Path(tempfile.mkdtemp(prefix="aicd-hard-", dir="/var/tmp"))
    scratch.chmod(0o755)
    (scratch / "github").mkdir(
        mode=0o700
    )  # the double writes down every token it knows; GitHub's disk is nobody's here
    environment = {**os.environ, "AICD_GITHUB_DOUBLE_PORT": "0", "AICD_GITHUB_DOUBLE_STATE": str(scratch / "github")}
    process = subprocess.Popen(
        [sys.executable, "-m", "local.doubles.github"],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = json.loads(process.stdout.readline())
    with httpx.Client(base_url=address["ready"]["url"], timeout=30) as client:
        for token in (CANARY, READER):
            client.post("/_double/tokens", json={"token": token}).raise_for_status()
        yield Place(scratch, copy_action(scratch / "action"), client, make_stubs(scratch / "stubs"))
        assert client.get("/_double/problems").json() == []
    process.terminate()
    process.wait(10)
    process.stdout.close()
    shutil.rmtree(scratch, ignore_errors=True)


def make_stubs(folder: Path) -> dict[str, Path]:
    """One stub for each artifact action that our workflow names, by the very commit it names."""
    workflow = (ROOT / ".github" / "workflows" / "deliver.yml").read_text(encoding="utf-8")
    stubs = {}
    for used in set(re.findall(r"uses: (actions/(?:up|down)load-artifact@[0-9a-f]{40})", workflow)):
        target = folder / used.split("@")[0].split("/")[1]
        target.mkdir(parents=True)
        (target / "action.yml").write_text(STUB)
        (target / "stub.sh").write_text(UPLOAD if "upload" in used else DOWNLOAD)
        stubs[used] = target
    [attest] = re.findall(r"uses: (actions/attest-build-provenance@[0-9a-f]{40})", workflow)
    (folder / "attest").mkdir()
    (folder / "attest" / "action.yml").write_text(ATTEST)
    stubs[attest] = folder / "attest"
    assert len(stubs) == 3
    return stubs


def jobs(seen: Seen) -> dict[str, str]:
    return {str(line["jobID"]): str(line["jobResult"]) for line in seen.lines if "jobResult" in line}


def test_hardened_form_publishes_and_shows_its_token_to_nobody_else(place: Place) -> None:
    # Without users of their own the agent can read what this test's user wrote, act's file of secrets among it.
    readable = str(place.scratch) if can_switch_user() else "/nonexistent"
    agent = HONEST + SPY.replace("PATTERN", PATTERN).replace("SCRATCH", readable)
    consumer = place.consumer("calc", agent, dod="{coverage_min: 0.5, tests_min: 3}", attest=True)
    seen = place.run(consumer)
    everything = ("build", "verify", "publish", "attest")
    assert jobs(seen) == dict.fromkeys(everything, "success"), seen.log
    attested = (place.scratch / "calc-store" / "attested").read_text()
    assert re.fullmatch(r"evidence-bundle\.zip sha256:[0-9a-f]{64}\n", attested)
    [pull] = place.pulls("calc")
    assert pull["draft"] is True
    assert "met on one persistent runner: reduced" in seen.summaries
    bare = next((place.scratch / "github").rglob("calc.git"))
    left = {
        name: subprocess.run(
            ["git", "--git-dir", str(bare), "show", f"{pull['head']['sha']}:{name}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for name in ("leak.txt", "control.txt")
    }
    assert left["leak.txt"] == "0"
    assert int(left["control.txt"]) > 0
    assert CANARY not in seen.log
    handed = [path for path in (place.scratch / "calc-store").rglob("*") if path.is_file()]
    assert {path.name for path in handed} >= {"manifest.json", "change.pack", "evidence.json", "spec.json"}
    assert not [path for path in handed if CANARY.encode() in path.read_bytes() or READER.encode() in path.read_bytes()]


def test_jobs_that_meet_on_one_runner_refuse_before_anything_is_run(place: Place) -> None:
    consumer = place.consumer("shared", HONEST, dod="{tests_min: 1}", shared=False)
    seen = place.run(consumer)
    assert jobs(seen) == {"build": "success", "verify": "failure", "publish": "failure"}, seen.log
    assert "the same persistent runner as build" in seen.log
    assert "persistent runner as build and verify" in seen.summaries
    assert "Measuring" not in seen.log
    assert place.pulls("shared") == []


@pytest.mark.parametrize(
    ("name", "agent", "dod", "minutes", "said"),
    [
        # Tests fail, and a tool that a criterion needs is missing.
        ("failing", BROKEN, "{unit_pass: true, lighthouse_min: 90}", "5", ("unit\\_pass", "lighthouse\\_min")),
        ("uncollected", "rm tests/test_add.py; echo x = 1 >calc/x.py", "{tests_min: 1}", "5", ("tests\\_min",)),
        ("endless", "sleep 300", "{tests_min: 1}", "0.03", ("in time",)),
    ],
    ids=["failing", "uncollected", "endless"],
)
def test_hardened_form_that_fails_says_why_within_its_time(
    place: Place, name: str, agent: str, dod: str, minutes: str, said: tuple[str, ...]
) -> None:
    began = time.monotonic()
    seen = place.run(place.consumer(name, agent, dod=dod, minutes=minutes))
    assert time.monotonic() - began < 90
    built = name != "endless"
    assert jobs(seen).get("publish") == "failure", seen.log
    assert jobs(seen).get("verify", "skipped") == ("success" if built else "skipped")
    assert [words for words in said if words not in seen.summaries] == []
    assert [pull["title"].startswith("[not done]") for pull in place.pulls(name)] == ([True] if built else [])


def test_hardened_form_that_is_cancelled_ends_soon_and_leaves_nothing_running(place: Place) -> None:
    consumer = place.consumer("cancelled", "echo begun >&2; exec sleep 3217", dod="{tests_min: 1}")
    scratch = place.scratch / "cancelled-act"
    command = act_command(
        place.action, scratch, {"CANARY": CANARY, "READER": READER}, place.environment("cancelled"), place.stubs
    )
    with subprocess.Popen(
        command,
        cwd=consumer,
        env=act_environment(scratch),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: bool(sleepers()), 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) != 0
    wait_until(lambda: not sleepers(), 10)
    assert place.pulls("cancelled") == []


def sleepers() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == b"sleep\x003217\x00":
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def wait_until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)
