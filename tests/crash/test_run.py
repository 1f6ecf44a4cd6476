"""The action is killed around each of its effects; then GitHub runs the job again, or nobody does."""

from __future__ import annotations

import shutil
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.crash.children import EFFECTS, RUN, Death, Life, Nursery
from tests.crash.world import REPO, World

pytestmark = pytest.mark.database


@dataclass
class Job:
    """One run's CI job on a runner: `attempt` counts GitHub's re-runs; each has a folder of its own."""

    world: World
    nursery: Nursery
    made: dict[str, str]
    ci_run_id: str
    area: Path

    @property
    def run_id(self) -> str:
        return self.made["run_id"]

    def act(self, verb: str = "deliver", attempt: int = 1, die: Death = 0, watched: tuple[str, ...] = ()) -> Life:
        folder = self.area / f"{self.ci_run_id}-{attempt}"
        folder.mkdir(exist_ok=True)
        world = self.world
        environment = {
            "AICD_MODE": "deliver",
            "AICD_RUN_ID": self.run_id,
            "AICD_SPEC_ID": self.made["spec_id"],
            "AICD_SUPABASE_URL": world.api_url,
            "AICD_SUPABASE_PUBLISHABLE_KEY": world.publishable_key,
            "AICD_SUPABASE_TOKEN": world.runner_token(self.run_id),
            "AICD_RUN_DIR": str(folder / "run"),
            "GITHUB_API_URL": world.github.url,
            "GITHUB_SERVER_URL": world.github.url,
            "GITHUB_REPOSITORY": REPO,
            "GITHUB_RUN_ID": self.ci_run_id,
            "GITHUB_RUN_ATTEMPT": str(attempt),
            "GITHUB_WORKSPACE": str(folder),
        }
        arguments = {"environment": environment, "folder": str(folder)}
        return self.nursery.act(verb, arguments, die, watched)

    def row(self) -> dict[str, Any]:
        (row,) = self.world.rows("select * from public.runs where id = %s", self.run_id)
        return row


@pytest.fixture
def open_job(clean: World, nursery: Nursery) -> Iterator[Callable[[], Job]]:
    area = clean.folder / f"jobs-{uuid.uuid4().hex[:8]}"
    area.mkdir(mode=0o711)

    def open_one() -> Job:
        made = clean.ingest()
        assert nursery.call("dispatch").status == 200
        (row,) = clean.rows("select ci_run_id from public.runs where id = %s", made["run_id"])
        return Job(clean, nursery, made, row["ci_run_id"], area)

    yield open_one
    shutil.rmtree(area, ignore_errors=True)


def assert_one_of_each(job: Job) -> None:
    """One result, one branch, one pull request, each artifact once and stored, one report mail."""
    world, row = job.world, job.row()
    assert row["result"] == "PASSED", row["summary_json"]
    artifacts = world.rows("select name, storage_path from public.artifacts where run_id = %s", job.run_id)
    names = Counter(artifact["name"] for artifact in artifacts)
    assert set(names.values()) == {1}, names
    assert {"summary.json", "report.html", "verdict.json", "change.patch"} <= set(names)
    for artifact in artifacts:
        stored = "select count(*) from storage.objects where bucket_id = 'artifacts' and name = %s"
        assert world.count(stored, artifact["storage_path"]) == 1
    assert [pull["head"]["ref"] for pull in pulls(world) if job.made["spec_id"][:8] in pull["head"]["ref"]] == [
        row["branch"]
    ]
    assert branches(world)[row["branch"]] == row["commit_sha"]
    opened = "select count(*) from public.status_events where run_id = %s and phase = 'PR_OPENED'"
    assert world.count(opened, job.run_id) == 1
    assert world.count("select count(*) from public.runs where sprint_id = %s", row["sprint_id"]) == 1
    assert reports(job) == 1


def reports(job: Job) -> int:
    """How many report mails went out."""
    assert job.nursery.call("notify").status == 200
    key = f"report:{job.run_id}"
    (row,) = job.world.rows("select id::text, state from public.outbox where idempotency_key = %s", key)
    assert row["state"] == "DONE"
    return Counter(job.world.notices())[row["id"]]


def pulls(world: World) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {world.environment['AICD_GITHUB_TOKEN']}"}
    query = {"state": "all", "per_page": "100"}
    answer = world.github.client.get(f"/repos/{REPO}/pulls", headers=headers, params=query)
    return list(answer.raise_for_status().json())


