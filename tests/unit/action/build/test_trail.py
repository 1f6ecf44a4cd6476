"""What a run leaves when it ends, by how it ended; and a control plane that does not take it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from action.build.agents.claude.session import Session
from action.build.archive import unpack_archive
from action.build.departure import set_aside
from action.build.ending import conclude
from action.build.job import Progress
from action.build.trail import Trail
from action.console import Console
from action.context import Context
from action.gitrepo.protected import Refusal
from action.interruption import Cancelled
from action.plan.dialogue import Dialogue
from action.plan.dialogue import Question as Asked
from action.run import BuildOutcome, Failure, Run
from action.runfolder import RunFolder
from action.settings import GitHubContext, Settings
from action.toolserver.desk import Question
from controlplane.change import Change
from controlplane.errors import CallerError, Conflict, OutsideError
from tests.unit.action.conftest import run_git

BASE = "1" * 40
RUN = Run(
    run_id="3f2b1c4d-0000-4000-8000-000000000001", spec_id="spec", sprint_id="sprint", sprint_label="S1",
    controlled=True, repository="acme/calc", remote_url="", branch="b", base=BASE, started_at="",
)  # fmt: skip
AWAY = OutsideError("Supabase is away.", "", "unavailable")
PATIENT_NO_MORE = Conflict("This sprint was paused 24 times in a row already.", "Retry it.", "too-many-pauses")


class Store:
    """Keeps what it is told; `broken` names the calls that fail, with what."""

    def __init__(self, **broken: Exception) -> None:
        self.broken = broken
        self.stored: list[bytes] = []
        self.named: list[Any] = []
        self.paused: list[Any] = []
        self.asked: list[Any] = []

    def _may_fail(self, call: str) -> None:
        if call in self.broken:
            raise self.broken[call]

    def put_session(self, sprint_id: str, run_id: str, content: bytes, after: str = "") -> str:
        self._may_fail("put_session")
        self.stored.append(content)
        return f"{sprint_id}/{run_id}.{len(self.stored)}"

    def keep_session(self, _run_id: str, session: Any) -> None:
        self._may_fail("keep_session")
        self.named.append(session)

    def pause_run(self, _run_id: str, resume_at: str | None, _reason: str, session: Any) -> dict[str, str]:
        self._may_fail("pause_run")
        self.paused.append((resume_at, session))
        return {"resume_at": resume_at or "2026-11-21T10:02:00+00:00"}

    def ask_requester(self, _run_id: str, questions: Any, session: Any) -> None:
        self.asked.append((questions, session))


class Worker:
    name = "claude"

    def __init__(self, *, repeats: bool = True) -> None:
        self.repeats = repeats
        self.session = Session("s-1", "/work", b"said\n")

    def work(self, task: Any) -> Any:
        raise AssertionError("nobody works here")


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def context(tmp_path: Path, log: io.StringIO) -> Context:
    folder = RunFolder(tmp_path / "run")
    folder.prepare()
    return Context("build", Settings(), folder, Console(GitHubContext(), stream=log))


def trail_of(context: Context, store: Store, worker: Worker | None = None, *asked: str) -> Trail:
    context.__dict__["store"] = store
    return Trail(context, RUN, worker or Worker(), lambda: asked)


def outcome(ended: str, **changes: Any) -> BuildOutcome:
    return BuildOutcome(**{"agent": "claude", "ended": ended, "reason": "so it was", "session": "s-1", **changes})


def change_of(context: Context) -> Change:
    return Change(repository=context.folder.repository, base=BASE, head=BASE, branch="b", files=("a",))


def test_what_was_said_and_done_is_in_the_archive_that_is_named(context: Context) -> None:
    store = Store()
    assert trail_of(context, store, None, "Which?").keep(Progress(BASE, "mend it", 2, is_judged=False))
    archive = unpack_archive(store.stored[0])
    assert archive is not None
    left = archive.left
    assert (left.feedback, left.made, left.is_judged, left.asked) == ("mend it", 2, False, ("Which?",))
    assert archive.transcript == b"said\n"
    assert store.named == [{"path": f"sprint/{RUN.run_id}.1", "agent": "claude", "session": "s-1"}]


@pytest.mark.usefixtures("origin")
def test_history_that_holds_a_secret_is_in_no_archive(area: Path, log: io.StringIO) -> None:
    folder = RunFolder(area / "run")
    folder.prepare()
    secret = "ghs_canary_a1b2c3d4e5"
    context = Context("build", Settings(), folder, Console(GitHubContext(), (secret,), log))
    clone = area / "clone"
    base = run_git(clone, "rev-parse", "HEAD")
    heads = []
    for content in (secret, "clean"):
        (clone / "a.txt").write_text(content)
        run_git(clone, "add", "-A")
        run_git(clone, "commit", "-qm", "Work")
        heads.append(run_git(clone, "rev-parse", "HEAD"))
    run_git(area, "clone", "-q", "--bare", str(clone), str(folder.repository))
    store = Store()
    context.__dict__["store"] = store
    trail = Trail(context, RUN.model_copy(update={"base": base}), Worker())
    for head in heads:
        assert trail.keep(Progress(head, "go on", made=1))
    archive = unpack_archive(store.stored[0])
    assert archive is not None
    assert (archive.left.head, archive.bundle, archive.left.feedback) == (base, b"", "go on")
    assert len(store.stored) == 1
    assert "holds a secret of this run" in log.getvalue()


def test_feedback_that_is_too_long_to_hand_on_is_cut(context: Context) -> None:
    store = Store()
    assert trail_of(context, store).keep(Progress(BASE, "x" * 300_000))
    archive = unpack_archive(store.stored[0])
    assert archive is not None
    assert len(archive.left.feedback) == 200_000


def test_the_same_again_is_stored_once_and_more_said_is_stored_anew(context: Context) -> None:
    store, worker = Store(), Worker()
    trail = trail_of(context, store, worker)
    trail.keep(Progress(BASE))
    trail.keep(Progress(BASE))
    assert len(store.stored) == 1
    worker.session.transcript = b"said\nmore\n"
    trail.keep(Progress(BASE))
    assert len(store.stored) == 2


@pytest.mark.parametrize("call", ["put_session", "keep_session"])
def test_trail_that_cannot_be_kept_is_told_and_stops_nothing(context: Context, log: io.StringIO, call: str) -> None:
    assert not trail_of(context, Store(**{call: AWAY})).keep(Progress(BASE))
    assert "Supabase is away." in log.getvalue()


def test_pause_whose_archive_cannot_be_stored_names_none_so_that_the_one_before_stands(context: Context) -> None:
    store = Store(put_session=AWAY)
    assert conclude(context, RUN, outcome("paused"), None, trail_of(context, store), []) == 0
    assert store.paused == [(None, {})]


@pytest.mark.parametrize(
    ("ended", "error", "named"),
    [
        ("met", "", "spent"), ("max-iterations", "", "spent"), ("no-progress", "", "spent"),
        ("out-of-time", "", "kept"), ("out-of-money", "", "kept"), ("failed", "anthropic-credit", "kept"),
        ("failed", "work-of-ours", "forgotten"),
    ],
)  # fmt: skip
def test_trail_stays_where_another_try_can_go_on(context: Context, ended: str, error: str, named: str) -> None:
    store = Store()
    told = outcome(ended, error=error)
    assert conclude(context, RUN, told, change_of(context), trail_of(context, store), []) == 0
    (last,) = store.named
    said = "forgotten" if last is None else "spent" if last.get("is_spent") else "kept"
    assert said == named


@pytest.mark.parametrize(
    ("ended", "is_kept"), [("max-iterations", False), ("no-progress", False), ("out-of-time", True)]
)
def test_secret_in_the_last_attempt_leaves_no_trail_on_which_nothing_could_be_done(
    context: Context, ended: str, is_kept: bool
) -> None:
    store = Store()
    refusal = Refusal(code="secret", path="a.py", reason="a secret stands in it")
    told = outcome(ended, refusals=(refusal,), made=3)
    with pytest.raises(CallerError) as caught:
        conclude(context, RUN, told, change_of(context), trail_of(context, store), [])
    assert caught.value.code == "secret-in-change"
    assert [one is not None for one in store.named] == [is_kept]


def test_world_that_broke_the_loop_off_leaves_the_trail(context: Context) -> None:
    store = Store()
    told = outcome("failed", error="supabase-unavailable", is_outside=True)
    conclude(context, RUN, told, change_of(context), trail_of(context, store), [])
    assert [one is not None for one in store.named] == [True]


def test_agent_that_works_once_leaves_none(context: Context) -> None:
    store = Store()
    trail = trail_of(context, store, Worker(repeats=False))
    conclude(context, RUN, outcome("max-iterations"), change_of(context), trail, [])
    assert (store.stored, store.named) == ([], [])


def test_cancelled_job_keeps_its_trail_and_says_so(context: Context) -> None:
    store = Store()
    with pytest.raises(Cancelled, match="goes on with what was done"):
        conclude(context, RUN, outcome("interrupted"), None, trail_of(context, store), [])
    assert len(store.named) == 1


def test_pause_that_the_project_does_not_wait_for_fails_with_the_work_and_keeps_the_trail(context: Context) -> None:
    store = Store(pause_run=PATIENT_NO_MORE)
    assert conclude(context, RUN, outcome("paused"), change_of(context), trail_of(context, store), []) == 0
    told = context.folder.require("build", BuildOutcome, "build")
    assert (told.ended, told.error) == ("failed", "too-many-pauses")
    assert "24 times" in told.reason
    assert context.folder.load("change", Change) is not None
    assert [one.get("is_spent") for one in store.named] == [None]


def test_pause_that_the_project_does_not_wait_for_fails_with_its_reason_where_there_is_no_work(
    context: Context,
) -> None:
    store = Store(pause_run=PATIENT_NO_MORE)
    with pytest.raises(Conflict, match="24 times"):
        conclude(context, RUN, outcome("paused"), None, trail_of(context, store), [])
    assert len(store.named) == 1


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        ("anthropic-key-refused", "`anthropic-api-key`"),
        ("anthropic-credit", "Claude console"),
        ("model-unknown", "`builder-model`"),
        ("claude-not-started", "`claude-path`"),
        ("mcp-server-down", "`mcp-config`"),
    ],
)
def test_failure_says_what_can_be_done_about_it(context: Context, error: str, fix: str) -> None:
    told = outcome("failed", error=error)
    with pytest.raises((CallerError, OutsideError)) as caught:
        conclude(context, RUN, told, None, trail_of(context, Store()), [])
    assert (caught.value.code, fix in caught.value.fix) == (error, True)
    conclude(context, RUN, told, change_of(context), trail_of(context, Store()), [])
    assert fix in context.folder.require("build", BuildOutcome, "build").reason
    assert context.folder.load("failure", Failure) is None


def test_question_that_waited_for_no_answer_is_in_the_report(context: Context) -> None:
    trail = trail_of(context, Store(), None, "Is euro meant?")
    conclude(context, RUN, outcome("met", notes=("one",)), change_of(context), trail, [])
    assert context.folder.require("build", BuildOutcome, "build").notes == (
        "one", "The agent asked, and went on without an answer: Is euro meant?"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("known", "first"), [((), "Q1"), (("Q1", "Q2"), "Q3"), (("Q1", "Q7"), "Q8"), (("first", "second"), "Q3")]
)
def test_questions_are_numbered_on_over_all_rounds(context: Context, known: tuple[str, ...], first: str) -> None:
    context.folder.save("dialogue", Dialogue(questions=tuple(Asked(id=one, text="?") for one in known)))
    store = Store()
    context.__dict__["store"] = store
    set_aside(context, RUN, outcome("needs-input"), {}, [Question(text="Which currency?")])
    ((questions, _),) = store.asked
    assert [one["id"] for one in questions] == [first]
