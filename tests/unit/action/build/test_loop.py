"""The repair loop, with agents and judges of our own making on a real repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from action.build.agents.seam import Attempt, Task
from action.build.job import BuildJob, BuildLimits, Judged, Progress
from action.build.loop import build_change
from action.console import Console
from action.gitrepo.clone import Wish, fetch_repository
from action.gitrepo.git import Remote, text
from action.gitrepo.trailers import Trailers
from action.gitrepo.workspace import prepare_workspace
from action.journal import Journal
from action.run import BuildOutcome, Run
from action.runfolder import RunFolder
from action.settings import GitHubContext
from controlplane.change import Change
from controlplane.errors import OutsideError
from controlplane.evidence import Evidence, EvidenceFile, TestCase
from controlplane.plan import AcceptanceLine, Sprint, Story
from controlplane.spec import Spec
from controlplane.verdict import Criterion, Verdict
from tests.unit.action.conftest import run_git

Judge = Callable[[Change, int, float], Judged]
RUN_ID = "3f2b1c4d-0000-4000-8000-000000000001"
SECRET = "ghs_canary_a1b2c3d4e5"
STORY = Story(id="US1", want="subtract", acceptance=(AcceptanceLine(id="US1.1", text="2-1 is 1"),))
SPRINT = Sprint(label="S1", goals=("Subtract",), stories=(STORY,))
SPEC = Spec(project="calc", repo="acme/calc", format="yaml", sha256="0" * 64)


class Script:
    """An agent that does one prepared thing per attempt, and keeps what it was told."""

    name = "script"
    repeats = True

    def __init__(self, *steps: Callable[[Path], None], attempt: Attempt | None = None) -> None:
        self._steps = steps
        self._attempt = attempt or Attempt(ending="done", cost_usd=0.5)
        self.told: list[Task] = []

    def work(self, task: Task) -> Attempt:
        self.told.append(task)
        self._steps[min(task.iteration, len(self._steps)) - 1](task.repository)
        return self._attempt


def write(name: str, content: str = "x\n") -> Callable[[Path], None]:
    def act(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)

    return act


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def nothing(_root: Path) -> None:
    return


def judge_by(*files: str) -> Judge:
    """Met when the change holds all the files."""

    def judge(change: Change, _number: int, _seconds: float) -> Judged:
        there = set(text(change.repository, "ls-tree", "-r", "--name-only", change.head).splitlines())
        criteria = tuple(
            Criterion(
                id=f"has.{name}",
                required=True,
                actual=name in there,
                status="passed" if name in there else "failed",
                reason=f"The file {name} is missing.",
                evidence=(f"looked for {name}",),
            )
            for name in files
        )
        broken = TestCase(node_id="t.py::test_x", outcome="failed", message="assert 1 == 2 # word for word")
        return Judged(
            Verdict(criteria=criteria), Evidence(files=(EvidenceFile(path="j", kind="junit", cases=(broken,)),))
        )

    return judge


Loop = Callable[..., tuple[BuildOutcome, Change | None]]


@pytest.fixture
def loop(area: Path, origin: Path) -> Loop:
    folder = RunFolder(area / "run")
    folder.prepare()
    own = Trailers(run=RUN_ID, spec="spec", sprint="S1")
    point = fetch_repository(Remote(str(origin)), folder.repository, Wish(branch="aicd/x", branch_is_named=False), own)
    run = Run(
        run_id=RUN_ID, spec_id="spec", sprint_label="S1", repository="acme/calc", remote_url=str(origin),
        branch=point.branch, base=point.base, target=point.target, started_at="2026-11-21T00:00:00+00:00",
    )  # fmt: skip
    prepare_workspace(folder.repository, area / "workspace", point.base, point.branch)

    def call(agent: Script, judge: Judge, **limits: Any) -> tuple[BuildOutcome, Change | None]:
        chosen = {"iterations": 3, "seconds": 100.0, "changed_lines": 1000, **limits}
        names = ("clock", "ask", "watch", "begin", "dialogue", "keep", "secrets")
        given = {name: chosen.pop(name) for name in names if name in chosen}
        job = BuildJob(
            run=run, spec=SPEC, sprint=SPRINT, repository=folder.repository, workspace=area / "workspace",
            scratch=area / "scratch", logs=area / "logs", limits=BuildLimits(**chosen), agent=agent, judge=judge,
            journal=Journal(folder, Console(GitHubContext()), RUN_ID, None), **given,
        )  # fmt: skip
        return build_change(job)

    return call


def test_first_attempt_that_meets_the_dod_is_the_last(loop: Loop) -> None:
    outcome, change = loop(Script(write("a")), judge_by("a"))
    assert (outcome.ended, [one.cost_usd for one in outcome.iterations]) == ("met", [0.5])
    assert change is not None
    assert change.files == ("a",)


def test_failing_criteria_go_back_word_for_word_with_evidence(loop: Loop) -> None:
    agent = Script(write("a"), write("b"))
    outcome, _ = loop(agent, judge_by("a", "b"))
    assert (outcome.ended, [one.verdict for one in outcome.iterations]) == ("met", ["FAILED", "PASSED"])
    assert agent.told[0].feedback == ""
    for words in ("has.b", "The file b is missing.", "looked for b", "t.py::test_x", "assert 1 == 2 # word for word"):
        assert words in agent.told[1].feedback
    assert "has.a" not in agent.told[1].feedback


def test_task_holds_goals_acceptance_ids_and_dod(loop: Loop) -> None:
    agent = Script(write("a"))
    loop(agent, judge_by("a"))
    for words in ("Subtract", "US1.1: 2-1 is 1", '"unit_pass": true', ".github/"):
        assert words in agent.told[0].text


def test_attempts_end_at_the_limit_and_the_last_is_left_to_the_final_judgement(loop: Loop) -> None:
    judged: list[int] = []

    def judge(change: Change, number: int, seconds: float) -> Judged:
        judged.append(number)
        return judge_by("never")(change, number, seconds)

    steps = [write("a"), write("b"), write("c"), write("d")]
    outcome, change = loop(Script(*steps), judge, iterations=3)
    assert (outcome.ended, len(outcome.iterations), judged) == ("max-iterations", 3, [1, 2])
    assert change is not None
    assert change.files == ("a", "b", "c")


def test_same_files_and_same_failures_twice_end_the_loop(loop: Loop) -> None:
    outcome, _ = loop(Script(write("a"), nothing), judge_by("never"), iterations=9)
    assert (outcome.ended, len(outcome.iterations)) == ("no-progress", 2)


def test_agent_that_changes_nothing_twice_leaves_no_change(loop: Loop) -> None:
    agent = Script(nothing, attempt=Attempt(ending="failed", reason="The command ended with 7."))
    outcome, change = loop(agent, judge_by("a"), iterations=9)
    assert (outcome.ended, change, len(outcome.iterations)) == ("no-change", None, 2)
    assert "left no change" in agent.told[1].feedback
    assert "ended with 7" in outcome.reason


class Once(Script):
    name = "files"
    repeats = False


def test_branch_that_holds_everything_already_is_judged_as_it_is(loop: Loop) -> None:
    """The second sprint of a specification whose files the first one wrote."""
    outcome, change = loop(Once(nothing, attempt=Attempt(ending="done", is_in_place=True)), judge_by("a"))
    assert (outcome.ended, len(outcome.iterations)) == ("max-iterations", 1)
    assert change is not None
    assert change.files == ()
    assert change.head != change.base
    assert text(change.repository, "rev-parse", f"{change.head}^") == change.base
    assert f"Aicd-Run: {RUN_ID}" in text(change.repository, "log", "-1", "--format=%B", change.head)


def test_agent_that_works_once_and_does_nothing_leaves_no_change(loop: Loop) -> None:
    outcome, change = loop(Once(nothing), judge_by("a"))
    assert (outcome.ended, change) == ("no-change", None)


def test_protected_path_goes_back_to_the_agent_and_leaves_no_trace(loop: Loop) -> None:
    def both(root: Path) -> None:
        remove(".github/x.yml")(root)
        write("a")(root)

    agent = Script(write(".github/x.yml"), both)
    outcome, change = loop(agent, judge_by("a"))
    assert ".github/x.yml" in agent.told[1].feedback
    assert outcome.iterations[0].failing == ("has.a", "protected-path")
    assert (outcome.ended, outcome.refusals) == ("met", ())
    assert change is not None
    assert ".github" not in text(change.repository, "log", "--name-only", "--format=", f"{change.base}..{change.head}")


def test_secret_goes_back_to_the_agent_unnamed_and_leaves_no_trace(loop: Loop, area: Path) -> None:
    agent = Script(write("a.py", f"x = '{SECRET}'\n"), write("a.py", "import os\n"))
    outcome, change = loop(agent, judge_by("a.py"), secrets=lambda: (SECRET,))
    assert (outcome.ended, [one.failing for one in outcome.iterations]) == ("met", [("secret",), ()])
    assert "refused `a.py` (secret)" in agent.told[1].feedback
    assert change is not None
    assert SECRET not in text(change.repository, "log", "-p", f"{change.base}..{change.head}")
    assert SECRET not in agent.told[1].feedback + (area / "run" / "events.jsonl").read_text()


def commit_and_take_out(root: Path) -> None:
    """A commit of the agent's own holds the secret, and its files do not any more; they hold something else."""
    write("a.py", f"x = '{SECRET}'\n")(root)
    run_git(root, "add", "-A")
    run_git(root, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "Configure it")
    write("a.py", "import os\n")(root)
    write(".github/x.yml")(root)


