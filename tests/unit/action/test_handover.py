"""What one job hands to the next: whole or refused, whatever a hostile job put into the folder."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from action.console import Console
from action.context import Context
from action.costs import spent_usd
from action.gitrepo.objects import ObjectsRefused, read_objects, write_objects
from action.handover import MANIFEST, HandoverRefused, orders_digest, pack, unpack
from action.money import Ledger, Usage
from action.needs import read_needs
from action.run import BuildOutcome, Failure, Run
from action.runfolder import RunFolder
from action.settings import GitHubContext, read_settings
from action.sharedrunner import finds_mark, identity, leave_mark
from action.verbs import handover, receive
from controlplane.change import EMPTY_TREE, Change
from controlplane.errors import AicdError, UsageError
from controlplane.evidence import Evidence, EvidenceFile, TestTotals

SECRET = "sk-0123456789abcdef"
RUN_ID = "11111111-2222-4333-8444-555555555555"
ONE = '<testsuite><testcase classname="a" name="b"/></testsuite>'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A run folder after build."""
    folder = tmp_path / "run"
    (folder / "agent-logs").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "agent-logs" / "1.log").write_text(f"key {SECRET}\n")
    (folder / "private.json").write_text("not to be handed on")
    return folder


def packed(source: Path, target: Path) -> str:
    return pack(source, target, "build", "77", "", (SECRET,))


def test_what_is_handed_over_arrives_without_secrets_and_nothing_else_does(source: Path, tmp_path: Path) -> None:
    (source / "agent-logs" / "link.log").symlink_to("/etc/passwd")
    (source / "agent-logs" / "..log").write_text("hidden")
    (source / "agent-logs" / "-rf *.log").write_text("a name of an agent's making")
    digest = packed(source, tmp_path / "over")
    manifest = unpack(tmp_path / "over", tmp_path / "next", "build", digest, "77")
    assert sorted(entry.name for entry in manifest.files) == ["agent-logs/1.log", "run.json"]
    arrived = {path.name for path in (tmp_path / "next").rglob("*") if path.is_file()}
    assert arrived == {"1.log", "run.json"}
    assert (tmp_path / "next" / "agent-logs" / "1.log").read_text() == "key ***\n"


def test_what_planning_and_building_cost_reaches_the_job_that_reports(source: Path, tmp_path: Path) -> None:
    ledger = Ledger(RUN_ID, 10, None, source / "ledger.jsonl")
    ledger.add("planner", "m", Usage(), cost_usd=0.25)
    ledger.add("builder", "m", Usage(), cost_usd=0.5)
    unpack(tmp_path / "over", tmp_path / "next", "build", packed(source, tmp_path / "over"), "77")
    settings = read_settings({"AICD_RUN_DIR": str(tmp_path / "next")})
    context = Context("publish", settings, RunFolder(tmp_path / "next"), Console(settings.github))
    assert spent_usd(context) == 0.75


def entry(name: str, data: bytes = b"x", **other: Any) -> dict[str, Any]:
    return {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **other}


def hostile(folder: Path, *entries: dict[str, Any], **other: Any) -> str:
    """A manifest of the attacker's, with the hash that belongs to it."""
    document = {"format": 1, "stage": "build", "ci_run": "77", "commit": "", "files": list(entries), **other}
    text = json.dumps(document)
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


HOSTILE: dict[str, dict[str, Any]] = {
    "parent": entry("agent-logs/../../escaped"),
    "absolute": entry("/tmp/escaped"),
    "backslash": entry("agent-logs\\..\\escaped"),
    "empty-part": entry("agent-logs//escaped"),
    "hidden": entry("agent-logs/.git"),
    "nul": entry("agent-logs/a\x00b"),
    "unexpected": entry("verdict.json"),
    "of-another-job": entry("evidence.json"),
    "folder-itself": entry("agent-logs"),
    "missing": entry("spec.json"),
    "negative": entry("run.json", size=-1),
    "giant": entry("run.json", size=2**40),
    "large": entry("run.json", size=100 * 2**20),
    "smaller-than-it-is": entry("run.json", size=0),
    "other-hash": entry("run.json", sha256="0" * 64),
}


