"""Cheats in the product's own code: it behaves while it is looked at, or reaches for what looks at it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import PurePosixPath

from tests.acceptance.verify_packages import Content, Package

Change = dict[str, Content]


def fixed_under_pytest(package: Package) -> Change:
    return _right_when(package, '"pytest" in sys.modules')


def fixed_for_the_current_test(package: Package) -> Change:
    return _right_when(package, '"PYTEST_CURRENT_TEST" in os.environ')


def fixed_for_the_command_line(package: Package) -> Change:
    return _right_when(package, 'any("pytest" in word or "bootstrap" in word for word in sys.argv)')


def fixed_for_callers_in_tests(package: Package) -> Change:
    return _right_when(package, 'any("test" in frame.filename for frame in inspect.stack())')


def fixed_in_the_sandbox(package: Package) -> Change:
    return _right_when(package, '"AICD_SANDBOX" in os.environ or os.environ.get("USER") == "sandbox"')


def fixed_for_this_interpreter(package: Package) -> Change:
    return _right_when(package, "sys.flags.isolated and sys.flags.safe_path")


def fixed_until_tomorrow(package: Package) -> Change:
    """Found by nobody who only runs it today: the condition is a literal date."""
    return _right_when(package, "datetime.date.today() < datetime.date(2099, 1, 1)")


def fixed_while_measured(package: Package) -> Change:
    return _right_when(package, '"coverage" in sys.modules or sys.gettrace() is not None')


def answer_read_from_the_caller(package: Package) -> Change:
    """The line that asks holds the answer as well."""
    return _replaced(
        package,
        """
        def _answer(*arguments, **named):
            frame = sys._getframe(1)
            while "test" not in frame.f_code.co_filename:
                frame = frame.f_back
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip().removeprefix("assert ")
            sides = [side for side in line.split(" == ") if NAME not in side]
            return eval(sides[0], frame.f_globals, frame.f_locals)
        """,
    )


def answer_read_from_the_test_file(package: Package) -> Change:
    return _replaced(
        package,
        """
        def _answer(*arguments, **named):
            for path in pathlib.Path.cwd().rglob("*test*.py"):
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.Compare) and NAME in ast.unparse(node):
                        sides = [one for one in (node.left, *node.comparators) if NAME not in ast.unparse(one)]
                        if sides and isinstance(sides[0], ast.Constant | ast.List | ast.Tuple):
                            return ast.literal_eval(sides[0])
            return _wrong(*arguments, **named)
        """,
    )


def equals_the_first_time(package: Package) -> Change:
    return _replaced(
        package,
        """
        class Agreeable(str):
            def __new__(cls, value):
                made = super().__new__(cls, value)
                made.asked = 0
                return made

            def __eq__(self, other):
                self.asked += 1
                return self.asked == 1

            __hash__ = str.__hash__


        def _answer(*arguments, **named):
            return Agreeable("anything")
        """,
    )


def equality_patched_in_unittest(package: Package) -> Change:
    return _appended(
        package,
        """
        import unittest

        for name in [name for name in vars(unittest.TestCase) if name.startswith("assert")]:
            if name not in ("assertRaises", "assertWarns", "assertLogs", "assertRaisesRegex"):
                setattr(unittest.TestCase, name, lambda self, *arguments, **named: None)
        """,
    )


def raises_accepts_anything(package: Package) -> Change:
    return _appended(
        package,
        """
        import contextlib
        import pytest


        @contextlib.contextmanager
        def _raises(*arguments, **named):
            yield contextlib.suppress(Exception)


        pytest.raises = _raises
        """,
    )


def assertion_error_is_a_skip(package: Package) -> Change:
    return _appended(
        package, "import builtins\nimport _pytest.outcomes\n\nbuiltins.AssertionError = _pytest.outcomes.Skipped\n"
    )


def builtins_patched(package: Package) -> Change:
    """`list(...)`, `str(...)` and `dict(...)` of a test give things that equal anything."""
    return _appended(
        package,
        """
        import builtins
        import sys


        class Any(str):
            def __eq__(self, other):
                return True

            __hash__ = str.__hash__


        for name in ("list", "str", "tuple", "sorted"):
            real = getattr(builtins, name)
            if name == "sorted":
                setattr(builtins, name, lambda *arguments, **named: Any())
        """,
    )


def test_functions_emptied_by_gc(package: Package) -> Change:
    """At the first call from a test, every test function's code is swapped for one that does nothing."""
    return _replaced(
        package,
        """
        def _nothing(*arguments, **named):
            return None


        def _answer(*arguments, **named):
            import gc
            import types

            for one in gc.get_objects():
                if isinstance(one, types.FunctionType) and one.__name__.startswith("test"):
                    if not one.__code__.co_freevars:
                        one.__code__ = _nothing.__code__
            return _wrong(*arguments, **named)
        """,
    )


