"""The nursery as a test uses it: children that carry out one piece of work, and are killed where the test says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Self

from tests.crash.world import ROOT, World, outbox_call, push_body

__all__ = ["API", "EFFECTS", "INTAKE", "OUTBOX", "RUN", "Death", "Life", "Nursery", "sample"]

# No line of ours, only what is called outside.
EFFECTS = ("nothing",)
INTAKE = ("functions/_shared/intake", "functions/gmail_push", "functions/_shared/gmail/client", "controlplane/store")
API = ("functions/specs", "functions/_shared/api", "controlplane/store")
OUTBOX = (
    "functions/_shared/outbox",
    "functions/_shared/workflows",
    "functions/_shared/gmail/client",
    "controlplane/store",
)
RUN = ("action/verbs", "action/publish", "action/gitrepo", "action/runfolder", "action/journal", "controlplane/store")
# A step's number; or what was called, and the how-manieth time.
Death = int | tuple[str, int]


@dataclass(frozen=True)
class Life:
    """What became of a child. `effects` are (step, what was called), for a child that was not killed."""

    killed: bool
    status: int = -1
    steps: int = 0
    effects: tuple[tuple[int, str], ...] = ()


class Nursery:
    """Starts in the functions' environment; use as a context manager."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._log = (world.folder / "nursery.log").open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery"],
            cwd=ROOT,
            env={**os.environ, **world.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        assert json.loads(self._process.stdout.readline())["ready"] == self._process.pid
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
        self._log.close()

    def push(self, die: Death = 0, watched: tuple[str, ...] = ()) -> Life:
        """gmail-push is called as Pub/Sub calls it."""
        headers = {"Authorization": f"Bearer {self._world.id_token()}"}
        arguments = {"function": "gmail_push", "body": push_body(self._world.mailbox).decode(), "headers": headers}
        return self._bear("function", arguments | {"environment": {}}, die, watched)

    def call(self, function: str, die: Death = 0, watched: tuple[str, ...] = (), **environment: str) -> Life:
        """dispatch, notify or tick is called as the database calls it; `environment` is this instance's own."""
        body, headers = outbox_call()
        arguments = {"function": function, "body": body.decode(), "headers": headers, "environment": environment}
        return self._bear("function", arguments, die, watched)

    def post(
        self, body: str, headers: dict[str, str], die: Death = 0, watched: tuple[str, ...] = (), path: str = "/specs"
    ) -> Life:
        """The API is called by somebody with these headers."""
        arguments = {"function": "specs", "path": path, "body": body, "headers": headers, "environment": {}}
        return self._bear("function", arguments, die, watched)

    def crowd(self, function: str, copies: int) -> list[Life]:
        """So many processes of one function, called at the same moment."""
        body, headers = outbox_call()
        arguments = {"function": function, "body": body.decode(), "headers": headers, "environment": {}}
        return self._bear_all("function", arguments, 0, (), copies)

    def act(self, verb: str, arguments: dict[str, Any], die: Death = 0, watched: tuple[str, ...] = ()) -> Life:
        return self._bear("act", {"verb": verb, **arguments}, die, watched)

    def _bear(self, work: str, arguments: dict[str, Any], die: Death, watched: tuple[str, ...]) -> Life:
        (life,) = self._bear_all(work, arguments, die, watched, 1)
        return life

    def _bear_all(
        self, work: str, arguments: dict[str, Any], die: Death, watched: tuple[str, ...], copies: int
    ) -> list[Life]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"work": work, "arguments": arguments, "die": die, "watched": watched, "copies": copies}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return [_life(said) for said in json.loads(self._process.stdout.readline())]


def _life(said: dict[str, Any]) -> Life:
    effects = tuple((step, what) for step, what in said.pop("effects", ()))
    return Life(effects=effects, **said)


def sample(whole: Life, budget: int) -> list[int]:
    """Steps to die at: before and after every call to the outside, then evenly spread until there are `budget`.

    With a budget of 0: every step.
    """
    if not budget:
        return list(range(1, whole.steps + 1))
    around = {step for step, _ in whole.effects}
    rest = [step for step in range(1, whole.steps + 1) if step not in around]
    room = max(0, budget - len(around))
    spread = rest[:: max(1, len(rest) // room)][:room] if room else []
    return sorted({*around, *spread})
