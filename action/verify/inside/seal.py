"""Notices when what judges a test was replaced: pytest's functions, unittest's assertions, builtins, the recorder."""

from __future__ import annotations

import builtins
import sys
import types
import unittest
from collections.abc import Iterable, Iterator
from typing import Any

JUDGES = ("_pytest", "pluggy", "pytest", "unittest")
KINDS = (types.FunctionType, types.BuiltinFunctionType, type, classmethod, staticmethod, property)


class Seal:
    """Remembers functions and classes as they are now; `broken` names those that are no longer themselves."""

    def __init__(self, owners: Iterable[Any]) -> None:
        self._kept = [
            (owner, name, value, getattr(value, "__code__", None))
            for owner in owners
            for name, value in list(vars(owner).items())
            if isinstance(value, KINDS)
        ]

    def broken(self) -> list[str]:
        return [
            f"{owner.__name__}.{name}"
            for owner, name, value, code in self._kept
            if vars(owner).get(name) is not value or getattr(value, "__code__", None) is not code
        ]


def seal_judges(*ours: types.ModuleType) -> Seal:
    """Everything of the judges that is loaded, to be looked at now and then."""
    modules = [
        module
        for name, module in sorted(sys.modules.items())
        if name.partition(".")[0] in JUDGES and isinstance(module, types.ModuleType)
    ]
    return Seal(_with_classes([*modules, *ours, builtins]))


def seal_calls(*ours: types.ModuleType) -> Seal:
    """What decides about a single test: little enough to be looked at after each."""
    import _pytest.python
    import _pytest.runner
    import _pytest.unittest

    return Seal(
        [
            *ours,
            _pytest.python.Function,
            _pytest.unittest.TestCaseFunction,
            _pytest.runner,
            _pytest.runner.CallInfo,
            unittest.TestCase,
        ]
    )


def _with_classes(modules: Iterable[types.ModuleType]) -> Iterator[Any]:
    for module in modules:
        yield module
        if module is builtins:
            continue
        yield from (one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__)
