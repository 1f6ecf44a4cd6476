"""Random verbs in random order, against the real database: no illegal state, no verb half done, no result undone."""

from __future__ import annotations

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
    "a run is reported exactly when it has ended":
        "select id from runs r where (result is not null) is distinct from"
        " exists (select from outbox where idempotency_key = 'report:' || r.id)",
    "a spec has its mail, its receipt and its first two events":
        "select id from specs s where message_id is null"
        " or not exists (select from outbox where idempotency_key = 'spec_received:' || s.id)"
        " or 2 <> (select count(*) from status_events where spec_id = s.id and run_id is null)",
    "the next sprint has a run exactly when the one before is done":
        "select later.id from sprints later join sprints earlier on earlier.spec_id = later.spec_id"
        " and earlier.position = later.position - 1"
        " where (earlier.state = 'DONE') is distinct from exists (select from runs where sprint_id = later.id)",
    "a leased row is pending": "select id from outbox where state <> 'PENDING' and lease_expires_at is not null",
    "an accepted mail has a spec": "select id from messages m where (state = 'ACCEPTED') is distinct from"
        " exists (select from specs where message_id = m.id)",
}  # fmt: skip


# Drawn as a number, always: ids and the order of claims are random, and hypothesis asks that a replay draws the same.
NUMBERS = st.integers(0, 1000)
Item = TypeVar("Item")


def choose(number: int, items: list[Item]) -> Item:
    return items[number % len(items)]


class Verbs(RuleBasedStateMachine):
    """`world` is set by the test."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.execute(
            "truncate outbox, agent_executions, status_events, artifacts, runs, sprints, specs, messages cascade"
        )
        self.functions: Persona = self.world.functions()
        self.mails: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        self.leases: list[tuple[str, str]] = []
        self.results: dict[str, str] = {}

    def attempt(self, persona: Persona, verb: str, **arguments: Any) -> Any:
        """A verb may refuse by one of our rules, and in no other way."""
        try:
            return persona.call(verb, **arguments)
        except psycopg.DatabaseError as error:
            assert (error.sqlstate or "").startswith("PT4"), error
            return None

    def runs(self) -> list[str]:
        return [row[0] for row in self.world.all("select id::text from runs order by created_at, id")]

    def pick(self, number: int) -> str:
        return choose(number, self.runs())

    @rule(sprints=st.integers(1, 3))
    def new_mail(self, sprints: int) -> None:
        self.mails.append((self.world.mail(), [spec(sprints=sprints)]))
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
        runner = self.world.runner_of(run_id)
        self.attempt(runner, "start_run_v1", run_id=run_id, ci_run_id=ci_run, ci_attempt=ci_attempt)

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, phase=st.sampled_from(["BUILD", "TESTS_PASSED", "MERGED", "NONSENSE"]))
    def record_event(self, number: int, phase: str) -> None:
        run_id = self.pick(number)
        runner = self.world.runner_of(run_id)
        self.attempt(runner, "record_event_v1", run_id=run_id, phase=phase, message="", metadata={})

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS, result=RESULTS)
    def finish(self, number: int, result: str) -> None:
        run_id = self.pick(number)
        self.attempt(self.world.runner_of(run_id), "finish_run_v1", run_id=run_id, result=result, summary={})

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
        runner = self.world.runner_of(run_id)
        runner.call("start_run_v1", run_id=run_id, ci_run_id=ci_run, ci_attempt=2)
        runner.call("finish_run_v1", run_id=run_id, result=result, summary={})

    @precondition(lambda self: self.mails)
    @rule(number=NUMBERS)
    def abandon(self, number: int) -> None:
        self.attempt(self.functions, "abandon_run_v1", run_id=self.pick(number), code="x", reason="y")

    @rule(kind=st.sampled_from(["dispatch", "notify"]), wear=st.booleans())
    def claim(self, kind: str, wear: bool) -> None:
        if wear:
            self.world.execute("update outbox set attempts = 7, next_attempt_at = now(), lease_expires_at = null"
                               " where state = 'PENDING'")  # fmt: skip
        for row in self.functions.call("claim_outbox_v1", kinds=[kind], limit=2, lease_seconds=60):
            self.leases.append((row["id"], row["lease_id"]))

    @rule(number=NUMBERS, well=st.booleans())
    def settle(self, number: int, well: bool) -> None:
        if not self.leases:
            return
        outbox_id, lease_id = choose(number, self.leases)
        if well:
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
    Verbs.world = world
    run_state_machine_as_test(
        Verbs,
        settings=settings(
            max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
