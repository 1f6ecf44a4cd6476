"""Product code that reaches for what judges it: replaced parts of pytest or unittest, frames, tracers, test files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from action.verify.checkout import Snapshot
from action.verify.layout import is_source
from action.verify.pytestrun import PytestRun
from controlplane.evidence import IntegrityFinding

# What was heard → words by which code asks for it. A product whose base has such a word has its own reasons.
WORDS = {
    "sys._getframe": ("_getframe", "inspect", "traceback"),
    "sys._current_frames": ("_current_frames",),
    "sys.settrace": ("settrace", "bdb", "pdb"),
    "sys.setprofile": ("setprofile", "profile"),
    "sys.addaudithook": ("addaudithook",),
    "sys.monitoring.register_callback": ("monitoring",),
    "gc.get_objects": ("gc",),
    "gc.get_referrers": ("gc",),
    "gc.get_referents": ("gc",),
    "function.__code__": ("__code__",),
    "ctypes.dlopen": ("ctypes", "cffi"),
    "test file": ("getsource", "linecache"),
}


def find_reached(base: Snapshot, head: Snapshot, run: PytestRun | None) -> Iterator[IntegrityFinding]:
    """Files of the change whose code, while the base's tests ran, reached for what judges them."""
    reached: dict[str, list[str]] = defaultdict(list)
    for what, path in sorted(run.recorded.tripped) if run else ():
        if base.contents.get(path) != head.contents.get(path) and not _says(base, WORDS.get(what, ())):
            reached[path].append(what)
    for path, heard in reached.items():
        yield IntegrityFinding(
            kind="harness-reached",
            fails=True,
            file=path,
            reason=f"while the tests ran, its code reached for {', '.join(heard)}, by which a test run can be bent",
        )


def find_tampered(run: PytestRun | None, before: PytestRun | None) -> Iterator[IntegrityFinding]:
    """Parts of what judges that are not themselves after the change's code ran, and were on the base."""
    names = run.recorded.tampered - (before.recorded.tampered if before else frozenset()) if run else frozenset()
    if names:
        shown = ", ".join(sorted(names)[:5])
        yield IntegrityFinding(
            kind="harness-reached",
            fails=True,
            file="",
            reason=f"while the tests ran, these were replaced: {shown}{' …' if len(names) > 5 else ''}",
        )


def _says(snapshot: Snapshot, words: tuple[str, ...]) -> bool:
    patterns = snapshot.pytest_config.python_files
    asked = re.compile(rf"\b({'|'.join(words)})\b")
    return any(asked.search(snapshot.text(path)) for path in snapshot.contents if is_source(path, patterns))
