"""Random verbs in random order, against the real database: no illegal state, no verb half done, no result undone."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.database.world import Persona, World, spec

pytestmark = pytest.mark.database

RESULTS = st.sampled_from(["PASSED", "FAILED"])
CI_RUNS = st.sampled_from(["1", "2"])

OPEN_RUN = "exists (select from runs where sprint_id = s.id and result is null)"
WAITS = ("exists (select from sprints needed where needed.spec_id = s.spec_id and needed.label = any (s.depends_on)"
         " and needed.state <> 'DONE')")  # fmt: skip

# Each query finds rows that contradict each other; none may ever find one.
CONTRADICTIONS = {
    "a sprint runs exactly while an open run of it was started":
        "select id from sprints s where (state = 'RUNNING') is distinct from"
        " exists (select from runs r where r.sprint_id = s.id and result is null and started_at is not null)",
    "a sprint is done exactly when a run of it passed":
        "select id from sprints s where (state = 'DONE') is distinct from"
        " exists (select from runs r where r.sprint_id = s.id and result = 'PASSED')",
    "a failed sprint has a failed run and no open one":
        "select id from sprints s where state = 'FAILED' and ("
        " not exists (select from runs r where r.sprint_id = s.id and result = 'FAILED')"
        " or exists (select from runs r where r.sprint_id = s.id and result is null))",
    "a run has its work order": "select id from runs r where not exists (select from outbox"
        " where idempotency_key = 'dispatch:' || r.id)",
    "a run is reported exactly when it has ended, and was neither set aside nor cancelled":
        "select id from runs r where (result is not null"
        " and coalesce(summary_json ->> 'status', '') not in ('PAUSED', 'NEEDS_INPUT', 'NEEDS_APPROVAL')"
        " and summary_json #>> '{error,code}' is distinct from 'cancelled') is distinct from"
        " exists (select from outbox where idempotency_key = 'report:' || r.id)",
    "a spec has its mail, its receipt and its first two events":
        "select id from specs s where message_id is null"
        " or 1 <> (select count(*) from outbox"
        " where idempotency_key in ('spec_received:' || s.id, 'needs_approval:' || s.id))"
        " or 1 <> (select count(*) from status_events where spec_id = s.id and phase = 'SPEC_RECEIVED')"
        " or not exists (select from status_events where spec_id = s.id and phase = 'PLANNING' and run_id is null)",
    "a sprint that is planned has an open run exactly when all that it depends on is done":
        f"select id from sprints s where state = 'PLANNED' and ({OPEN_RUN}) is distinct from (not {WAITS})",
    "a sprint has a run only when all that it depends on is done":
        f"select id from sprints s where exists (select from runs where sprint_id = s.id) and {WAITS}",
    "only a planned or running sprint has an open run":
        f"select id from sprints s where state not in ('PLANNED', 'RUNNING') and {OPEN_RUN}",
    "a sprint has a time to go on exactly while it is paused, and then a run that was paused":
        "select id from sprints s where (state = 'PAUSED') is distinct from (resume_at is not null)"
        " or state = 'PAUSED' and not exists (select from runs r where r.sprint_id = s.id"
        " and summary_json ->> 'status' = 'PAUSED')",
    "a cancelled specification has nothing open, is told once, and has only done sprints beside":
        "select spec_id from sprints s where state = 'CANCELLED' and (exists (select from sprints o"
        " where o.spec_id = s.spec_id and o.state not in ('DONE', 'CANCELLED'))"
        " or exists (select from outbox where kind = 'dispatch' and state = 'PENDING'"
        " and payload ->> 'spec_id' = s.spec_id::text)"
        " or not exists (select from outbox where idempotency_key = 'spec_cancelled:' || s.spec_id))",
    "a cancelled run that a CI run holds is stopped there": "select id from runs r where ci_run_id is not null"
        " and summary_json #>> '{error,code}' = 'cancelled' and not exists (select from outbox"
        " where idempotency_key = 'cancel:' || r.id and payload ->> 'ci_run_id' = r.ci_run_id)",
    "a sprint that was approved is on record": "select id from sprints s where approved_at is not null"
        " and not exists (select from audit_log where action = 'approve_sprint' and subject_id = s.id::text)",
    "a leased row is pending": "select id from outbox where state <> 'PENDING' and lease_expires_at is not null",
    "an accepted mail has a spec, or answered a sprint": "select id from messages m where (state = 'ACCEPTED')"
        " is distinct from (exists (select from specs where message_id = m.id) or reason = 'answer' and exists ("
        "select from sprints where answers_json @> jsonb_build_array(jsonb_build_object('id', m.id))))",
    "a sprint without plan is its specification's only one, and the others have theirs":
        "select id from sprints s where plan_json is null"
        " and 1 <> (select count(*) from sprints where spec_id = s.spec_id)",
    "a plan made here is kept with its estimate": "select id from specs s where (planning_json is not null) is distinct"
        " from exists (select from sprints where spec_id = s.id and plan_json ? 'made_here')",
    "a run that asked or waits for approval has a notice of its own": "select id from runs r where"
        " summary_json ->> 'status' in ('NEEDS_INPUT', 'NEEDS_APPROVAL') and not exists (select from outbox"
        " where idempotency_key = lower(summary_json ->> 'status') || ':' || r.id)",
    "what is spent and what is set apart are within the budget": "select 1 from"
        " (select coalesce(sum(cost_usd), 0) as usd from ledger) as spent,"
        " (select coalesce(sum(greatest(0, reserved_usd"
        " - (select coalesce(sum(cost_usd), 0) from ledger where run_id = runs.id))), 0) as usd"
        " from runs where result is null) as held where held.usd + spent.usd > 5",
    "a day's sum is that of its entries":
        "select project_id, day, requester, sum(cost_usd) from ledger group by 1, 2, 3"
        " except select project_id, day, requester, cost_usd from private.daily_spending",
    "a sprint that waits for an answer was asked": "select id from sprints where state = 'NEEDS_INPUT'"
        " and questions_json = '[]'",
}  # fmt: skip


# For each sprint what it depends on; None: not said.
PLANS = st.sampled_from(
    [[None], [None, None], [None, []], [None, None, None], [[], [], ["a", "b"]], [None, ["a"], ["a"]]]
)

NOBODYS = "00000000-0000-4000-8000-000000000000"

# Drawn as a number, always: ids and the order of claims are random, and hypothesis asks that a replay draws the same.
NUMBERS = st.integers(0, 1000)
Item = TypeVar("Item")


def choose(number: int, items: list[Item]) -> Item:
    return items[number % len(items)]


def written(plan: list[list[str] | None], **extra: Any) -> list[dict[str, Any]]:
    return [{"label": "abc"[place], "depends_on": needed, **extra} for place, needed in enumerate(plan)]


class Verbs(RuleBasedStateMachine):
    """`world` is set by the test."""

    world: World
    member: Persona

    def __init__(self) -> None:
        super().__init__()
        self.world.execute(
            "truncate private.daily_spending, outbox, agent_executions, status_events, artifacts, runs, sprints, specs,"
            " messages cascade"
        )
        self.functions: Persona = self.world.functions()
        self.mails: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        self.leases: list[tuple[str, str]] = []
        self.replies: list[dict[str, Any]] = []
        self.results: dict[str, str] = {}

    def attempt(self, persona: Persona, verb: str, **arguments: Any) -> Any:
        """A verb may refuse by one of our rules, and in no other way."""
        try:
            return persona.call(verb, **arguments)
        except psycopg.DatabaseError as error:
            assert (error.sqlstate or "").startswith("PT4"), error
            return None

    def runs(self) -> list[str]:
        """In an order that a replay meets again, ids being random."""
        query = "select r.id::text from runs r join sprints on sprints.id = sprint_id order by r.created_at, position"
        return [row[0] for row in self.world.all(query)]

    def pick_started(self, number: int) -> str:
        """One that is under way; begun now where none is, for of all that a walk makes few are."""
        query = (
            "select r.id::text, started_at is not null from runs r join sprints on sprints.id = sprint_id"
            " where result is null order by started_at is null, r.created_at, position"
        )
        ready = self.world.all(query)
        started = [run_id for run_id, is_started in ready if is_started]
        if not ready:
            return self.pick(number)
        if not started:
            (run_id, _) = choose(number, ready)
            ci_run = self.world.value("select coalesce(ci_run_id, '1') from runs where id = %s", run_id)
            self.runner(run_id).call("start_run_v1", run_id=run_id, ci_run_id=ci_run, ci_attempt=1)
            return str(run_id)
        return str(choose(number, started))

    def runner(self, run_id: str) -> Persona:
        return self.world.runner_of(run_id) if run_id != NOBODYS else self.world.runner(run_id=run_id)

    def pick(self, number: int) -> str:
        return choose(number, self.runs() or [NOBODYS])

    def sprint(self, number: int) -> str:
        return str(choose(number, self.world.all("select id::text from sprints order by created_at, position"))[0])

    @rule(plan=PLANS, needs_approval=st.booleans(), is_planned=st.booleans())
    def new_mail(self, plan: list[list[str] | None], needs_approval: bool, is_planned: bool) -> None:
        made = {"sprints": written(plan)} if is_planned else None
        specs = [spec(plan=made, needs_approval=needs_approval)]
        self.mails.append((self.world.mail(), specs))
        assert self.functions.call("ingest_message_v1", message=self.mails[-1][0], specs=self.mails[-1][1])["specs"]

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS)
    def mail_again(self, number: int) -> None:
        mail, specs = choose(number, self.mails)
        assert self.functions.call("ingest_message_v1", message=mail, specs=specs)["outcome"] == "duplicate"

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, ci_run=CI_RUNS)
    def bind(self, number: int, ci_run: str) -> None:
        self.attempt(self.functions, "bind_run_v1", run_id=self.pick(number), ci_run_id=ci_run, url="")

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, ci_run=CI_RUNS, ci_attempt=st.integers(0, 2))
    def start(self, number: int, ci_run: str, ci_attempt: int) -> None:
        run_id = self.pick(number)
        runner = self.runner(run_id)
        self.attempt(runner, "start_run_v1", run_id=run_id, ci_run_id=ci_run, ci_attempt=ci_attempt)

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, phase=st.sampled_from(["BUILD", "TESTS_PASSED", "MERGED", "NONSENSE"]))
    def record_event(self, number: int, phase: str) -> None:
        run_id = self.pick_started(number)
        runner = self.runner(run_id)
        self.attempt(runner, "record_event_v1", run_id=run_id, phase=phase, message="", metadata={})

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, result=RESULTS)
    def finish(self, number: int, result: str) -> None:
        run_id = self.pick(number)
        self.attempt(self.runner(run_id), "finish_run_v1", run_id=run_id, result=result, summary={})

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, result=RESULTS, ci_run=CI_RUNS)
    def run_to_its_end(self, number: int, result: str, ci_run: str) -> None:
        """The usual way, which single steps in random order seldom find."""
        ready = self.world.all(
            "select id::text from runs where result is null and coalesce(ci_run_id, %s) = %s", ci_run, ci_run
        )
        if not ready:
            return
        (run_id,) = choose(number, ready)
        runner = self.runner(run_id)
        runner.call("start_run_v1", run_id=run_id, ci_run_id=ci_run, ci_attempt=2)
        runner.call("finish_run_v1", run_id=run_id, result=result, summary={})

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS)
    def abandon(self, number: int) -> None:
        self.attempt(self.functions, "abandon_run_v1", run_id=self.pick(number), code="x", reason="y")

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS)
    def approve(self, number: int) -> None:
        self.attempt(self.member, "approve_sprint_v1", sprint_id=self.sprint(number))

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS)
    def retry(self, number: int) -> None:
        self.attempt(self.member, "retry_sprint_v1", sprint_id=self.sprint(number))

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, chance=st.integers(0, 2))
    def cancel(self, number: int, chance: int) -> None:
        """One time in three: a walk in which everything is cancelled at once shows little."""
        if not chance:
            spec_id = choose(number, self.world.all("select id::text from specs order by created_at, id"))[0]
            self.attempt(self.member, "cancel_spec_v1", spec_id=spec_id)

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS)
    def pause(self, number: int) -> None:
        run_id = self.pick_started(number)
        runner = self.runner(run_id)
        self.attempt(runner, "pause_run_v1", run_id=run_id, resume_at="tomorrow", reason="limit")

    @rule(due=st.booleans())
    def wake(self, due: bool) -> None:
        if due:
            self.world.execute("update sprints set resume_at = now() where state = 'PAUSED'")
        self.functions.call("wake_sprints_v1", limit=2)

    def sprints_in(self, state: str) -> list[tuple[str]]:
        return self.world.all("select id::text from sprints where state = %s order by created_at, position", state)

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, plan=PLANS)
    def plan(self, number: int, plan: list[list[str] | None]) -> None:
        run_id = self.pick_started(number)
        given = {"sprints": written(plan, made_here=True), "confidence": 1}
        self.attempt(self.runner(run_id), "record_plan_v1", run_id=run_id, plan=given)

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS)
    def ask(self, number: int) -> None:
        run_id = self.pick_started(number)
        questions = [{"id": "q", "text": "?", "blocking": True}]
        self.attempt(self.runner(run_id), "ask_requester_v1", run_id=run_id, questions=questions)

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS)
    def ask_from_outside(self, number: int) -> None:
        spec_id = choose(number, self.world.all("select id::text from specs order by created_at, id"))[0]
        asked = {"id": str(uuid.uuid4()), "questions": [{"text": "Which?"}]}
        self.attempt(self.member, "ask_about_spec_v1", spec_id=spec_id, asked=asked)

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, usd=st.integers(1, 3))
    def reserve(self, number: int, usd: int) -> None:
        self.attempt(self.functions, "reserve_budget_v1", run_id=self.pick(number), max_usd=usd)

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS)
    def spend(self, number: int) -> None:
        """An agent spends what it is told that it may, and no more."""
        run_id = self.pick_started(number)
        runner = self.runner(run_id)
        told = self.attempt(runner, "read_budget_v1", run_id=run_id) or {"left_usd": 0}
        entry = {"id": str(uuid.uuid4()), "kind": "builder", "cost_usd": min(1, told["left_usd"])}
        self.attempt(runner, "record_cost_v1", run_id=run_id, entry=entry)

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, again=st.booleans())
    def reply(self, number: int, again: bool) -> None:
        """All mails of this world are one thread."""
        if not self.replies or not again:
            self.replies.append(self.world.mail())
        self.attempt(self.functions, "ingest_reply_v1", message=choose(number, self.replies), text="yes")

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS)
    def answer(self, number: int) -> None:
        asked = self.sprints_in("NEEDS_INPUT")
        sprint_id = choose(number, asked)[0] if asked else self.sprint(number)
        reply = {"id": str(number), "text": "yes"}
        self.attempt(self.functions, "answer_sprint_v1", sprint_id=sprint_id, reply=reply)

    @rule(kind=st.sampled_from(["dispatch", "notify", "cancel"]), wear=st.booleans())
    def claim(self, kind: str, wear: bool) -> None:
        if wear:
            self.world.execute("update outbox set attempts = 7, next_attempt_at = now(), lease_expires_at = null"
                               " where state = 'PENDING'")  # fmt: skip
        for row in self.functions.call("claim_outbox_v1", kinds=[kind], limit=2, lease_seconds=60):
            self.leases.append((row["id"], row["lease_id"]))

    @rule(number=NUMBERS)
    def give_up(self, number: int) -> None:
        if self.leases:
            outbox_id, lease_id = choose(number, self.leases)
            self.attempt(self.functions, "bury_outbox_v1", id=outbox_id, lease_id=lease_id, error="x")

    @rule(number=NUMBERS, well=st.sampled_from([True, False, None]))
    def settle(self, number: int, well: bool | None) -> None:
        if not self.leases:
            return
        outbox_id, lease_id = choose(number, self.leases)
        if well is None:
            row = {"id": outbox_id, "lease_id": lease_id}
            self.attempt(self.functions, "postpone_outbox_v1", **row, seconds=1, reason="x")
        elif well:
            self.attempt(self.functions, "finish_outbox_v1", id=outbox_id, lease_id=lease_id, result={})
        else:
            self.attempt(self.functions, "retry_outbox_v1", id=outbox_id, lease_id=lease_id, error="x")

    @invariant()
    def nothing_contradicts_itself(self) -> None:
        for rule_text, query in CONTRADICTIONS.items():
            assert self.world.all(query) == [], rule_text

    @invariant()
    def no_result_is_ever_undone(self) -> None:
        now = dict(self.world.all("select id::text, result from runs where result is not null"))
        assert self.results.items() <= now.items()
        self.results = now


def test_random_verbs_reach_no_illegal_state(world: World) -> None:
    world.settle(budget_usd_day=5)
    Verbs.world = world
    Verbs.member = world.member_of(world.projects["acme/shop"], "maintainer")
    run_state_machine_as_test(
        Verbs,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
