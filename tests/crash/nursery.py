"""Children that can be killed at any line: `python -m tests.crash.nursery`.

One process imports everything once and forks a fresh child for each order, so that a child costs milliseconds. A child
carries one piece of the product out, as it is deployed, under a counter of what it does: every line of the watched
files, and every call to the outside before it is made and after it was answered. At the n-th it ends itself with
SIGKILL, in whatever it is.

Orders and answers are lines of JSON on stdin and stdout:
`{"work", "die", "watched", "arguments", "copies"}` → for each copy `{"killed", "status", "steps", "effects"}`,
`effects` being `[number of the step, what was called]`. `die` is the number of a step, or `[what was called, the
how-manieth time]`, or 0.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# The calls that change something outside this process, by file and function.
OUTSIDE = {
    ("httpx/_client.py", "send"): "http",
    ("requests/sessions.py", "send"): "http",
    ("action/gitrepo/git.py", "talk"): "git",
}

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}|\b\d+\b")


class Counter:
    """Counts what happens in this process and ends it at the chosen step. One count for all threads."""

    def __init__(self, watched: tuple[str, ...], die: int | list[Any]) -> None:
        self.steps = 0
        self.effects: list[tuple[int, str]] = []
        self._die_at = die if isinstance(die, int) else 0
        self._fatal, self._times = ("", 0) if isinstance(die, int) else die
        self._watched = watched
        self._lock = threading.Lock()
        self._kinds: dict[str, str] = {}

    def start(self) -> None:
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def _enter(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        for (file, name), kind in OUTSIDE.items():
            if code.co_name == name and code.co_filename.endswith(file):
                self._step(f"before {kind} {_words(frame)}")
                return self._leave(kind)
        return self._follow if self._is_watched(code.co_filename) else None

    def _is_watched(self, file: str) -> bool:
        if file not in self._kinds:
            inside = file.startswith(str(ROOT)) and file[len(str(ROOT)) + 1 :].startswith(self._watched)
            self._kinds[file] = "watched" if inside else ""
        return bool(self._kinds[file])

    def _follow(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        if event == "line":
            self._step("")
        return self._follow

    def _leave(self, kind: str) -> Callable[..., Any]:
        def leave(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
            if event == "return":
                self._step(f"after {kind} {_words(frame)}")
            return leave

        return leave

    def _step(self, effect: str) -> None:
        with self._lock:
            self.steps += 1
            if effect:
                self.effects.append((self.steps, effect))
            self._times -= effect == self._fatal
            if self.steps == self._die_at or (effect == self._fatal and self._times == 0 and effect):
                os.kill(os.getpid(), signal.SIGKILL)


def _words(frame: FrameType) -> str:
    """What is called, the same for every run: ids are left out."""
    request = frame.f_locals.get("request")
    if request is not None and hasattr(request, "method"):
        path = str(request.url).split("?", 1)[0].split("/", 3)[-1]
        return f"{request.method} {_ID.sub('ID', path)}"
    return str(next(iter(frame.f_locals.get("arguments", ())), ""))


def call_function(arguments: dict[str, Any]) -> int:
    """One request to a function as functions-framework serves it; its HTTP status."""
    from werkzeug.test import Client

    os.environ.update(arguments["environment"])
    client = Client(APPS[arguments["function"]])
    path = arguments.get("path", "/")
    return client.post(path, data=arguments["body"].encode(), headers=arguments["headers"]).status_code


def act(arguments: dict[str, Any]) -> int:
    """One verb of the action; its exit code."""
    from action.__main__ import main

    os.environ.update(arguments["environment"])
    os.chdir(arguments["folder"])
    sys.stdout = sys.stderr
    return main([arguments["verb"]], os.environ)


WORK: dict[str, Callable[[dict[str, Any]], int]] = {"function": call_function, "act": act}
APPS: dict[str, Any] = {}


def bear(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Fork the children, all at once, let them work, and tell how each ended."""
    with ExitStack() as closing:
        tongues = [closing.enter_context(tempfile.NamedTemporaryFile("r")) for _ in range(order["copies"])]
        children = []
        for tongue in tongues:
            child = os.fork()
            if child == 0:
                _live(order, tongue.name)
            children.append(child)
        endings = [os.waitpid(child, 0)[1] for child in children]
        return [_tell(ending, tongue.read()) for ending, tongue in zip(endings, tongues, strict=True)]


def _tell(ending: int, text: str) -> dict[str, Any]:
    said = json.loads(text) if text else {}
    return {"killed": os.WIFSIGNALED(ending) and os.WTERMSIG(ending) == signal.SIGKILL, **said}


def _live(order: dict[str, Any], tell: str) -> None:
    # The answers' pipe is the nursery's; what a child prints goes to the log.
    os.dup2(2, 1)
    counter = Counter(tuple(order["watched"]), order["die"])
    status = -1
    try:
        if order["watched"]:
            counter.start()
        status = WORK[order["work"]](order["arguments"])
    finally:
        sys.settrace(None)
        threading.settrace(None)
        Path(tell).write_text(json.dumps({"status": status, "steps": counter.steps, "effects": counter.effects}))
        sys.stderr.flush()
        os._exit(0)


def prepare() -> None:
    """Import what every child needs; nothing is opened, and no thread is started."""
    import functions_framework

    for name in ("gmail_push", "dispatch", "notify", "tick", "specs"):
        APPS[name] = functions_framework.create_app("main", str(ROOT / "functions" / name / "main.py"), "http")
    import github  # noqa: F401
    import googleapiclient.discovery  # noqa: F401
    import requests  # noqa: F401

    import functions.tick.main  # noqa: F401
    import supabase  # noqa: F401
    from action.verbs import VERBS
    from action.verify import verify  # noqa: F401
    from controlplane import specfile, store  # noqa: F401
    from functions._shared import mail  # noqa: F401

    for module in VERBS.values():
        importlib.import_module(module)


def main() -> None:
    prepare()
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(bear(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
