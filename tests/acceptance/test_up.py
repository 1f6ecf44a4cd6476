"""`aicd up`: the environment it prints can be used as the Supabase CLI's can."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import ROOT, Aicd

pytestmark = pytest.mark.acceptance


def test_up_prints_an_environment_that_works_and_ends_within_ten_seconds(state_folder: Path) -> None:
    aicd = Aicd(state_folder / "up-home")
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "up", "--ephemeral"],
        env=aicd.environ(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stdout is not None
    assert "The stack is up" in process.stderr.readline()
    environment = {}
    while "MAILBOX" not in environment:
        name, _, value = process.stdout.readline().partition("=")
        environment[name] = value.strip().strip('"')
    with psycopg.connect(environment["DB_URL"]) as connection:
        row = connection.execute("select current_user").fetchone()
        assert row == ("postgres",)
    keys = {"apikey": environment["ANON_KEY"], "Authorization": f"Bearer {environment['ANON_KEY']}"}
    refused = httpx.get(f"{environment['API_URL']}/rest/v1/specs?select=id", headers=keys)
    assert refused.status_code in (401, 403), "an anonymous caller reads nothing"
    assert httpx.get(environment["HEALTH_URL"]).status_code == 200
    assert httpx.post(environment["GMAIL_PUSH_URL"], json={}).status_code == 401

    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=15) == 0
    assert time.monotonic() - started < 10
    process.stdout.close()
    process.stderr.close()