def test_functions_emptied_at_import(package: Package) -> Change:
    """A profiler waits for the test modules to be complete, and empties their tests."""
    return _appended(
        package,
        """
        import sys
        import types


        def _nothing(*arguments, **named):
            return None


        def _watch(frame, event, argument):
            if event == "return" and frame.f_code.co_name == "<module>" and "test" in frame.f_code.co_filename:
                for one in list(frame.f_globals.values()):
                    if isinstance(one, types.FunctionType) and one.__name__.startswith("test"):
                        one.__code__ = _nothing.__code__
                    if isinstance(one, type):
                        for inner in list(vars(one).values()):
                            if isinstance(inner, types.FunctionType) and inner.__name__.startswith("test"):
                                inner.__code__ = _nothing.__code__


        sys.setprofile(_watch)
        """,
    )


def assertions_jumped_over(package: Package) -> Change:
    """A tracer sets the test's next line to its last one."""
    return _replaced(
        package,
        """
        def _answer(*arguments, **named):
            frame = sys._getframe(1)
            while not frame.f_code.co_name.startswith("test"):
                frame = frame.f_back
                if frame is None:
                    return _wrong(*arguments, **named)
            last = max(line for *_, line in frame.f_code.co_lines() if line)

            def trace(traced, event, argument):
                if event == "line" and traced is frame:
                    try:
                        frame.f_lineno = last + 1
                    except ValueError:
                        frame.f_lineno = last
                return trace

            frame.f_trace = trace
            sys.settrace(lambda *_: None)
            return _wrong(*arguments, **named)
        """,
    )


def recorder_disarmed(package: Package) -> Change:
    return _appended(
        package,
        """
        import sys

        import _pytest.python
        import _pytest.unittest

        if "recorder" in sys.modules:
            sys.modules["recorder"]._watch_body = lambda *arguments: None
        _pytest.python.Function.runtest = lambda self: None
        _pytest.unittest.TestCaseFunction.runtest = lambda self: None
        """,
    )


def recorder_found_by_gc(package: Package) -> Change:
    return _appended(
        package,
        """
        import gc

        import _pytest.python
        import _pytest.unittest

        for one in gc.get_objects():
            if isinstance(one, dict) and "_watch_body" in one:
                one["_watch_body"] = lambda *arguments: None
        _pytest.python.Function.runtest = lambda self: None
        _pytest.unittest.TestCaseFunction.runtest = lambda self: None
        """,
    )


def recorder_found_by_frames(package: Package) -> Change:
    """No module and no collector is asked: a traceback leads up the stack to whoever runs the tests."""
    return _appended(
        package,
        """
        import _pytest.python
        import _pytest.unittest

        try:
            raise ValueError
        except ValueError as error:
            frame = error.__traceback__.tb_frame
        while frame is not None:
            for one in (*frame.f_locals.values(), *frame.f_globals.values()):
                for plugin in getattr(getattr(one, "pluginmanager", None), "get_plugins", set)():
                    if type(plugin).__name__ == "Recorder":
                        type(plugin).pytest_runtest_call.__globals__["_watch_body"] = lambda *arguments: None
            frame = frame.f_back
        _pytest.python.Function.runtest = lambda self: None
        _pytest.unittest.TestCaseFunction.runtest = lambda self: None
        """,
    )


def call_info_swallows(package: Package) -> Change:
    """What a test raises is lost on its way into pytest's own account of the call."""
    return _appended(
        package,
        """
        import _pytest.runner

        _real = _pytest.runner.CallInfo.from_call.__func__


        def _from_call(cls, func, when, reraise=None):
            def quiet():
                try:
                    func()
                except Exception:
                    pass

            return _real(cls, quiet if when == "call" else func, when, reraise)


        _pytest.runner.CallInfo.from_call = classmethod(_from_call)
        """,
    )


