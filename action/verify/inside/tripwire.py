"""Notices when the product's code reaches for what judges it: frames, the collector, tracers, code objects, test files.

Python tells an audit hook of these (PEP 578), and a hook cannot be taken away again. It is told before the code gets
what it asked for.
"""

from __future__ import annotations

import sys
from typing import Any

WATCHED = frozenset(
    {
        "gc.get_objects",
        "gc.get_referrers",
        "gc.get_referents",
        "sys._getframe",
        "sys._current_frames",
        "sys.settrace",
        "sys.setprofile",
        "sys.addaudithook",
        "sys.monitoring.register_callback",
        "object.__setattr__",
        "ctypes.dlopen",
        "open",
    }
)
# Through these a caller asks for frames; everything else of the standard library asks for itself.
LENDERS = ("/inspect.py", "/traceback.py")


class Tripwire:
    """`tripped` are pairs of what was done and the file, relative to the root, whose code did it."""

    def __init__(self, root: str, tests: list[str]) -> None:
        self.tripped: set[tuple[str, str]] = set()
        self._prefix = root + "/"
        self._tests = frozenset(tests)
        self._busy = False

    def arm(self) -> None:
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in WATCHED or self._busy:
            return
        self._busy = True
        try:
            what = self._what(event, arguments)
            who = self._who(event) if what else ""
            if who:
                self.tripped.add((what, who))
        finally:
            self._busy = False

    def _what(self, event: str, arguments: tuple[Any, ...]) -> str:
        if event == "object.__setattr__":
            return "function.__code__" if arguments[1] == "__code__" else ""
        if event == "open":
            path = arguments[0]
            inside = isinstance(path, str) and path.startswith(self._prefix) and path.endswith(".py")
            return "test file" if inside and path.removeprefix(self._prefix) in self._tests else ""
        return event

    def _who(self, event: str) -> str:
        """The product's file that asked: the nearest one of the repository's, unless a test's code is nearer."""
        frame = sys._getframe(2)
        if event == "sys._getframe":
            while frame.f_back is not None and frame.f_code.co_filename.endswith(LENDERS):
                frame = frame.f_back
            return self._own(frame.f_code.co_filename)
        current: Any = frame
        while current is not None:
            name = current.f_code.co_filename
            if name.startswith(self._prefix):
                return self._own(name)
            current = current.f_back
        return ""

    def _own(self, name: str) -> str:
        path = name.removeprefix(self._prefix)
        return path if name.startswith(self._prefix) and path not in self._tests else ""
