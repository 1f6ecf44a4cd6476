"""A pytest plugin that streams what happened to each test, taken below the level at which outcomes can be rewritten.

A conftest can rewrite a report, the exit status, or the call of a test. So the truth is taken from the exception that
the call raised and from the test function itself having come to its end; what the report says is sent along, and the
parent names every difference.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import json
import os
import sys
import unittest
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import probe  # type: ignore[import-not-found]  # beside this file, which is no package where it runs
import pytest

LONGEST_TEXT = 8000


class Channel:
    """Numbered JSON lines to the parent, each carrying the nonce that only this process was told."""

    def __init__(self, descriptor: int, nonce: str) -> None:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no keyword
        self._descriptor = descriptor
        self._nonce = nonce
        self._sent = 0
        self._process = os.getpid()

    def send(self, event: str, **values: Any) -> None:
        """Write one line at once, so that nothing is lost when the process is ended the next moment."""
        if os.getpid() != self._process:
            return  # a fork of ours: what it does is not what the tests did
        self._sent += 1
        line = json.dumps({"nonce": self._nonce, "number": self._sent, "event": event, **values})
        data = memoryview(line.encode("utf-8", errors="surrogatepass") + b"\n")
        while data:
            data = data[os.write(self._descriptor, data) :]


@dataclass(frozen=True)
class Watch:
    """What is kept an eye on. `judges` and `calls` are seals, `wire` a tripwire; `disguised` hides pytest in a call.

    `shard` is (number, of how many).
    """

    judges: Any
    calls: Any
    wire: Any
    disguised: bool
    shard: tuple[int, int] = (0, 1)


class Recorder:
    """Streams collection, every phase of every test, and the session's end."""

    def __init__(self, channel: Channel, watch: Watch) -> None:
        self._channel = channel
        self._watch = watch
        self._told: set[str] = set()
        self._bodies: dict[str, str] = {}
        self._running = ""
        self._calling = False
        # Test modules that were given probes find theirs among the builtins; others never ask for it.
        vars(builtins)["_aicd_probe"] = probe.make_probe(lambda: channel.send("probe", id=self._running))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._channel.send("collect-error", id=report.nodeid or ".", message=_text(report.longrepr))
        elif report.skipped:
            self._channel.send("collect-skip", id=report.nodeid, message=_text(report.longrepr))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        self._keep_share(items)
        before = [item.nodeid for item in items]
        yield
        kept = {item.nodeid for item in items}
        self._channel.send("deselected", ids=[node for node in before if node not in kept])

    def _keep_share(self, items: list[pytest.Item]) -> None:
        """Whole modules, dealt out in the order they are collected: every process deals them alike."""
        number, count = self._watch.shard
        modules = list(dict.fromkeys(item.nodeid.partition("::")[0] for item in items))
        mine = set(modules[number::count])
        items[:] = [item for item in items if item.nodeid.partition("::")[0] in mine]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._tell_tampered(self._watch.judges)
        self._codes = {item.nodeid: _code_of(item) for item in session.items}
        self._channel.send(
            "collected", ids=[item.nodeid for item in session.items], lines=[_line(item) for item in session.items]
        )

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        self._running = item.nodeid
        code = _code_of(item)
        watched = _watch_body(item, self._bodies, _hidden if self._watch.disguised else nullcontext)
        self._calling = True
        yield
        self._calling = False
        if watched is not None:
            watched()
        self._tell_tampered(self._watch.calls)
        if code is not self._codes.get(item.nodeid) or code is not _code_of(item):
            self._channel.send("tampered", names=[f"the code of {item.nodeid}"])

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        raised_before = call.excinfo
        outcome = yield
        report = outcome.get_result()
        # unittest hands its exception over inside the hook, so the later one counts if there is one.
        excinfo = call.excinfo or raised_before
        if self._calling:  # a sub-test reports while its test still runs
            if _kind_of(excinfo) == "failure":
                self._channel.send("subtest-failed", id=item.nodeid, message=_text(report.longrepr))
            return
        self._channel.send(
            "phase",
            id=item.nodeid,
            when=call.when,
            raised=_kind_of(excinfo),
            reported=report.outcome,
            expected_failure=str(report.wasxfail) if hasattr(report, "wasxfail") else None,
            body=self._bodies.pop(item.nodeid, None) if call.when == "call" else None,
            seconds=round(call.duration, 6),
            message=_text(report.longrepr) or (_text(excinfo.value) if excinfo else ""),
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and type(report) is not pytest.TestReport:  # a sub-test: it has no phase of its own
            self._channel.send("subtest-failed", id=report.nodeid, message=_text(report.longrepr))

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
        self._tell_tampered(self._watch.judges)
        self._channel.send("tripped", what=sorted(self._watch.wire.tripped))
        self._channel.send("session-finish", status=int(exitstatus))
        yield
        self._channel.send("session-finished", status=int(session.exitstatus))

    def _tell_tampered(self, seal: Any) -> None:
        names = [name for name in seal.broken() if name not in self._told]
        if names:
            self._told.update(names)
            self._channel.send("tampered", names=names)


@contextmanager
def _hidden() -> Iterator[None]:
    """Take away what a function can tell by that it is being tested, as long as a test is called."""
    taken: dict[str, Any] = {name: sys.modules.pop(name) for name in ("pytest", "_pytest") if name in sys.modules}
    current = os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        yield
    finally:
        sys.modules.update(taken)
        if current is not None:
            os.environ["PYTEST_CURRENT_TEST"] = current


def _code_of(item: pytest.Item) -> Any:
    return getattr(getattr(item.obj, "__func__", item.obj), "__code__", None) if hasattr(item, "obj") else None


class Registrar:
    """Registers plugins that were imported already, under the names that others look for them by."""

    def __init__(self, plugins: dict[str, Any]) -> None:
        self._plugins = plugins

    def pytest_addhooks(self, pluginmanager: pytest.PytestPluginManager) -> None:
        for name, plugin in self._plugins.items():
            if not pluginmanager.has_plugin(name):
                pluginmanager.register(plugin, name)

    def pytest_configure(self) -> None:
        # From here on nobody looks for plugins any more; a pytest that a test starts may find its own.
        os.environ.pop("PYTEST_DISABLE_PLUGIN_AUTOLOAD", None)


class ReplacedOptions:
    """Accepts the options of plugins whose work the parent does: coverage and distribution over processes."""

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        group = parser.getgroup("replaced", "accepted and ignored: coverage is measured outside")
        for option in ("--cov", "--cov-report"):
            group.addoption(option, action="append", nargs="?", const=True, default=[], dest=_dest(option))
        for option in ("--cov-config", "--cov-fail-under", "--cov-context", "--cov-precision"):
            group.addoption(option, dest=_dest(option))
        for option in ("--no-cov", "--cov-branch", "--cov-append", "--cov-reset", "--no-cov-on-fail"):
            group.addoption(option, action="store_true", dest=_dest(option))
        for option in ("--dist", "--maxprocesses", "--max-worker-restart"):
            group.addoption(option, dest=_dest(option))
        # Lower-case short options are pytest's own to give; this is the door that pytest-xdist itself uses.
        group._addoption("-n", "--numprocesses", dest="replaced_numprocesses")

    @pytest.fixture
    def cov(self) -> None:
        return None

    @pytest.fixture
    def no_cover(self) -> None:
        return None

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "no_cover: accepted; coverage is measured outside")


