"""Retention: rows and objects go together, through the real gateway, and any interruption is caught up with."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import psycopg.types.json
import pytest

from controlplane.errors import NotFound
from controlplane.store import FunctionsStore
from functions._shared.retention.sweep import sweep
from tests.database.test_store import Gate, gate  # noqa: F401 - a fixture
from tests.database.world import World, forbidden, refused, spec

pytestmark = pytest.mark.database

CONTENT = b"meta: {}\n"


@dataclass
class Stock:
    """What is kept where, in one look."""

    world: World
    store: FunctionsStore
    folder: Path

    def objects(self) -> set[str]:
        return {f"{bucket}:{name}" for bucket, name in self.world.all("select bucket_id, name from storage.objects")}

    def files(self) -> int:
        """On the gateway's disk: the objects' bytes."""
        return sum(path.is_file() for path in self.folder.rglob("*"))

    def count(self, table: str) -> int:
        return int(self.world.value(f"select count(*) from {table}"))

    def marks(self) -> int:
        return self.count("private.expired_objects where removed_at is null")


@pytest.fixture
def stock(world: World, gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Stock:  # noqa: F811
    # Every module that asks for a gateway has one; the latest is ours.
    folder = max(tmp_path_factory.getbasetemp().glob("storage[0-9]*"), key=lambda path: int(path.name[7:]))
    return Stock(world, gate.functions(), folder)


def keep(world: World, kind: str, name: str, days: int | None) -> None:
    with world.administration() as operator:
        operator.set_retention(kind, name, days)  # type: ignore[arg-type]


def age(world: World, days: int, *tables: str) -> None:
    """Make everything in these tables older. What a run was and when is guarded; hence without triggers."""
    columns = {"outbox": "done_at", "runs": "finished_at"}
    with psycopg.connect(world.superuser_dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        for table in tables:
            column = columns.get(table, "created_at")
            connection.execute(f"update {table} set {column} = {column} - interval '{days} days'")  # type: ignore[arg-type]


def deliver(stock: Stock, gate: Gate, session: bool = False) -> dict[str, Any]:  # noqa: F811
    """One specification from its object to a report, and everything that it called for carried out."""
    world, store = stock.world, stock.store
    spec_id = str(uuid.uuid4())
    row = spec(id=spec_id, storage_path=store.put_spec(spec_id, CONTENT, "application/yaml"),
               sha=hashlib.sha256(CONTENT).hexdigest())  # fmt: skip
    run_id = store.ingest_message(world.mail(), [row])["specs"][0]["runs"][0]
    runner = gate.runner(world, run_id)
    runner.start_run(run_id, "1", 1)
    runner.record_event(run_id, "BUILD", "", {})
    runner.record_execution(run_id, {"agent": "x"})
    sprint_id = world.value("select sprint_id::text from runs where id = %s", run_id)
    kept = runner.put_session(sprint_id, run_id, run_id.encode()) if session else ""
    paths = []
    for number in range(2):
        artifact_id = str(uuid.uuid4())
        paths.append(runner.put_artifact(run_id, artifact_id, f"report {number}".encode(), "text/plain"))
        runner.record_artifact(run_id, {"id": artifact_id, "kind": "report", "storage_path": paths[-1]})
    runner.finish_run(run_id, "PASSED", {})
    for work in store.claim_outbox(["dispatch", "notify"], 50, 60):
        store.finish_outbox(work["id"], work["lease_id"], {})
    return {"spec_id": spec_id, "run_id": run_id, "artifacts": paths, "session": kept}


EVERYTHING = ("specs", "sprints", "runs", "artifacts", "status_events", "agent_executions", "outbox")


def test_without_a_policy_everything_is_kept(stock: Stock, gate: Gate) -> None:  # noqa: F811
    deliver(stock, gate)
    keep(stock.world, "bucket", "artifacts", None)
    age(stock.world, 5000, "messages", "audit_log", "storage.objects", *EVERYTHING)
    before = {table: stock.count(table) for table in EVERYTHING}, stock.objects(), stock.files()
    swept = sweep(stock.store)
    assert (sum(swept.rows.values()), swept.objects) == (0, 0)
    assert ({table: stock.count(table) for table in EVERYTHING}, stock.objects(), stock.files()) == before
    assert len(stock.objects()) == 3


def test_old_artifacts_go_with_their_bytes_and_young_ones_stay(stock: Stock, gate: Gate) -> None:  # noqa: F811
    old = deliver(stock, gate)
    age(stock.world, 31, "artifacts")
    young = deliver(stock, gate)
    keep(stock.world, "bucket", "artifacts", 30)
    files = stock.files()
    swept = sweep(stock.store)
    assert (swept.rows["artifacts"], swept.objects) == (2, 2)
    assert {row[0] for row in stock.world.all("select storage_path from artifacts")} == set(young["artifacts"])
    assert stock.objects() == {f"specs:{one['spec_id']}/source" for one in (old, young)} | {
        f"artifacts:{path}" for path in young["artifacts"]
    }
    assert stock.files() == files - 2
    assert stock.marks() == 0


def test_old_specification_goes_with_all_that_was_made_of_it(stock: Stock, gate: Gate) -> None:  # noqa: F811
    deliver(stock, gate)
    age(stock.world, 31, "messages", *EVERYTHING, "storage.objects")
    young = deliver(stock, gate)
    before = {table: stock.count(table) for table in EVERYTHING}
    keep(stock.world, "bucket", "specs", 30)
    swept = sweep(stock.store)
    assert (swept.rows["specs"], swept.rows["artifacts"], swept.objects) == (1, 2, 3)
    assert {table: stock.count(table) for table in EVERYTHING} == {table: n // 2 for table, n in before.items()}
    assert stock.objects() == {f"specs:{young['spec_id']}/source"} | {f"artifacts:{p}" for p in young["artifacts"]}
    assert stock.world.value("select count(*) from audit_log where action = 'expire_spec'") == 1
    assert stock.count("messages") == 2, "mail has a policy of its own"
    with pytest.raises(NotFound):
        stock.store.get_spec(str(uuid.uuid4()))


def test_sessions_go_with_their_specification(stock: Stock, gate: Gate) -> None:  # noqa: F811
    old, young = deliver(stock, gate, session=True), deliver(stock, gate, session=True)
    age_one = "update specs set created_at = created_at - interval '31 days' where id = %s"
    stock.world.execute(age_one, old["spec_id"])
    with psycopg.connect(stock.world.superuser_dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(
            "update runs set finished_at = finished_at - interval '31 days' where id = %s", (old["run_id"],)
        )
    keep(stock.world, "bucket", "specs", 30)
    assert sweep(stock.store).objects == 4
    assert {name for name in stock.objects() if name.startswith("sessions:")} == {f"sessions:{young['session']}"}
    assert (stock.count("specs"), stock.marks()) == (1, 0)


def test_session_of_no_sprint_is_an_orphan(stock: Stock) -> None:
    path = f"{uuid.uuid4()}/{uuid.uuid4()}"
    stock.world.execute("insert into storage.objects (bucket_id, name, created_at)"
                        " values ('sessions', %s, now() - interval '2 days')", path)  # fmt: skip
    assert stock.store.expire_rows()["objects"] == [{"bucket": "sessions", "path": path}]


@pytest.mark.parametrize(
    ("state", "named", "run_is_open", "goes"),
    [("FAILED", True, False, False), ("FAILED", False, False, True), ("DONE", True, False, True),
     ("CANCELLED", True, False, True), ("RUNNING", False, True, False)],
)  # fmt: skip
def test_session_goes_when_nobody_will_go_on_from_it(
    stock: Stock, state: str, named: bool, run_is_open: bool, goes: bool
) -> None:
    made = stock.world.started()
    path = stock.world.value("select sprint_id || '/' || id from runs")
    stock.world.runner_of(made["run_id"]).call(
        "keep_session_v1", run_id=made["run_id"], session={"path": path if named else "elsewhere"}
    )
    stock.world.execute("insert into storage.objects (bucket_id, name, created_at)"
                        " values ('sessions', %s, now() - interval '2 days')", path)  # fmt: skip
    with psycopg.connect(stock.world.superuser_dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update sprints set state = %s", (state,))
        if not run_is_open:
            connection.execute("update runs set result = 'FAILED', finished_at = now()")
    marked = [{"bucket": "sessions", "path": path}] if goes else []
    assert stock.store.expire_rows()["objects"] == marked


def test_archive_that_was_replaced_goes_and_its_key_is_free_again(stock: Stock, gate: Gate) -> None:  # noqa: F811
    """Nine keys are enough for any number of attempts."""
    made = stock.world.started()
    run_id, runner = made["run_id"], gate.runner(stock.world, made["run_id"])
    sprint_id = stock.world.value("select sprint_id::text from runs")
    path, used = "", []
    for number in range(20):
        path = runner.put_session(sprint_id, run_id, f"said {number}".encode(), path)
        runner.keep_session(run_id, {"path": path})
        used.append(path)
        stock.store.expire_rows()
        if number % 4 == 3:
            sweep(stock.store)
    assert runner.get_session(path) == b"said 19"
    assert len(set(used)) == 9
    sweep(stock.store)
    assert {name for name in stock.objects() if name.startswith("sessions:")} == {f"sessions:{path}"}


@pytest.mark.parametrize(
    "why",
    ["update sprints set state = 'RUNNING'", "update runs set result = null, finished_at = null",
     "update runs set finished_at = now()", "update outbox set state = 'PENDING', done_at = null where kind = 'notify'",
     "update outbox set state = 'DEAD', done_at = null where kind = 'notify'"],
)  # fmt: skip
def test_work_that_is_not_over_holds_a_specification_back(stock: Stock, gate: Gate, why: str) -> None:  # noqa: F811
    deliver(stock, gate)
    age(stock.world, 31, *EVERYTHING)
    with psycopg.connect(stock.world.superuser_dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(why)  # type: ignore[arg-type]
    keep(stock.world, "bucket", "specs", 30)
    assert sweep(stock.store).objects == 0
    assert stock.count("specs") == 1


def test_specification_on_its_way_out_is_not_begun_again(stock: Stock, gate: Gate) -> None:  # noqa: F811
    made = deliver(stock, gate)
    age(stock.world, 31, *EVERYTHING)
    keep(stock.world, "bucket", "specs", 30)
    stock.store.expire_rows()
    (sprint_id,) = stock.world.one("select id::text from sprints")
    with refused(409, "spec-expired"):
        stock.world.execute("select retry_sprint_v1(%s)", sprint_id)
    with refused(409, "spec-expired"):
        stock.world.execute("select cancel_spec_v1(%s)", made["spec_id"])
    sweep(stock.store)
    assert stock.count("specs") == 0


def test_rows_without_objects_go_by_the_policy_of_their_table(stock: Stock, gate: Gate) -> None:  # noqa: F811
    made = deliver(stock, gate)
    stock.world.functions().call("record_message_v1", message=stock.world.mail(state="REFUSED"))
    open_run = stock.world.ingest()
    stock.world.execute("update outbox set state = 'DONE' where payload ->> 'run_id' = %s", open_run["run_id"])
    age(stock.world, 100, "messages", "audit_log", "status_events", "agent_executions", "outbox")
    for table in ("messages", "audit_log", "status_events", "agent_executions", "outbox"):
        keep(stock.world, "table", table, 90)
    rows = sweep(stock.store).rows
    # The mail of the two specifications stays, and the work order of the run that is open.
    assert rows["messages"] == 1
    assert stock.world.all("select idempotency_key from outbox where kind = 'dispatch'") == [
        (f"dispatch:{open_run['run_id']}",)
    ]
    assert (rows["agent_executions"], stock.count("status_events"), rows["outbox"]) == (1, 0, 3)
    assert rows["audit_log"] > 0
    actions = {row[0] for row in stock.world.all("select action from audit_log")}
    assert actions == {"set_retention", "expire_rows"}
    assert stock.world.value("select count(*) from runs where id = %s", made["run_id"]) == 1


# Interruptions


class Killed(Exception):
    pass


class Mortal:
    """The real store, which dies at its n-th call: before it took effect, or before its answer came back."""

    def __init__(self, store: FunctionsStore, dies_at: int, *, answered_late: bool) -> None:
        self._store, self._left, self._late = store, dies_at, answered_late

    def expire_rows(self, limit: int) -> Any:
        return self._do(lambda: self._store.expire_rows(limit))

    def remove_objects(self, bucket: str, paths: Sequence[str]) -> Any:
        return self._do(lambda: self._store.remove_objects(bucket, paths))

    def _do(self, call: Any) -> Any:
        self._left -= 1
        if self._left == 0 and not self._late:
            raise Killed
        answer = call()
        if self._left == 0:
            raise Killed
        return answer


def test_tick_killed_at_every_step_leaves_nothing_half_gone(stock: Stock, gate: Gate) -> None:  # noqa: F811
    """Between any two steps an object may be gone and its row still there, but never the other way round."""
    keep(stock.world, "bucket", "specs", 30)
    killed = 0
    for dies_at in range(1, 20):
        for late in (False, True):
            deliver(stock, gate)
            age(stock.world, 31, *EVERYTHING)
            try:
                sweep(Mortal(stock.store, dies_at, answered_late=late))
            except Killed:
                killed += 1
                named = {f"specs:{row[0]}" for row in stock.world.all("select storage_path from specs")}
                named |= {f"artifacts:{row[0]}" for row in stock.world.all("select storage_path from artifacts")}
                assert stock.objects() <= named, "an object without its row"
            for _ in range(2):
                sweep(stock.store)
            assert (stock.count("specs"), stock.objects(), stock.marks()) == (0, set(), 0)
        if killed < 2 * dies_at:
            break
    assert killed == 8, "two calls to the database and one to each bucket, each killed before and after its effect"
    print(f"tick killed at {killed} points of retention, nothing half gone")


def test_storage_that_refuses_is_asked_again_next_time(stock: Stock, gate: Gate) -> None:  # noqa: F811
    deliver(stock, gate)
    age(stock.world, 31, "artifacts")
    keep(stock.world, "bucket", "artifacts", 30)
    with psycopg.connect(stock.world.superuser_dsn, autocommit=True) as connection:
        connection.execute('alter policy "functions remove marked objects" on storage.objects using (false)')
        assert (sweep(stock.store).objects, stock.count("artifacts"), stock.marks()) == (0, 2, 2)
        connection.execute(
            'alter policy "functions remove marked objects" on storage.objects using (bucket_id in'
            " ('specs', 'artifacts') and (select private.token_is_live())"
            " and private.may_remove_object(bucket_id, name, created_at))"
        )
    assert (sweep(stock.store).objects, stock.count("artifacts"), stock.marks()) == (2, 0, 0)


# Orphans


def orphan(stock: Stock, days: int = 2) -> str:
    spec_id = str(uuid.uuid4())
    stock.store.put_spec(spec_id, CONTENT, "application/yaml")
    stock.world.execute("update storage.objects set created_at = now() - make_interval(days => %s)", days)
    stock.world.execute("delete from private.settings where name = 'orphans_looked_for_at'")
    return spec_id


def test_objects_that_no_row_names_go_after_a_day(stock: Stock, gate: Gate) -> None:  # noqa: F811
    made = deliver(stock, gate)
    orphan(stock)
    left_by_a_dead_runner = f"{made['run_id']}/{uuid.uuid4()}"
    stock.world.execute(
        "insert into storage.objects (bucket_id, name, version, created_at)"
        " values ('artifacts', %s, gen_random_uuid(), now() - interval '2 days')",
        left_by_a_dead_runner,
    )
    kept = {f"specs:{made['spec_id']}/source"} | {f"artifacts:{path}" for path in made["artifacts"]}
    assert sweep(stock.store).objects == 2
    assert stock.objects() == kept
    assert sweep(stock.store).objects == 0


def test_young_objects_and_those_of_open_runs_are_no_orphans(stock: Stock) -> None:
    made = stock.world.started()
    stock.world.execute("insert into storage.objects (bucket_id, name) values ('artifacts', %s)",
                        f"{made['run_id']}/{uuid.uuid4()}")  # fmt: skip
    orphan(stock)
    stock.store.put_spec(str(uuid.uuid4()), CONTENT, "application/yaml")
    assert sweep(stock.store).objects == 1
    assert len(stock.objects()) == 2


def test_orphans_are_looked_for_once_an_hour(stock: Stock) -> None:
    orphan(stock)
    sweep(stock.store)
    stock.store.put_spec(str(uuid.uuid4()), CONTENT, "application/yaml")
    stock.world.execute("update storage.objects set created_at = now() - interval '2 days'")
    assert sweep(stock.store).objects == 0
    stock.world.execute("update private.settings set value = (now() - interval '61 minutes')::text")
    assert sweep(stock.store).objects == 1


def take_in(world: World, spec_id: str) -> Any:
    row = spec(id=spec_id, storage_path=f"{spec_id}/source")
    return world.functions().call("ingest_message_v1", message=world.mail(), specs=[row])


def test_orphan_whose_row_comes_after_all_stays(stock: Stock) -> None:
    spec_id = orphan(stock)
    marked = stock.store.expire_rows()["objects"]
    assert marked == [{"bucket": "specs", "path": f"{spec_id}/source"}]
    assert take_in(stock.world, spec_id)["outcome"] == "accepted"
    assert stock.store.remove_objects("specs", [f"{spec_id}/source"]) == 0
    assert stock.store.get_spec(spec_id) == CONTENT


def test_row_that_comes_too_late_is_refused_until_the_object_is_stored_again(stock: Stock) -> None:
    spec_id = orphan(stock)
    sweep(stock.store)
    with refused(503, "object-removed"):
        take_in(stock.world, spec_id)
    assert stock.count("specs") == 0
    stock.store.put_spec(spec_id, CONTENT, "application/yaml")
    assert take_in(stock.world, spec_id)["outcome"] == "accepted"
    sweep(stock.store)
    assert stock.store.get_spec(spec_id) == CONTENT


def test_orphan_stored_anew_since_it_was_marked_is_not_removed(stock: Stock) -> None:
    spec_id = orphan(stock)
    stock.store.expire_rows()
    stock.world.execute("update storage.objects set created_at = now() + interval '1 second'")
    assert stock.store.remove_objects("specs", [f"{spec_id}/source"]) == 0
    assert (sweep(stock.store).objects, stock.marks()) == (0, 0)


REMOVE = (
    "with allowed as materialized (select set_config('storage.allow_delete_query', 'true', true)) select from allowed"
)


def test_removal_under_way_makes_the_row_wait_and_then_fail(stock: Stock) -> None:
    """Storage has deleted and not yet committed, when the mail is delivered again."""
    spec_id = orphan(stock)
    stock.store.expire_rows()
    told: list[Any] = []
    with stock.world.functions().transaction() as storage:
        storage.execute(REMOVE)
        assert storage.execute("delete from storage.objects where bucket_id = 'specs'").rowcount == 1
        late = threading.Thread(target=lambda: told.append(outcome_of(stock.world, spec_id)))
        late.start()
        late.join(0.4)
        assert late.is_alive(), "the row waits for the removal"
    late.join(10)
    assert told == ["object-removed"]


def test_row_under_way_makes_the_removal_wait_and_then_spare_it(stock: Stock) -> None:
    spec_id = orphan(stock)
    stock.store.expire_rows()
    removed: list[int] = []
    path = f"{spec_id}/source"
    with stock.world.functions().transaction() as intake:
        row = psycopg.types.json.Jsonb([spec(id=spec_id, storage_path=path)])
        intake.execute("select ingest_message_v1(%s, %s)", [psycopg.types.json.Jsonb(stock.world.mail()), row])
        sweeper = threading.Thread(target=lambda: removed.append(stock.store.remove_objects("specs", [path])))
        sweeper.start()
        sweeper.join(0.4)
        assert sweeper.is_alive(), "the removal waits for the row"
    sweeper.join(10)
    assert removed == [0]
    assert stock.store.get_spec(spec_id) == CONTENT


def outcome_of(world: World, spec_id: str) -> str:
    try:
        return str(take_in(world, spec_id)["outcome"])
    except psycopg.DatabaseError as error:
        return str(error.diag.message_primary)


# Who may


def test_nobody_removes_what_is_not_marked(stock: Stock, gate: Gate) -> None:  # noqa: F811
    made = deliver(stock, gate)
    names = [f"{made['spec_id']}/source", *made["artifacts"]]
    for persona in (
        stock.world.functions(), stock.world.runner_of(made["run_id"]), stock.world.anonymous(),
        stock.world.member_of(stock.world.projects["acme/shop"], "maintainer"),
    ):  # fmt: skip
        with persona.transaction() as connection:
            connection.execute(REMOVE)
            assert connection.execute("delete from storage.objects where name = any(%s)", [names]).rowcount == 0
    assert stock.store.remove_objects("artifacts", made["artifacts"]) == 0


def test_only_functions_remove_what_is_marked(stock: Stock, gate: Gate) -> None:  # noqa: F811
    made = deliver(stock, gate)
    age(stock.world, 31, "artifacts")
    keep(stock.world, "bucket", "artifacts", 30)
    stock.store.expire_rows()
    dead = stock.world.functions()
    with stock.world.administration() as operator:
        operator.revoke_token(dead.claims["jti"], "test")
    for persona in (dead, stock.world.runner_of(made["run_id"]), stock.world.anonymous(),
                    stock.world.member_of(stock.world.projects["acme/shop"], "maintainer")):  # fmt: skip
        with persona.transaction() as connection:
            connection.execute(REMOVE)
            # Hidden rows and forbidden ones look alike to some; none of them goes.
            assert connection.execute("delete from storage.objects").rowcount == 0
    assert sweep(stock.store).objects == 2


def test_retention_verbs_are_closed_to_everybody_else(world: World) -> None:
    made = world.started()
    member = world.member_of(world.projects["acme/shop"], "maintainer")
    for persona in (world.runner_of(made["run_id"]), member, world.anonymous()):
        with forbidden():
            persona.call("expire_rows_v1", limit=1)
    for persona in (world.functions(), member):
        with forbidden():
            persona.call("set_retention_v1", kind="table", name="messages", keep_days=99)
        with forbidden():
            persona.rows("select * from retention_policies")


@pytest.mark.parametrize(
    ("kind", "name", "days"),
    [("table", "specs", 30), ("bucket", "messages", 30), ("table", "audit_log", 89), ("table", "messages", 29),
     ("bucket", "artifacts", 7), ("bucket", "specs", 0), ("table", "status_events", 0), ("table", "outbox", -1)],
)  # fmt: skip
def test_policy_that_would_do_harm_is_refused(world: World, kind: str, name: str, days: int) -> None:
    with refused(400, "bad-retention"):
        world.execute("select set_retention_v1(%s, %s, %s)", kind, name, days)
