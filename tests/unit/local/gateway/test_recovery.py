"""The gateway while its database dies and comes back."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psycopg
import pytest

from local.postgres.bootstrap import bootstrap
from local.postgres.database import start_database

from .conftest import ALICE, SCHEMA, Stack, http, start_gateway


def call(stack: Stack) -> int:
    headers = {"apikey": stack.publishable_key, "Authorization": f"Bearer {stack.token(sub=ALICE)}"}
    return http.post(f"{stack.url}/rest/v1/rpc/add_note", json={"p_title": None}, headers=headers).status_code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
def test_gateway_survives_a_killed_database(tmp_path: Path, number: signal.Signals) -> None:
    database = start_database(tmp_path / "data", ephemeral=False)
    bootstrap(database, None)
    with psycopg.connect(database.owner_url) as connection:
        connection.execute(SCHEMA.read_text())
    stack = start_gateway(database, tmp_path / "objects")
    try:
        answered = sum(call(stack) == 200 for _ in range(20))
        assert answered == 20
        assert database.pid is not None
        os.kill(database.pid, number)
        deadline = time.monotonic() + 10
        # Backends end a moment after their postmaster; what they still answered counts like everything else.
        while (status := call(stack)) == 200 and time.monotonic() < deadline:
            answered += 1
        assert status in (503, 504), "an answer, not silence and not a trace"
        database._lock.release()
        with start_database(tmp_path / "data", ephemeral=True, port=database.port) as again:
            deadline = time.monotonic() + 10
            while (status := call(stack)) != 200 and time.monotonic() < deadline:
                assert status in (503, 504)
                time.sleep(0.02)
            assert status == 200
            with psycopg.connect(again.owner_url) as connection:
                row = connection.execute("select count(*) from notes").fetchone()
            # The one call that the kill cut off may have been committed before its answer was lost.
            assert row in ((answered + 1,), (answered + 2,)), "what was answered with success is there, once"
    finally:
        stack.process.terminate()
        assert stack.process.wait(10) == 0
