"""A member's reads with row level security and without, at 10^5 and 10^6 events: they cost the same, at any size.

AICD_BENCH_ROWS names other sizes, comma separated: AICD_BENCH_ROWS=100000,1000000,10000000.
Each read is one API transaction (role and claims set, one function called, commit) on a connection that is kept, as
PostgREST keeps its own; the two sides take turns. With row level security: a member of 2 of 50 projects. Without: the
tables' owner, whom no policy holds. The goal is a ratio of at most 1.2 and the same figures at every size.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.measure import Measure
from local.postgres.bootstrap import bootstrap
from local.postgres.database import Database, start_database
from local.stack.places import REPOSITORY_ROOT

MIGRATIONS = REPOSITORY_ROOT / "supabase" / "migrations"
SIZES = (100_000, 1_000_000)
PROJECTS = 50
EVENTS_PER_RUN = 100
ROUNDS = 300
WARM_UP = 20
MEMBER = str(uuid.UUID(int=1))
CLAIMS = json.dumps({"role": "authenticated", "sub": MEMBER, "exp": 4_102_444_800, "session_id": "x"})
Call = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class ReadMeasure(Measure):
    """As Measure, with the 95th percentile of both sides."""

    ours_p95: float
    baseline_p95: float

    def __str__(self) -> str:
        return (
            f"{self.name}: p50 {self.ours_seconds * 1e3:.2f} ms = {self.ratio:.2f} x {self.baseline} "
            f"({self.baseline_seconds * 1e3:.2f} ms); "
            f"p95 {self.ours_p95 * 1e3:.2f} and {self.baseline_p95 * 1e3:.2f} ms"
        )


def run() -> list[Measure]:
    sizes = [int(size) for size in os.environ.get("AICD_BENCH_ROWS", "").split(",") if size.strip()] or list(SIZES)
    found: list[Measure] = []
    for size in sizes:
        with peopled_database(size) as database:
            found += measure_reads(database, size)
    return found


@contextmanager
def peopled_database(events: int) -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="aicd-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with start_database(folder / "reads", ephemeral=True) as database:
            bootstrap(database, MIGRATIONS)
            with psycopg.connect(database.superuser_dsn, autocommit=True) as connection:
                people(connection, events)
            yield database


def people(connection: psycopg.Connection[Any], events: int) -> None:
    """50 projects that share the events evenly, each run with a hundred; the member belongs to two of them."""
    # Triggers and foreign keys are asleep: a million rows through the verbs would take an hour.
    connection.execute("set session_replication_role = replica")
    runs = max(events // EVENTS_PER_RUN, PROJECTS)
    for statement in FILL:
        connection.execute(statement, {"projects": PROJECTS, "runs": runs, "events": events, "member": MEMBER})
    connection.execute("reset session_replication_role")
    connection.execute("vacuum analyze")


def the_id(number: str, kind: int) -> str:
    """SQL for the uuid of the row with this number."""
    return f"('{kind:08d}-0000-4000-8000-' || lpad(to_hex({number}), 12, '0'))::uuid"


PROJECT, SPEC, SPRINT, RUN, ARTIFACT = 1, 2, 3, 4, 5
# Time goes by at one second a row, so that every project's rows lie all over the years.
PROJECT_OF_RUN = the_id("mod(n, %(projects)s)", PROJECT)
RUN_OF_EVENT = f"mod(n / {EVENTS_PER_RUN}, %(runs)s)"
AT = "timestamptz '2026-01-01' + make_interval(secs => {})"
FILL = (
    "insert into auth.users (id, email) values (%(member)s, 'member@example.com')",
    f"insert into organisations (id, name) values ({the_id('1', 9)}, 'acme')",
    f"insert into projects (id, organisation_id, name, repo) select {the_id('n', PROJECT)}, {the_id('1', 9)},"
    " 'p' || n, 'acme/p' || n from generate_series(0, %(projects)s - 1) n",
    f"insert into project_members (project_id, user_id, role) select {the_id('n', PROJECT)}, %(member)s, 'viewer'"
    " from generate_series(0, 1) n",
    "insert into specs (id, project_id, repo, storage_path, sha, size, title, created_by, created_at)"
    f" select {the_id('n', SPEC)}, {PROJECT_OF_RUN}, 'acme/p', {the_id('n', SPEC)} || '/source',"
    f" repeat('a', 64), 1000, 'A specification', 'ada@example.com', {AT.format(f'n * {EVENTS_PER_RUN}.0')}"
    " from generate_series(0, %(runs)s - 1) n",
    "insert into sprints (id, spec_id, project_id, label, state, plan_json)"
    f" select {the_id('n', SPRINT)}, {the_id('n', SPEC)}, {PROJECT_OF_RUN}, 'sprint-1', 'DONE',"
    " '{}' from generate_series(0, %(runs)s - 1) n",
    "insert into runs (id, sprint_id, spec_id, project_id, created_at, started_at, finished_at, result)"
    f" select {the_id('n', RUN)}, {the_id('n', SPRINT)}, {the_id('n', SPEC)}, {PROJECT_OF_RUN},"
    f" {AT.format(f'n * {EVENTS_PER_RUN}.0')}, now(), now(), 'PASSED' from generate_series(0, %(runs)s - 1) n",
    "insert into artifacts (run_id, project_id, kind, id, storage_path)"
    f" select {the_id('n', RUN)}, {PROJECT_OF_RUN}, 'report', {the_id('n * 5 + k', ARTIFACT)},"
    f" {the_id('n', RUN)} || '/' || {the_id('n * 5 + k', ARTIFACT)}"
    " from generate_series(0, %(runs)s - 1) n, generate_series(0, 4) k",
    "insert into agent_executions (run_id, project_id, agent)"
    f" select {the_id('n', RUN)}, {PROJECT_OF_RUN}, 'command'"
    " from generate_series(0, %(runs)s - 1) n, generate_series(1, 3)",
    "insert into status_events (run_id, spec_id, project_id, phase, message, created_at)"
    f" select {the_id(RUN_OF_EVENT, RUN)}, {the_id(RUN_OF_EVENT, SPEC)},"
    f" {the_id(f'mod({RUN_OF_EVENT}, %(projects)s)', PROJECT)}, 'BUILD', 'Something happened',"
    f" {AT.format('n')} from generate_series(0, %(events)s - 1) n",
)


def reads(events: int) -> dict[str, Call]:
    """Each read that a member has, on its first page and in the middle of what there is."""
    middle_run = (events // EVENTS_PER_RUN // 2) // PROJECTS * PROJECTS
    middle = "2026-01-01T00:00:00Z", middle_run * EVENTS_PER_RUN
    ids = {kind: f"{kind:08d}-0000-4000-8000-{middle_run:012x}" for kind in (SPEC, RUN)}
    project = f"{PROJECT:08d}-0000-4000-8000-{0:012x}"
    key = f"timestamptz '{middle[0]}' + make_interval(secs => {middle[1]})"
    return {
        "projects": ("select list_projects_v1(null, 2)", ()),
        "specifications, first page": ("select list_specs_v1(%s, p_limit => 10)", (project,)),
        "specifications, middle": (f"select list_specs_v1(%s, {key}, %s, 10)", (project, ids[SPEC])),
        "runs of a specification": ("select list_runs_v1(%s)", (ids[SPEC],)),
        "a run's page": ("select show_run_v1(%s)", (ids[RUN],)),
        "events of a run": ("select list_run_events_v1(%s)", (ids[RUN],)),
        "event tail, first page": ("select list_events_v1(%s)", (project,)),
        "event tail, middle": (f"select list_events_v1(%s, {key}, %s)", (project, ids[RUN])),
        "event tail, nothing new": ("select list_events_v1(%s, now() + interval '99 years')", (project,)),
    }


def measure_reads(database: Database, events: int) -> list[Measure]:
    # The same socket and login on both sides; two connections, because a change of role throws plans away.
    with psycopg.connect(database.superuser_dsn, autocommit=True) as member, \
            psycopg.connect(database.superuser_dsn, autocommit=True) as owner:  # fmt: skip
        return [
            measure_read(
                f"{name}, {events} events", as_role(member, "authenticated", *call), as_role(owner, "postgres", *call)
            )
            for name, call in reads(events).items()
        ]


def measure_read(name: str, ours: Callable[[], Any], baseline: Callable[[], Any]) -> Measure:
    assert ours() == baseline(), f"{name}: the member does not see what the owner sees"
    for _ in range(WARM_UP):
        ours(), baseline()
    pairs = [(seconds(ours), seconds(baseline)) for _ in range(ROUNDS)]
    mine, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
    return ReadMeasure(name, statistics.median(mine), "without row level security", statistics.median(theirs), ROUNDS,
        ours_p95=p95(mine), baseline_p95=p95(theirs))  # fmt: skip


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def as_role(
    connection: psycopg.Connection[Any], role: str, statement: str, parameters: tuple[Any, ...]
) -> Callable[[], Any]:
    """One API transaction in one round trip, as the gateway and PostgREST make it."""

    def call() -> Any:
        with connection.pipeline():
            connection.execute("begin read only")
            connection.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)", (role, CLAIMS)
            )
            cursor = connection.execute(statement, parameters)
            connection.execute("commit")
        row = cursor.fetchone()
        return row[0] if row else None

    return call