def test_secret_of_an_earlier_commit_is_kept_for_no_run_whatever_else_is_refused(loop: Loop) -> None:
    kept: list[Progress] = []
    outcome, change = loop(
        Script(commit_and_take_out), judge_by("a.py"), secrets=lambda: (SECRET,), keep=kept.append, iterations=1
    )
    assert [one.code for one in outcome.refusals] == ["protected-path"]
    assert change is not None
    assert [one.head for one in kept] == [change.head]
    assert SECRET not in text(change.repository, "log", "-p", f"{change.base}..{change.head}")


def test_work_of_an_earlier_run_is_searched_for_what_this_one_knows(loop: Loop, area: Path) -> None:
    leaking = write("a.py", f"x = '{SECRET}'\n")
    _, change = loop(Script(leaking, attempt=Attempt(ending="paused", session="s")), judge_by("a.py"))
    assert change is not None
    kept: list[Progress] = []
    begin = Progress(change.head, "go on", made=1)
    given: dict[str, Any] = {"begin": begin, "secrets": lambda: (SECRET,), "keep": kept.append}
    stopped, _ = loop(Script(nothing), judge_by("a.py"), ask=lambda: "out-of-money", **given)
    assert ([one.code for one in stopped.refusals], kept) == (["secret"], [])
    agent = Script(nothing, write("a.py", "import os\n"))
    outcome, change = loop(agent, judge_by("a.py"), **given)
    assert "refused `a.py` (secret)" in agent.told[0].feedback
    assert (outcome.ended, outcome.refusals) == ("met", ())
    assert change is not None
    assert SECRET not in text(change.repository, "log", "-p", f"{change.base}..{change.head}")