@pytest.mark.parametrize("case", sorted(HOSTILE))
def test_hostile_entry_is_refused_and_nothing_is_written_outside(case: str, tmp_path: Path) -> None:
    over, target = tmp_path / "over", tmp_path / "deep" / "next"
    digest = hostile(over, HOSTILE[case])
    (over / "run.json").write_bytes(b"x")
    with pytest.raises(HandoverRefused):
        unpack(over, target, "build", digest, "77")
    assert not list(tmp_path.rglob("escaped"))
    assert not [path for path in target.rglob("*") if path.is_file()]


@pytest.mark.parametrize("case", ["file", "folder", "manifest", "pipe"])
def test_link_or_pipe_in_place_of_a_file_is_refused_at_once(case: str, source: Path, tmp_path: Path) -> None:
    over = tmp_path / "over"
    digest = packed(source, over)
    victim = {"file": over / "run.json", "folder": over / "agent-logs", "manifest": over / MANIFEST}.get(case)
    if victim is None:
        (over / "run.json").unlink()
        os.mkfifo(over / "run.json")
    else:
        shutil.move(victim, tmp_path / "kept")
        victim.symlink_to(tmp_path / "kept")
    with pytest.raises(HandoverRefused):
        unpack(over, tmp_path / "next", "build", digest, "77")


def test_too_many_files_and_one_file_twice_are_refused(tmp_path: Path) -> None:
    many = [entry(f"agent-logs/{number}.log") for number in range(2001)]
    with pytest.raises(HandoverRefused):
        unpack(tmp_path / "over", tmp_path / "next", "build", hostile(tmp_path / "over", *many), "77")
    twice = hostile(tmp_path / "over", entry("run.json"), entry("run.json"))
    with pytest.raises(HandoverRefused, match="twice"):
        unpack(tmp_path / "over", tmp_path / "next", "build", twice, "77")


@pytest.mark.parametrize(
    ("stage", "ci_run", "digest"),
    [("build", "78", None), ("verify", "77", None), ("build", "77", "0" * 64), ("build", "77", "")],
    ids=["other-workflow-run", "other-stage", "other-manifest", "no-hash"],
)
def test_handover_that_the_workflow_does_not_vouch_for_is_refused(
    source: Path, tmp_path: Path, stage: Any, ci_run: str, digest: str | None
) -> None:
    made = packed(source, tmp_path / "over")
    with pytest.raises(HandoverRefused):
        unpack(tmp_path / "over", tmp_path / "next", stage, made if digest is None else digest, ci_run)


# The change as objects


