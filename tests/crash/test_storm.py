"""Postgres is stopped with immediate mode, again and again, while mail pours in; all of it arrives, once."""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from tests.crash.test_intake import orphans
from tests.crash.world import (
    PUSH_AUDIENCE,
    PUSHER,
    ROOT,
    World,
    free_port,
    letter,
    outbox_call,
    running_world,
    wait_for_port,
)

pytestmark = pytest.mark.database

LONGEST_RECOVERY_SECONDS = 30
FUNCTIONS = {"gmail_push": 8, "notify": 2, "dispatch": 2}


@pytest.fixture
def stormy_world() -> Iterator[World]:
    """A world of its own: nobody else's test should meet a dying database."""
    folder = Path(tempfile.mkdtemp(prefix="aicd-storm-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        with running_world(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def functions(stormy_world: World) -> Iterator[dict[str, str]]:
    """gmail-push, notify and dispatch as deployed; their addresses."""
    world, processes, ports = stormy_world, [], {}
    with (world.folder / "functions.log").open("a") as log:
        for name, threads in FUNCTIONS.items():
            ports[name] = free_port()
            source = ROOT / "functions" / name / "main.py"
            command = [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", "main"]
            command += ["--host", "127.0.0.1", "--port", str(ports[name])]
            environment = {**os.environ, **world.environment, "PYTHONPATH": str(ROOT), "THREADS": str(threads)}
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=world.folder))
        try:
            for process, port in zip(processes, ports.values(), strict=True):
                wait_for_port(port, process)
            yield {name: f"http://127.0.0.1:{port}/" for name, port in ports.items()}
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(15)


class Storm:
    """Kills the postmaster every so many seconds and starts it again, until told to stop."""

    def __init__(self, world: World, pause: Callable[[], float]) -> None:
        self._world = world
        self._pause = pause
        self._over = threading.Event()
        self.struck_at: list[float] = []

    def rage(self) -> None:
        """In the main thread: Postgres dies with the thread that started it."""
        while not self._over.wait(self._pause()):
            pid = self._world.database.pid
            assert pid is not None
            self.struck_at.append(time.time())
            os.kill(pid, signal.SIGQUIT)
            while self._world.database.pid is not None:
                time.sleep(0.005)
            self._world.database._server.start()

    def end(self) -> None:
        self._over.set()


def pour(world: World, mails: int, seconds: float) -> None:
    """Deliveries at an even rate, four senders at once."""
    pause = seconds / mails

    def send(number: int) -> str:
        time.sleep(pause * 8 * random.random())
        return world.deliver(letter())  # eight pauses for four senders: one pause for each mail, on the average

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(send, range(mails)))) == mails


def settled(world: World) -> bool:
    return all(delivery["state"] != "pending" for delivery in world.google.get("deliveries"))


def test_postgres_that_dies_under_load_loses_nothing_and_doubles_nothing(
    stormy_world: World, functions: dict[str, str], chaos: bool, tell: Callable[[str], None]
) -> None:
    world = stormy_world
    mails, seconds = (5_000, 600.0) if chaos else (150, 9.0)
    world.google.post("push-config", endpoint=functions["gmail_push"], audience=PUSH_AUDIENCE, service_account=PUSHER)
    storm = Storm(world, (lambda: random.uniform(5, 40)) if chaos else (lambda: random.uniform(1, 2.5)))
    working = threading.Event()
    patience = 1200 if chaos else 60

    def drive() -> None:
        """Mail, and meanwhile what webhooks and tick do; then the calm in which the last of it arrives."""
        try:
            with ThreadPoolExecutor(2) as pool:
                drainers = [pool.submit(keep_calling, functions[name], working) for name in ("notify", "dispatch")]
                pour(world, mails, seconds)
                storm.end()
                wait_until(lambda: settled(world), patience)
                wait_until(lambda: all_done(world, mails), patience)
                working.set()
                for drainer in drainers:
                    drainer.result()
        finally:
            storm.end()
            working.set()

    with ThreadPoolExecutor(1) as pool:
        driver = pool.submit(drive)
        storm.rage()
        driver.result()
    with psycopg.connect(world.database.owner_url, autocommit=True, row_factory=world.owner.row_factory) as owner:
        world.owner = owner
        assert_all_arrived_once(world, mails)
        recoveries = recovery_seconds(world, storm.struck_at)
    repeated = sum(len(delivery["attempts"]) - 1 for delivery in world.google.get("deliveries"))
    p95 = percentile(recoveries, 0.95)
    tell(
        f"{mails} mails, Postgres stopped {len(storm.struck_at)} times: 0 lost, 0 double; recovery p95 {p95:.1f} s,"
        f" worst {max(recoveries):.1f} s; {repeated} pushes repeated"
    )
    assert len(storm.struck_at) >= 3
    assert p95 <= LONGEST_RECOVERY_SECONDS


def keep_calling(address: str, over: threading.Event) -> None:
    """The webhook's and the scheduler's calls; an answer of 503 is what a dead database deserves."""
    import httpx

    with httpx.Client(trust_env=False, timeout=60) as client:
        while not over.wait(0.2):
            body, headers = outbox_call()
            status = client.post(address, content=body, headers=headers).status_code
            assert status in (200, 503), status


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to rest"
        time.sleep(0.5)


def all_done(world: World, mails: int) -> bool:
    """Whether every row of work was carried out; waits and leases are shortened as time would."""
    with psycopg.connect(world.database.owner_url, autocommit=True) as owner:
        owner.execute("update public.outbox set next_attempt_at = now() where state = 'PENDING' and lease_id is null")
        owner.execute(
            "update public.outbox set lease_expires_at = now() where state = 'PENDING'"
            " and lease_expires_at < now() + interval '80 s'"
        )
        row = owner.execute("select count(*) filter (where state = 'DONE'), count(*) from public.outbox").fetchone()
    return row == (2 * mails, 2 * mails)


def assert_all_arrived_once(world: World, mails: int) -> None:
    for table in ("messages", "specs", "sprints", "runs"):
        assert world.count(f"select count(*) from public.{table}") == mails, table
    assert world.count("select count(*) from public.messages where state = 'ACCEPTED'") == mails
    assert world.count("select count(*) from storage.objects where bucket_id = 'specs'") == mails
    assert orphans(world) == 0
    sent = Counter(world.notices())
    receipts = [row["id"] for row in world.rows("select id::text from public.outbox where kind = 'notify'")]
    assert set(sent) == set(receipts)
    assert max(sent.values()) == 1
    started = Counter(run["inputs"]["run-id"] for run in world.github.get("runs"))
    assert set(started) == {row["id"] for row in world.rows("select id::text from public.runs")}
    assert max(started.values()) == 1


def recovery_seconds(world: World, struck_at: list[float]) -> list[float]:
    """From each stroke to the next mail that was taken in."""
    taken: list[datetime] = [row["at"] for row in world.rows("select created_at as at from public.messages order by 1")]
    moments = [at.timestamp() for at in taken]
    after = [[moment - stroke for moment in moments if moment > stroke] for stroke in struck_at]
    return [found[0] for found in after if found]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]