def branches(world: World) -> dict[str, str]:
    owner, name = REPO.split("/")
    bare = world.github.post("repos", owner=owner, name=name)["path"]
    listed = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads"],
        cwd=bare, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(line.split() for line in listed.stdout.splitlines())


def all_effects(whole: Life) -> list[tuple[str, int]]:
    """Every call outside, before it and after it, each with its how-manieth time."""
    seen: Counter[str] = Counter()
    deaths = []
    for _, what in whole.effects:
        seen[what] += 1
        deaths.append((what, seen[what]))
    return deaths


# One of each kind, at its worst moment: done outside, unknown here.
FEW = (
    ("after http POST rest/v1/rpc/start_run_v1", 1),
    ("after http POST repos/acme/greeting/pulls", 1),
    ("after http POST rest/v1/rpc/record_artifacts_v1", 1),
    ("after http POST rest/v1/rpc/finish_run_v1", 1),
)


def test_run_killed_around_any_effect_ends_once_when_github_runs_the_job_again(
    open_job: Callable[[], Job], chaos: bool, tell: Callable[[str], None]
) -> None:
    first = open_job()
    whole = first.act(watched=EFFECTS)
    assert whole.status == 0
    assert_one_of_each(first)
    deaths: list[Death] = [*all_effects(whole)]
    assert set(FEW) <= set(deaths), "the moments below are no longer there"
    if chaos:
        steps = open_job().act(watched=RUN).steps
        deaths += range(1, steps, max(1, steps // 100))
    chosen = deaths if chaos else [*FEW]
    killed = left = 0
    for death in chosen:
        job = open_job()
        killed += job.act(die=death, watched=EFFECTS if isinstance(death, tuple) else RUN).killed
        assert job.act(attempt=2).status == 0, death
        assert_one_of_each(job)
        left += leftovers(job)
    assert killed >= 0.9 * len(chosen)
    tell(
        f"N = {len(deaths)} moments; killed at {killed}; one result each; {left} objects of killed attempts left behind"
    )


def leftovers(job: Job) -> int:
    """Stored bytes that no row names any more: a killed attempt's, which the next one made anew."""
    return job.world.count(
        "select count(*) from storage.objects where bucket_id = 'artifacts' and name like %s"
        " and not exists (select from public.artifacts where storage_path = objects.name)",
        f"{job.run_id}/%",
    )


def test_run_killed_for_good_is_closed_and_its_requester_hears_of_it(
    open_job: Callable[[], Job], tell: Callable[[str], None]
) -> None:
    job = open_job()
    assert job.act(die=("after git push", 1), watched=EFFECTS).killed
    assert job.nursery.call("tick").status == 200
    assert job.row()["result"] is None, "a run may be silent for hours"
    time.sleep(1.1)
    assert job.nursery.call("tick", AICD_DEAD_RUN_SECONDS="1").status == 200
    row = job.row()
    assert (row["result"], row["summary_json"]["error"]["code"]) == ("FAILED", "run-died")
    assert reports(job) == 1
    assert job.act(attempt=2).status == 0, "a run that was closed has nothing left to do"
    assert job.row()["result"] == "FAILED"
    tell("closed by tick, one report mail; a later attempt changes nothing")


def test_publish_that_was_killed_is_no_pass(open_job: Callable[[], Job]) -> None:
    """SIGKILL of one step is not the end of the job: GitHub goes on with those that always run."""
    job = open_job()
    for verb in ("start", "plan", "build", "verify", "gate"):
        assert job.act(verb).status == 0, verb
    assert job.act("publish", die=("before http POST repos/acme/greeting/pulls", 1), watched=EFFECTS).killed
    assert job.act("finish").status == 1
    summary = job.row()["summary_json"]
    assert (job.row()["result"], summary["failure"]["code"]) == ("FAILED", "interrupted")
    assert "`publish`" in summary["failure"]["message"]
    assert reports(job) == 1


def test_second_ci_run_is_not_let_in_and_an_older_attempt_neither(open_job: Callable[[], Job]) -> None:
    job = open_job()
    assert job.act("start").status == 0
    assert Job(job.world, job.nursery, job.made, "999", job.area).act("start").status == 0
    assert job.row()["ci_run_id"] == job.ci_run_id
    assert job.act("start", attempt=3).status == 0
    assert job.act("start", attempt=2).status == 0
    assert job.row()["ci_attempt"] == 3
    assert not (job.area / "999-1" / "run" / "run.json").exists()
    assert not (job.area / f"{job.ci_run_id}-2" / "run" / "run.json").exists()