def _dest(option: str) -> str:
    return "replaced_" + option.strip("-").replace("-", "_")


def _watch_body(
    item: pytest.Item, bodies: dict[str, str], around: Callable[[], AbstractContextManager[None]]
) -> Callable[[], None] | None:
    """Wrap a plain test function so that we know whether it was entered and whether it came to its end."""
    if not isinstance(item, pytest.Function) or type(item).__module__ not in ("_pytest.python", "_pytest.unittest"):
        return None  # plugins run their own kinds of function in their own ways
    body = item.obj
    if not inspect.isroutine(body) or inspect.iscoroutinefunction(body) or inspect.isasyncgenfunction(body):
        return None
    bodies[item.nodeid] = "not entered"

    @functools.wraps(body)
    def watched(*arguments: Any, **named: Any) -> Any:
        bodies[item.nodeid] = "not finished"
        with around():
            result = body(*arguments, **named)
        bodies[item.nodeid] = "finished"
        return result

    item.obj = watched

    def restore() -> None:
        item.obj = body

    return restore


def _kind_of(excinfo: Any) -> str:
    """What the phase raised: nothing, skip, xfail or failure."""
    if excinfo is None:
        return "nothing"
    if isinstance(excinfo.value, pytest.xfail.Exception):
        return "xfail"
    if isinstance(excinfo.value, pytest.skip.Exception | unittest.SkipTest):
        return "skip"
    return "failure"


def _line(item: pytest.Item) -> int:
    return (item.location[1] or 0) + 1


def _text(value: object) -> str:
    if not value:
        return ""
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001 - the repository's own __str__ may raise anything
        text = f"{type(value).__name__} (its text cannot be had: {type(error).__name__})"
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT // 2] + "\n…\n" + text[-LONGEST_TEXT // 2 :]