def run_git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Three commits on main; the last two are a change."""
    folder = tmp_path / "clone"
    folder.mkdir()
    run_git(folder, "init", "-q", "-b", "main")
    for number in range(3):
        (folder / f"{number}.py").write_text(f"x = {number}\n")
        run_git(folder, "add", "-A")
        run_git(folder, "commit", "-qm", f"Commit {number}")
    return folder


def commit(clone: Path, name: str) -> str:
    return run_git(clone, "rev-parse", name)


@pytest.mark.parametrize("base", ["HEAD~2", "empty"])
def test_change_arrives_as_objects_with_its_base_and_no_history(clone: Path, tmp_path: Path, base: str) -> None:
    start = EMPTY_TREE if base == "empty" else commit(clone, base)
    write_objects(clone / ".git", start, commit(clone, "HEAD"), tmp_path / "p")
    change = read_objects(tmp_path / "p", tmp_path / "bare", start, commit(clone, "HEAD"), "topic")
    assert change.files == (("0.py",) if base == "empty" else ()) + ("1.py", "2.py")
    assert run_git(tmp_path / "bare", "show", f"{change.head}:2.py") == "x = 2"
    assert run_git(tmp_path / "bare", "for-each-ref") == ""


def test_change_that_is_cut_off_or_not_from_the_base_is_refused(clone: Path, tmp_path: Path) -> None:
    base, head = commit(clone, "HEAD~1"), commit(clone, "HEAD")
    write_objects(clone / ".git", base, head, tmp_path / "p")
    (tmp_path / "short").write_bytes((tmp_path / "p").read_bytes()[:-30])
    run_git(clone, "checkout", "-q", "--orphan", "other")
    run_git(clone, "commit", "-qm", "Elsewhere")
    other = commit(clone, "HEAD")
    write_objects(clone / ".git", base, other, tmp_path / "stray")
    wrong = {"short": (base, head), "p": (base, "f" * 40), "stray": (base, other)}
    for number, (name, (start, end)) in enumerate(wrong.items()):
        with pytest.raises(ObjectsRefused):
            read_objects(tmp_path / name, tmp_path / f"bare{number}", start, end, "topic")
    with pytest.raises(ObjectsRefused):
        read_objects(tmp_path / "p", tmp_path / "bare9", "--upload-pack=x", head, "topic")


# Runners and needs


def test_machine_is_recognised_within_a_workflow_run_and_not_beyond() -> None:
    first = GitHubContext(repository="a/b", run_id="1")
    assert identity(first) == identity(GitHubContext(repository="a/b", run_id="1", run_attempt=2)) != ""
    assert identity(first) != identity(GitHubContext(repository="a/b", run_id="2"))
    assert identity(GitHubContext(repository="a/b", run_id="1", runner_environment="github-hosted")) == ""


def test_mark_of_an_earlier_job_is_found_and_old_ones_go(tmp_path: Path) -> None:
    github = GitHubContext(repository="a/b", run_id="1")
    assert not finds_mark(github, tmp_path)
    (tmp_path / "aicd-job-old").touch()
    os.utime(tmp_path / "aicd-job-old", (0, 0))
    leave_mark(github, tmp_path)
    assert finds_mark(github, tmp_path)
    assert not finds_mark(GitHubContext(repository="a/b", run_id="2"), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("text", ["[]", "{", "1", '{"build": {"outputs": {"orders": ["x"]}}}', "[" * 50_000])
def test_needs_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_needs(text)


# The verb


class Jobs:
    """Build's folder as it was handed over, and a way to receive it."""

    def __init__(self, tmp_path: Path, clone: Path) -> None:
        self.root, self.clone = tmp_path, clone
        self.base, self.head = commit(clone, "HEAD~2"), commit(clone, "HEAD")
        self.build = RunFolder(tmp_path / "build-run")
        self.build.prepare()
        run_git(tmp_path, "clone", "-q", "--bare", str(clone), str(self.build.repository))
        self.build.save("run", self.run())
        self.build.save("build", BuildOutcome(agent="command", ended="met", reason="met"))
        self.build.save("change", Change(repository=self.build.repository, base=self.base, head=self.head))
        self.orders = orders_digest(self.build.path)
        self.outputs: dict[str, dict[str, str]] = {"build": {"orders": self.orders}, "verify": {}}

    def run(self) -> Run:
        return Run(
            run_id=RUN_ID, spec_id=RUN_ID, sprint_label="S1", repository="acme/calc", remote_url="http://evil/",
            branch="topic", base=self.base, started_at="2026-11-21T10:00:00+00:00",
        )  # fmt: skip

    def context(self, mode: str, folder: RunFolder, **more: str) -> Context:
        needs = {name: {"result": "success", "outputs": outputs} for name, outputs in self.outputs.items()}
        settings = read_settings(
            {
                "AICD_MODE": mode,
                "AICD_HANDOVER": str(self.root / "over"),
                "AICD_NEEDS": json.dumps(needs),
                "AICD_RUN_DIR": str(folder.path),
                "AICD_ALLOW_SHARED_RUNNER": "true",
                "RUNNER_ENVIRONMENT": "github-hosted",
                "GITHUB_RUN_ID": "77",
                **more,
            }
        )
        verb = "handover" if folder is self.build or mode == "build" else "receive"
        return Context(verb, settings, folder, Console(settings.github, stream=io.StringIO()))

    def hand_over_build(self) -> None:
        output = self.root / "output"
        output.write_text("")
        handover.run(self.context("build", self.build, GITHUB_OUTPUT=str(output)))
        self.outputs["build"]["handover"] = output.read_text().splitlines()[1]

    def hand_over_verify(self, evidence: Evidence, head: str = "", report: str = ONE) -> None:
        measured = RunFolder(self.root / "verify-run")
        measured.prepare()
        measured.save("evidence", evidence)
        measured.save_text("reports/junit.xml", report)
        digest = pack(measured.path, self.root / "over" / "verify", "verify", "77", head or self.head)
        self.outputs["verify"]["handover"] = digest

    def receive(self, mode: str, **more: str) -> RunFolder:
        folder = RunFolder(self.root / f"{mode}-received")
        receive.run(self.context(mode, folder, **more))
        return folder


MEASURED = Evidence(
    files=(EvidenceFile(path="reports/junit.xml", kind="junit", tests=TestTotals(total=1, passed=1)),),
)


@pytest.fixture
def jobs(tmp_path: Path, clone: Path) -> Jobs:
    made = Jobs(tmp_path, clone)
    made.hand_over_build()
    return made


