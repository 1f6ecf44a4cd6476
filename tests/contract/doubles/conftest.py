"""The doubles as real processes, and a check that no test leaves an unexpected problem behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[3]


class Double:
    """A running double and a client for it."""

    def __init__(self, name: str, state: Path, **variables: str) -> None:
        self.name = name
        self.state = state
        variable = f"AICD_{name.upper()}_DOUBLE"
        self.environment = {**os.environ, f"{variable}_PORT": "0", f"{variable}_STATE": str(state), **variables}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"local.doubles.{self.name}"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())["ready"]
        self.url, self.port = ready["url"], ready["port"]
        self.client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.client.close()
        self.process.send_signal(how)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def problems(self) -> list[dict[str, Any]]:
        return self.client.get("/_double/problems").json()

    def clear(self) -> list[dict[str, Any]]:
        """The problems so far, forgotten: for tests that cause them on purpose."""
        found = self.problems()
        self.client.delete("/_double/problems")
        return found

    def control(self, path: str, **body: Any) -> Any:
        answer = self.client.post(f"/_double/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def running_google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    double = Double("google", tmp_path_factory.mktemp("google"))
    yield double
    double.stop()


@pytest.fixture(scope="session")
def running_github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    double = Double("github", tmp_path_factory.mktemp("github"))
    yield double
    double.stop()


@pytest.fixture
def google(running_google: Double) -> Iterator[Double]:
    """The Google double without faults; fails the test that leaves a problem."""
    running_google.control("faults")
    running_google.control("push-config", endpoint="")
    running_google.client.delete("/_double/deliveries")
    yield running_google
    left = running_google.clear()
    assert left == []


@pytest.fixture
def github(running_github: Double) -> Iterator[Double]:
    """The GitHub double without faults; fails the test that leaves a problem."""
    running_github.control("faults")
    yield running_github
    left = running_github.clear()
    assert left == []


class Subscriber:
    """A push endpoint: answers with the given statuses in turn (the last one for ever) and keeps what came."""

    def __init__(self) -> None:
        self.statuses = [204]
        self.received: list[tuple[dict[str, str], Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.received.append(({k.lower(): v for k, v in self.headers.items()}, json.loads(body)))
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    endpoint = Subscriber()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()