def test_secret_that_stays_is_a_refusal_also_when_the_next_work_cannot_be_taken(loop: Loop) -> None:
    def giant(root: Path) -> None:
        with (root / "giant").open("wb") as file:
            file.truncate(101 * 2**20)

    outcome, _ = loop(Script(write("a.py", SECRET), giant), judge_by("a.py"), secrets=lambda: (SECRET,), iterations=2)
    assert [one.code for one in outcome.refusals] == ["too-large", "secret"]


def test_protected_path_that_stays_is_a_refusal_even_when_the_rest_is_met(loop: Loop) -> None:
    outcome, change = loop(Script(write(".github/x.yml"), write("a")), judge_by("a"), iterations=2)
    assert [refusal.code for refusal in outcome.refusals] == ["protected-path"]
    assert outcome.ended != "met"
    assert change is not None


def test_attempt_that_was_stopped_ends_the_loop_with_what_it_left(loop: Loop) -> None:
    stopped = Attempt(ending="timed-out", reason="It took longer than 5 s.")
    outcome, change = loop(Script(write("a"), attempt=stopped), judge_by("never"))
    assert (outcome.ended, len(outcome.iterations)) == ("out-of-time", 1)
    assert change is not None


def test_time_that_is_over_starts_no_further_attempt(loop: Loop) -> None:
    ticks = iter(range(0, 10_000, 30))
    outcome, _ = loop(
        Script(write("a"), write("b")), judge_by("never"), seconds=100.0, clock=lambda: float(next(ticks))
    )
    assert outcome.ended == "out-of-time"
    assert len(outcome.iterations) == 1