def test_publish_receives_both_and_pushes_only_where_its_own_job_says(jobs: Jobs) -> None:
    jobs.hand_over_verify(MEASURED)
    folder = jobs.receive("publish")
    change, started = folder.load("change", Change), folder.load("run", Run)
    assert change is not None
    assert started is not None
    assert (change.head, change.repository) == (jobs.head, folder.repository)
    assert started.remote_url == "https://github.com/acme/calc.git"
    assert folder.load("failure", Failure) is None
    assert folder.load("evidence", Evidence) == MEASURED
    assert '"phase": "TESTING"' in (folder.path / "events.jsonl").read_text()


def test_publish_without_measurements_is_a_failure_that_says_so(jobs: Jobs) -> None:
    failure = jobs.receive("publish").load("failure", Failure)
    assert failure is not None
    assert (failure.phase, failure.code) == ("TESTING", "not-measured")


def test_what_may_not_be_pushed_is_found_again_whatever_build_said(tmp_path: Path, clone: Path) -> None:
    (clone / ".github").mkdir()
    (clone / ".github" / "evil.yml").write_text("on: push\n")
    run_git(clone, "add", "-A")
    run_git(clone, "commit", "-qm", "Steer")
    jobs = Jobs(tmp_path, clone)
    jobs.hand_over_build()
    jobs.hand_over_verify(MEASURED)
    outcome = jobs.receive("publish").load("build", BuildOutcome)
    assert outcome is not None
    assert [refusal.path for refusal in outcome.refusals] == [".github/evil.yml"]


Change_of = Callable[[Jobs], None]


def other_orders(jobs: Jobs) -> None:
    jobs.build.save("run", jobs.run().model_copy(update={"base": commit(jobs.clone, "HEAD~1")}))
    jobs.hand_over_build()
    jobs.hand_over_verify(MEASURED)


def other_commit_measured(jobs: Jobs) -> None:
    jobs.hand_over_verify(MEASURED, head=jobs.base)


def evidence_beyond_its_report(jobs: Jobs) -> None:
    jobs.hand_over_verify(MEASURED, report=ONE.replace("/></", "><failure/></testcase></"))


def nothing_from_build(jobs: Jobs) -> None:
    del jobs.outputs["build"]["handover"]


def another_run(jobs: Jobs) -> None:
    jobs.build.save("run", jobs.run().model_copy(update={"run_id": RUN_ID.replace("1", "9")}))
    jobs.hand_over_build()


@pytest.mark.parametrize(
    "spoil",
    [other_orders, other_commit_measured, evidence_beyond_its_report, nothing_from_build, another_run],
    ids=lambda spoil: spoil.__name__,
)
def test_publish_refuses_what_does_not_fit_together(jobs: Jobs, spoil: Change_of) -> None:
    spoil(jobs)
    with pytest.raises(AicdError) as caught:
        jobs.receive("publish", AICD_RUN_ID=RUN_ID)
    assert caught.value.code in ("handover-refused", "interrupted")


def test_run_that_build_told_nothing_of_is_still_finished_where_somebody_waits(jobs: Jobs) -> None:
    nothing_from_build(jobs)
    controlled = {
        "AICD_RUN_ID": RUN_ID,
        "AICD_SUPABASE_URL": "http://127.0.0.1:9",
        "AICD_SUPABASE_PUBLISHABLE_KEY": "k",
        "AICD_SUPABASE_TOKEN": "t",
    }
    with pytest.raises(AicdError):
        jobs.receive("publish", **controlled)
    started = RunFolder(jobs.root / "publish-received").load("run", Run)
    assert started is not None
    assert (started.run_id, started.controlled, started.remote_url) == (RUN_ID, True, "")


def test_shared_runner_is_refused_before_anything_is_taken_over(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "leave_mark", lambda github: None)
    here = {"RUNNER_ENVIRONMENT": "self-hosted", "GITHUB_REPOSITORY": str(jobs.root)}
    jobs.outputs["build"]["runner"] = identity(GitHubContext(repository=str(jobs.root), run_id="77"))
    with pytest.raises(receive.SharedRunner):
        jobs.receive("verify", AICD_ALLOW_SHARED_RUNNER="false", **here)
    assert not (jobs.root / "verify-received" / "run.json").exists()
    allowed = jobs.receive("publish", **here).load("run", Run)
    assert allowed is not None
    assert allowed.shared_runner
