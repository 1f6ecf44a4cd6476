"""Which pytest runs a change needs: the base's tests over the head, the change's own tests, the base's node ids."""

from __future__ import annotations

from dataclasses import replace

from action.verify.checkout import Snapshot, lay_over
from action.verify.coveragesettings import CoverageSettings, read_coverage_settings
from action.verify.integrity.doctests import with_base_examples
from action.verify.integrity.probes import with_probes
from action.verify.layout import is_test_module
from action.verify.pytestrun import Purpose, PytestOrder
from action.verify.support import support_paths


def base_order(
    base: Snapshot, head: Snapshot, distributions: tuple[str, ...], keep_head: frozenset[str] = frozenset()
) -> PytestOrder | None:
    """The base's tests, conftest and settings, on the head's product. None when the base has no tests.

    `keep_head` are test files that the maintainers let a change rewrite: the head's version stands.
    """
    if not test_modules(base):
        return None
    return PytestOrder(
        "base-tests",
        "base",
        lay_over(base, head, keep_head, support_paths(base)),
        base.pytest_config,
        base.contents.get(base.pytest_config.file, b""),
        distributions,
        coverage=_measured(base),
    )


def doctest_order(laid_over: PytestOrder, base: Snapshot) -> PytestOrder | None:
    """The base's examples in the change's docstrings; None where the change left them as they were."""
    snapshot, changed = with_base_examples(base, laid_over.snapshot)
    return replace(laid_over, snapshot=snapshot, paths=changed, coverage=None) if changed else None


def probe_order(laid_over: PytestOrder) -> PytestOrder | None:
    """The base's run once more, disguised and with a probe at every equality; None when nothing is compared."""
    probed = with_probes(laid_over.snapshot)
    if probed is None:
        return None
    return replace(laid_over, purpose="probe", snapshot=probed, coverage=None, disguised=True)


def collect_order(base: Snapshot, distributions: tuple[str, ...], *, run: bool = False) -> PytestOrder | None:
    """The base as it was: its node ids, or with `run` its outcomes."""
    if not test_modules(base):
        return None
    purpose: Purpose = "base-tests" if run else "collect"
    data = base.contents.get(base.pytest_config.file, b"")
    return PytestOrder(purpose, "base", base, base.pytest_config, data, distributions)


def change_order(base: Snapshot, head: Snapshot, distributions: tuple[str, ...]) -> PytestOrder | None:
    """The change's new or altered test modules with its own settings; all of them when what supports them changed.

    None when the change leaves the tests as they are.
    """
    modules = test_modules(head)
    altered = [path for path in modules if head.contents[path] != base.contents.get(path)]
    everything = _support_changed(base, head) and bool(modules)
    if not altered and not everything:
        return None
    config = head.pytest_config
    return PytestOrder(
        "change-tests",
        "change",
        head,
        config,
        head.contents.get(config.file, b""),
        distributions,
        paths=() if everything else tuple(altered),
        coverage=_measured(base),
    )


def _support_changed(base: Snapshot, head: Snapshot) -> bool:
    """Whether something beside test modules decides what the head's tests do: settings, conftest, helpers, data."""
    if dict(base.pytest_config.settings) != dict(head.pytest_config.settings):
        return True
    modules = {*test_modules(base), *test_modules(head)}
    support = (base.test_paths | head.test_paths) - modules
    return any(base.contents.get(path) != head.contents.get(path) for path in support)


def test_modules(snapshot: Snapshot) -> list[str]:
    patterns = snapshot.pytest_config.python_files
    return sorted(path for path in snapshot.test_paths if is_test_module(path, patterns))


def _measured(base: Snapshot) -> CoverageSettings:
    return read_coverage_settings(base.contents)