def test_each_attempt_is_told_to_the_journal_once_under_a_fixed_id(loop: Loop, area: Path) -> None:
    loop(Script(write("a"), write("b")), judge_by("a", "b"))
    lines = [json.loads(line) for line in (area / "run" / "executions.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2]
    assert len({line["id"] for line in lines}) == 2
    assert lines[0]["metadata"]["failing"] == ["has.b"]
    assert [line["metadata"]["files_changed"] for line in lines] == [["a"], ["b"]]


def test_files_that_an_attempt_changed_are_told_by_its_difference_and_not_without_end(loop: Loop, area: Path) -> None:
    """Whatever wrote, moved or deleted them, a tool or a script."""

    def many(root: Path) -> None:
        (root / "calc" / "__init__.py").unlink()
        for number in range(300):
            (root / f"made-{number:03}").write_text("x\n")

    loop(Script(many), judge_by("made-000"))
    told = json.loads((area / "run" / "executions.jsonl").read_text())["metadata"]["files_changed"]
    assert told[:2] == ["calc/__init__.py", "made-000"]
    assert len(told) == 200


@pytest.mark.parametrize(
    ("attempt", "ended"),
    [
        (Attempt(ending="paused", reason="limit", resume_at="2026-11-21T10:00:00+00:00", session="s"), "paused"),
        (Attempt(ending="needs-input", reason="asked", session="s"), "needs-input"),
        (Attempt(ending="out-of-money", reason="spent"), "out-of-money"),
        (Attempt(ending="cancelled", reason="cancelled"), "cancelled"),
        (Attempt(ending="failed", reason="no key", error="anthropic-key-refused"), "failed"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.ending,
)
def test_attempt_after_which_none_may_follow_ends_the_loop_and_keeps_the_work(
    loop: Loop, attempt: Attempt, ended: str
) -> None:
    agent = Script(write("half.txt"), attempt=attempt)
    outcome, change = loop(agent, judge_by("never.txt"))
    assert (outcome.ended, len(outcome.iterations)) == (ended, 1)
    assert outcome.iterations[0].verdict == ""
    assert (outcome.resume_at, outcome.error, outcome.session) == (attempt.resume_at, attempt.error, attempt.session)
    assert change is not None
    assert change.files == ("half.txt",)


def test_time_that_is_only_our_guess_is_told_to_nobody(loop: Loop) -> None:
    guessed = Attempt(ending="paused", reason="529", resume_at="2026-11-21T10:00:00+00:00", resume_is_told=False)
    outcome, _ = loop(Script(write("a"), attempt=guessed), judge_by("x"))
    assert (outcome.ended, outcome.resume_at) == ("paused", "")


def test_ending_without_work_is_told_by_its_own_name(loop: Loop) -> None:
    outcome, change = loop(Script(nothing, attempt=Attempt(ending="paused", reason="limit")), judge_by("x"))
    assert (outcome.ended, change) == ("paused", None)


def test_budget_that_is_spent_stops_the_loop_before_the_next_attempt(loop: Loop) -> None:
    agent = Script(write("a.txt"), write("b.txt"))
    answers = iter(["", "out-of-money"])
    outcome, change = loop(agent, judge_by("never.txt"), ask=lambda: next(answers))
    assert (outcome.ended, len(agent.told)) == ("out-of-money", 1)
    assert "after 1 attempts" in outcome.reason
    assert change is not None


def test_cancelled_specification_is_not_begun(loop: Loop) -> None:
    agent = Script(write("a.txt"))
    outcome, change = loop(agent, judge_by("x"), ask=lambda: "cancelled")
    assert (outcome.ended, agent.told, change) == ("cancelled", [], None)


def test_loop_goes_on_from_what_an_earlier_run_left(loop: Loop, area: Path) -> None:
    first, change = loop(Script(write("half.txt"), attempt=Attempt(ending="paused", session="s")), judge_by("x"))
    assert change is not None
    prepare_workspace(area / "run" / "repository", area / "workspace", change.head, "aicd/x")
    agent = Script(write("x"))
    outcome, whole = loop(agent, judge_by("x", "half.txt"), begin=Progress(change.head, "mend it"))
    assert first.ended == "paused"
    assert agent.told[0].feedback == "mend it"
    assert outcome.ended == "met"
    assert whole is not None
    assert set(whole.files) == {"half.txt", "x"}
    assert text(whole.repository, "rev-list", "--count", f"{whole.base}..{whole.head}") == "2"


def test_dialogue_with_the_requester_is_part_of_the_task(loop: Loop) -> None:
    agent = Script(write("x"))
    loop(agent, judge_by("x"), dialogue="## Asked\n- Q1: Which?\n\n## Answered\n> The blue one.\n")
    assert "> The blue one." in agent.told[0].text


def test_commit_bears_the_agents_words_and_nothing_that_github_would_act_on(loop: Loop) -> None:
    said = "I added subtract. Thanks @ada, fixes #12.\nFixes: #13\nAicd-Run: other"
    agent = Script(write("x"), attempt=Attempt(ending="done", summary=said))
    _, change = loop(agent, judge_by("x"))
    assert change is not None
    message = text(change.repository, "log", "-1", "--format=%B", change.head)
    assert message.startswith("S1: Subtract\n\nI added subtract.")
    assert "@ada" not in message
    assert "#12" not in message
    assert "Fixes: #13" not in message
    assert message.count("Aicd-Run:") == 1


class Failing(Script):
    """Breaks off with an error of ours at the attempt that has no step any more."""

    def work(self, task: Task) -> Attempt:
        if task.iteration > len(self._steps):
            raise OutsideError("The server 'notes' does not answer.", "Start it.", "mcp-server-down")
        return super().work(task)


def test_world_that_fails_in_a_later_attempt_loses_no_work(loop: Loop) -> None:
    outcome, change = loop(Failing(write("a")), judge_by("never"))
    assert (outcome.ended, outcome.error, outcome.is_outside) == ("failed", "mcp-server-down", True)
    assert "does not answer" in outcome.reason
    assert change is not None
    assert change.files == ("a",)


def test_control_plane_that_is_away_before_a_later_attempt_loses_no_work(loop: Loop) -> None:
    answers = iter(["", OutsideError("No answer.", "", "unavailable")])

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, OutsideError):
            raise answer
        return answer

    outcome, change = loop(Script(write("a")), judge_by("never"), ask=ask)
    assert (outcome.ended, outcome.error, change is not None) == ("failed", "unavailable", True)


def test_world_that_fails_before_there_is_work_is_an_error(loop: Loop) -> None:
    with pytest.raises(OutsideError, match="notes"):
        loop(Failing(), judge_by("a"))


def test_judge_that_cannot_measure_loses_no_work(loop: Loop) -> None:
    def judge(_change: Change, _number: int, _seconds: float) -> Judged:
        raise OutsideError("No environment.", "", "no-environment")

    outcome, change = loop(Script(write("a")), judge)
    assert (outcome.ended, outcome.error, len(outcome.iterations)) == ("failed", "no-environment", 1)
    assert change is not None


def test_judgement_has_what_is_left_of_the_one_clock(loop: Loop) -> None:
    given: list[float] = []

    def judge(change: Change, number: int, seconds: float) -> Judged:
        given.append(seconds)
        return judge_by("never")(change, number, seconds)

    ticks = iter(range(10_000))
    loop(Script(write("a"), write("b"), write("c")), judge, seconds=100.0, clock=lambda: float(next(ticks)))
    assert given == [96.0, 92.0]


def test_after_each_attempt_it_is_told_where_another_run_goes_on(loop: Loop) -> None:
    kept: list[Progress] = []
    outcome, change = loop(Script(write("a"), write("b")), judge_by("a", "b"), keep=kept.append)
    assert [(one.made, one.is_judged, bool(one.feedback)) for one in kept] == [(1, False, False), (2, False, True)]
    assert change is not None
    assert (kept[1].head, outcome.made, outcome.is_judged) == (change.head, 2, False)
    assert kept[0].head not in (change.base, change.head)


def test_attempt_that_left_nothing_is_not_told(loop: Loop) -> None:
    kept: list[Progress] = []
    loop(Script(nothing), judge_by("a"), keep=kept.append)
    loop(Once(write("a")), judge_by("a"), keep=kept.append)
    assert kept == []


def test_attempts_are_counted_over_the_runs_and_one_that_was_cut_off_goes_on(loop: Loop, area: Path) -> None:
    first, change = loop(Script(write("a"), attempt=Attempt(ending="paused", session="s")), judge_by("never"))
    assert (first.made, change is not None) == (0, True)
    assert change is not None
    agent = Script(write("b"), write("b"), write("c"))
    outcome, _ = loop(agent, judge_by("never"), begin=Progress(change.head, "mend it", made=1))
    assert [task.iteration for task in agent.told] == [2, 3]
    assert (outcome.ended, outcome.made) == ("max-iterations", 3)


def left_unjudged(loop: Loop, area: Path, made: int = 1) -> Progress:
    _, change = loop(Script(write("a"), attempt=Attempt(ending="paused", session="s")), judge_by("never"))
    assert change is not None
    prepare_workspace(area / "run" / "repository", area / "workspace", change.head, "aicd/x")
    return Progress(change.head, made=made, is_judged=False)


def test_work_that_nobody_came_to_judge_is_judged_before_more_is_paid_for(loop: Loop, area: Path) -> None:
    agent = Script(write("b"))
    outcome, change = loop(agent, judge_by("a"), begin=left_unjudged(loop, area))
    assert (outcome.ended, agent.told, change is not None) == ("met", [], True)


def test_unjudged_work_that_misses_goes_back_with_what_failed(loop: Loop, area: Path) -> None:
    agent = Script(nothing, write("b"))
    outcome, _ = loop(agent, judge_by("a", "b"), begin=left_unjudged(loop, area))
    assert outcome.ended == "met"
    assert [task.iteration for task in agent.told] == [2]
    assert "The file b is missing." in agent.told[0].feedback


def test_run_that_has_no_attempt_left_hands_the_work_to_the_last_judgement(loop: Loop, area: Path) -> None:
    agent = Script(write("b"))
    outcome, change = loop(agent, judge_by("never"), begin=left_unjudged(loop, area, made=3))
    assert (outcome.ended, agent.told, change is not None) == ("max-iterations", [], True)


def test_run_that_is_cancelled_from_outside_keeps_what_the_attempt_left(loop: Loop) -> None:
    kept: list[Progress] = []
    stopped = Script(write("half.txt"), attempt=Attempt(ending="stopped", reason="interrupted"))
    outcome, change = loop(stopped, judge_by("x"), watch=lambda: "interrupted", keep=kept.append)
    assert (outcome.ended, outcome.made, len(outcome.iterations)) == ("interrupted", 0, 1)
    assert change is not None
    assert kept == [Progress(change.head)]


def test_judgement_that_is_cancelled_from_outside_keeps_what_was_to_be_judged(loop: Loop) -> None:
    def judge(_change: Change, _number: int, _seconds: float) -> Judged:
        raise KeyboardInterrupt

    outcome, change = loop(Script(write("a")), judge)
    assert (outcome.ended, outcome.made, outcome.is_judged) == ("interrupted", 1, False)
    assert change is not None
