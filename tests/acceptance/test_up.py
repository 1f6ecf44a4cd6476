"""`aicd up`: the environment it prints can be used as the Supabase CLI's can."""

from __future__ import annotations

import json
import os
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


def test_up_with_claude_plans_and_builds_the_letter_that_send_brings(state_folder: Path) -> None:
    """The double of the Messages API stands for the model; the key is one that it lets in."""
    aicd = Aicd(state_folder / "claude-up-home")
    double = subprocess.Popen(
        [sys.executable, "-m", "local.doubles.anthropic", "--scenario", "demo", "--port", "0"],
        env=aicd.environ(), cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert double.stdout is not None
    address = f"http://127.0.0.1:{json.loads(double.stdout.readline())['ready']['port']}"
    environ = {name: value for name, value in aicd.environ().items() if name != "ANTHROPIC_API_KEY"}
    stack = subprocess.Popen(
        [sys.executable, "-m", "local", "up", "--ephemeral", "--agent", "claude"],
        env={**environ, "ANTHROPIC_BASE_URL": address},
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert stack.stderr is not None
    try:
        assert "The stack is up" in stack.stderr.readline()
        sent = aicd.json("send", str(ROOT / "examples" / "demo" / "letter.eml"))
    finally:
        stack.send_signal(signal.SIGTERM)
        stack.wait(timeout=15)
        double.terminate()
        double.wait()
        stack.stderr.close()
        double.stdout.close()
    assert sent["accepted"], sent
    assert [run["result"] for run in sent["runs"]] == ["PASSED"]


def test_up_with_claude_and_nobody_to_ask_says_what_to_set(state_folder: Path) -> None:
    unset = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_BASE_URL": ""}
    done = subprocess.run(
        [sys.executable, "-m", "local", "up", "--ephemeral", "--agent", "claude"],
        env={**os.environ, **unset, "AICD_STATE_HOME": str(state_folder / "no-home"), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Set ANTHROPIC_API_KEY, or ANTHROPIC_BASE_URL" in done.stderr
