"""The product, started for a browser: in a cell of its own, awaited on its address, stopped with all it started."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from action.verify.checkout import Snapshot, write_checkout
from action.verify.projectfile import App
from action.verify.sandbox import Cell, Outcome

LOOK_SECONDS = 0.1
ANSWER_SECONDS = 5


@dataclass(frozen=True)
class Serving:
    """`url` is where the app answers; with a `problem` it does not."""

    url: str
    problem: str = ""


@contextmanager
def running_app(app: App, head: Snapshot, cell: Cell, log: Path, timeout_seconds: float) -> Iterator[Serving]:
    """Start the head's product and wait for it; afterwards nothing of it is alive, and `log` has what it said."""
    write_checkout(head, cell.tree, cell.owner)
    port = str(free_port())
    url, command = app.url.replace("{port}", port), app.command.replace("{port}", port)
    if answers(url):
        yield Serving(url, f"something else answers at {url} already; use {{port}} in app.command and app.url")
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(_run, cell, command, port, timeout_seconds)
        try:
            yield _await(running, url, min(app.ready_seconds, timeout_seconds))
        finally:
            while not running.done():
                cell.end()
                time.sleep(LOOK_SECONDS / 2)
            log.write_bytes(running.result().output + running.result().errors)


def _run(cell: Cell, command: str, port: str, timeout_seconds: float) -> Outcome:
    return cell.run(("sh", "-c", command), timeout_seconds=timeout_seconds, environment={"PORT": port})


def _await(running: Future[Outcome], url: str, ready_seconds: float) -> Serving:
    deadline = time.monotonic() + ready_seconds
    while time.monotonic() < deadline:
        if running.done():
            ended = running.result()
            how = ended.reason or f"exit code {ended.exit_code}"
            return Serving(url, f"the app ended before it answered ({how}): {_last_words(ended)}")
        if answers(url):
            return Serving(url)
        time.sleep(LOOK_SECONDS)
    return Serving(url, f"the app did not answer at {url} within {ready_seconds:.0f} s (app.ready_seconds)")


def answers(url: str) -> bool:
    """Whether somebody speaks HTTP there and is not in trouble; no redirect is followed, no proxy asked."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _last_words(outcome: Outcome) -> str:
    lines = (outcome.errors or outcome.output).decode(errors="replace").strip().splitlines()
    return (lines or ["it said nothing"])[-1].strip()[:200]
