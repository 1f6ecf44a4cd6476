"""Cold start of each function: from the start of its process to its first successful answer.

Against a functions-framework hello world, started and asked in turn. The answer is a real one: gmail-push looks into a
mailbox without news, dispatch and notify work an empty outbox off, tick makes its round, specs lists, mcp tells its
tools, health says that it lives. The goal is at most 1.7.

Both sides see only what requirements/functions.txt installs, as they do where they are deployed: in a developer's
environment httpx and structlog import more, because it is there.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx

from bench.door import Door, stop
from bench.measure import Measure, compare
from local.stack.places import REPOSITORY_ROOT

ROUNDS = 5
PATIENCE_SECONDS = 60.0
HELLO = """\
import functions_framework


@functions_framework.http
def main(request):
    return "hello"
"""
# Python imports it by itself, before anything else.
HIDING = """\
import sys


class NotDeployed:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"{{name}} is not deployed", name=name)


sys.meta_path.insert(0, NotDeployed())
"""
TOOLS = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}'
MCP = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
Order = tuple[str, str, bytes, dict[str, str]]  # method, path, body, headers


def run() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="aicd-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        hello = folder / "hello" / "main.py"
        hello.parent.mkdir()
        hello.write_text(HELLO)
        (folder / "sitecustomize.py").write_text(HIDING.format(hidden=not_deployed()))
        with Door(folder) as door:
            for function, order in orders(door).items():
                source = REPOSITORY_ROOT / "functions" / function.replace("-", "_") / "main.py"
                yield compare(
                    f"{function} cold",
                    lambda function=function, source=source, order=order: first_answer(door, function, source, order()),
                    "hello world",
                    lambda: first_answer(door, "gmail-push", hello, ("GET", "/", b"", {})),
                    rounds=ROUNDS,
                )


def not_deployed() -> set[str]:
    """The modules that are installed here and not where functions are deployed."""
    pinned = (REPOSITORY_ROOT / "requirements" / "functions.txt").read_text()
    deployed = {plain(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", pinned, re.MULTILINE)}
    return {
        module for module, owners in packages_distributions().items() if not deployed & {plain(name) for name in owners}
    } - {"aicd"}


def plain(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def orders(door: Door) -> dict[str, Callable[[], Order]]:
    """Function → what it is asked; made anew each time, since a proof of the caller ages."""

    def push() -> Order:
        return ("POST", "/", *door.push())

    def work() -> Order:
        return ("POST", "/", *door.webhook())

    return {
        "gmail-push": push,
        "dispatch": work,
        "notify": work,
        "tick": work,
        "specs": lambda: ("GET", "/specs", b"", {"Authorization": f"Bearer {door.api_key}"}),
        "mcp": lambda: ("POST", "/", TOOLS, {"Authorization": f"Bearer {door.api_key}", **MCP}),
        "health": lambda: ("GET", "/health", b"", {}),
    }


def first_answer(door: Door, name: str, source: Path, order: Order) -> float:
    """Seconds until an answer below 300."""
    port = door.ports[name]
    command = ["-m", "functions_framework", "--source", str(source), "--target", "main"]
    method, path, body, headers = order
    started = time.perf_counter()
    arguments = [*command, "--host", "127.0.0.1", "--port", str(port)]
    where = {"PYTHONPATH": f"{REPOSITORY_ROOT}{os.pathsep}{door.folder}"}
    child = door.start_part(name, arguments, door.environment | where)
    try:
        with httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False) as client:
            while time.perf_counter() - started < PATIENCE_SECONDS:
                try:
                    answer = client.request(method, f"http://127.0.0.1:{port}{path}", content=body, headers=headers)
                except httpx.ConnectError:
                    time.sleep(0.005)
                    continue
                if answer.status_code >= 300:
                    raise RuntimeError(f"{name} answered {answer.status_code}: {answer.text[:300]}")
                return time.perf_counter() - started
    finally:
        stop(child)
    raise RuntimeError(f"{name} did not answer within {PATIENCE_SECONDS:.0f} s: {child.tail()}")