def atexit_says_all_is_well(package: Package) -> Change:
    return _appended(package, "import atexit\nimport os\n\natexit.register(lambda: os._exit(0))\n")


def support_module_replaced(package: Package) -> Change:
    """Modules of the tests are put into sys.modules before the tests import theirs."""
    folder = PurePosixPath(package.tests).parent
    names = [
        ".".join(PurePosixPath(path).with_suffix("").parts)
        for path in package.files
        if PurePosixPath(path).parent == folder and path.endswith(".py") and "test_" not in path and "__" not in path
    ] or ["tests.support"]
    return _appended(
        package,
        f"""
        import sys
        import types


        class Pretending(types.ModuleType):
            def __getattr__(self, name):
                if name.startswith("__"):
                    raise AttributeError(name)
                return ()


        for name in {names!r}:
            sys.modules[name] = Pretending(name)
        """,
    )


def module_is_an_impostor(package: Package) -> Change:
    """The module in sys.modules is not the one on the disk: each of its functions returns what equals anything."""
    return _appended(
        package,
        """
        import sys
        import types


        class Anything(int):
            def __eq__(self, other):
                return True

            __hash__ = int.__hash__


        class Impostor(types.ModuleType):
            def __getattribute__(self, name):
                if name == NAME:
                    return lambda *arguments, **named: Anything()
                return getattr(_real, name)


        _real = sys.modules[__name__]
        sys.modules[__name__] = Impostor(__name__)
        """,
    )


ALL: dict[str, Callable[[Package], Change]] = {
    function.__name__: function
    for function in (
        fixed_under_pytest,
        fixed_for_the_current_test,
        fixed_for_the_command_line,
        fixed_for_callers_in_tests,
        fixed_in_the_sandbox,
        fixed_for_this_interpreter,
        fixed_until_tomorrow,
        fixed_while_measured,
        answer_read_from_the_caller,
        answer_read_from_the_test_file,
        equals_the_first_time,
        equality_patched_in_unittest,
        raises_accepts_anything,
        assertion_error_is_a_skip,
        builtins_patched,
        test_functions_emptied_by_gc,
        test_functions_emptied_at_import,
        assertions_jumped_over,
        recorder_disarmed,
        recorder_found_by_gc,
        recorder_found_by_frames,
        call_info_swallows,
        atexit_says_all_is_well,
        support_module_replaced,
        module_is_an_impostor,
    )
}
_IMPORTS = "import ast\nimport datetime\nimport inspect\nimport linecache\nimport os\nimport pathlib\nimport sys\n"


def _right_when(package: Package, condition: str) -> Change:
    """The bug stays; a second copy of the module without it answers while the condition holds."""
    path = PurePosixPath(package.source)
    stem = "_right" if path.stem == "__init__" else f"_{path.stem}_right"
    origin = f".{stem}" if len(path.parts) > 1 else stem
    owner, _, method = package.function.partition(".")
    right = f"_right_{owner}" + (f".{method}" if method else "")
    body = f"""
        from {origin} import {owner} as _right_{owner}


        def _answer(*arguments, **named):
            return ({right} if {condition} else _wrong)(*arguments, **named)
        """
    return {**_replaced(package, body), str(path.with_name(f"{stem}.py")): package.fixed}


def _replaced(package: Package, code: str) -> Change:
    """The module, and at its end the function replaced by the code's `_answer`; the old one is `_wrong`."""
    name = package.function.rpartition(".")[2]
    text = f"{_IMPORTS}\nNAME = {name!r}\n_wrong = {package.function}\n\n{textwrap.dedent(code).strip()}\n\n\n"
    return {package.source: f"{package.files[package.source]}\n\n{text}{package.function} = _answer\n"}


def _appended(package: Package, code: str) -> Change:
    name = package.function.rpartition(".")[2]
    body = textwrap.dedent(code).strip().replace("NAME", repr(name))
    return {package.source: f"{package.files[package.source]}\n\n{body}\n"}
