"""Settings of the tools that judge: pytest, coverage, ruff, mypy. Relaxed fails, added is noted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from action.verify.checkout import Snapshot
from action.verify.checks import MYPY_CONFIGS, RUFF_CONFIGS, all_mypy_settings
from action.verify.coveragesettings import CONFIG_FILES as COVERAGE_CONFIGS
from action.verify.coveragesettings import read_sections
from action.verify.integrity.settings import Rule, relaxations
from action.verify.layout import read_toml, table
from controlplane.evidence import IntegrityFinding

PYTEST_RULES = (
    Rule("addopts", "options"),
    Rule("testpaths", "less"),
    Rule("python_files", "less"),
    Rule("python_classes", "less"),
    Rule("python_functions", "less"),
    Rule("norecursedirs", "more"),
    Rule("collect_imported_tests", "changed"),
    Rule("xfail_strict", "off"),
    Rule("strict", "off"),
    Rule("required_plugins", "less"),
    Rule("filterwarnings", "less"),
    Rule("empty_parameter_set_mark", "changed"),
    Rule("timeout", "changed"),
)
COVERAGE_EXCLUSIONS = (
    Rule("omit", "more"),
    Rule("exclude_lines", "more"),
    Rule("exclude_also", "more"),
    Rule("partial_branches", "more"),
    Rule("include", "more"),
    Rule("source", "less"),
    Rule("source_pkgs", "less"),
    Rule("branch", "off"),
)
COVERAGE_THRESHOLDS = (Rule("fail_under", "lower"),)
RUFF_RULES = (
    Rule("ignore", "more"),
    Rule("extend-ignore", "more"),
    Rule("per-file-ignores", "more"),
    Rule("extend-per-file-ignores", "more"),
    Rule("exclude", "more"),
    Rule("extend-exclude", "more"),
    Rule("select", "narrows", ("E4", "E7", "E9", "F")),
    Rule("include", "narrows", ("*.py",)),
    Rule("extend", "set"),
    Rule("builtins", "more"),
    Rule("extend-select", "less"),
    Rule("line-length", "changed"),
)
MYPY_RULES = (
    Rule("strict", "off"),
    Rule("disallow_untyped_defs", "off"),
    Rule("disallow_any_generics", "off"),
    Rule("disallow_incomplete_defs", "off"),
    Rule("check_untyped_defs", "off"),
    Rule("warn_return_any", "off"),
    Rule("warn_unused_ignores", "off"),
    Rule("no_implicit_optional", "off"),
    Rule("exclude", "more"),
    Rule("disable_error_code", "more"),
    Rule("ignore_errors", "on"),
    Rule("strict_optional", "off"),
    Rule("strict_equality", "off"),
    Rule("disallow_untyped_calls", "off"),
    Rule("disallow_untyped_decorators", "off"),
    Rule("follow_imports", "set"),
    Rule("always_true", "set"),
    Rule("always_false", "set"),
    Rule("files", "narrows"),
    Rule("packages", "narrows"),
    Rule("modules", "narrows"),
)


def find_relaxed_settings(base: Snapshot, head: Snapshot, *, fresh: bool) -> Iterator[IntegrityFinding]:
    """Compare each tool's settings; in a fresh repository everything is an addition."""
    before, after = all_mypy_settings(base.contents), all_mypy_settings(head.contents)
    yield from _tool(
        "pytest",
        "config-relaxed",
        head.pytest_config.file or base.pytest_config.file,
        PYTEST_RULES,
        base.pytest_config.settings,
        head.pytest_config.settings,
        fresh=fresh,
    )
    yield from _coverage(base, head, fresh=fresh)
    yield from _tool(
        "ruff", "config-relaxed", *_files(RUFF_CONFIGS, base, head), RUFF_RULES, _ruff(base), _ruff(head), fresh=fresh
    )
    yield from _tool(
        "mypy",
        "config-relaxed",
        *_files(MYPY_CONFIGS, base, head),
        _for_each_module(before, after),
        before,
        after,
        fresh=fresh,
    )


def _for_each_module(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Rule, ...]:
    """mypy's rules, and the same for what is set for single modules (`calc.*: ignore_errors`)."""
    single = sorted(key for key in {*before, *after} if ": " in key)
    rules = {rule.key: rule for rule in MYPY_RULES}
    return MYPY_RULES + tuple(
        replace(rules[name], key=key) for key in single if (name := key.rpartition(": ")[2]) in rules
    )


def _coverage(base: Snapshot, head: Snapshot, *, fresh: bool) -> Iterator[IntegrityFinding]:
    before, after = _coverage_settings(base), _coverage_settings(head)
    file = next((name for name in COVERAGE_CONFIGS if head.contents.get(name) != base.contents.get(name)), "")
    yield from _tool("coverage", "coverage-exclusion", file, COVERAGE_EXCLUSIONS, before, after, fresh=fresh)
    yield from _tool("coverage", "config-relaxed", file, COVERAGE_THRESHOLDS, before, after, fresh=fresh, note=False)


def _tool(
    tool: str,
    kind: str,
    file: str,
    rules: tuple[Rule, ...],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    fresh: bool,
    note: bool = True,
) -> Iterator[IntegrityFinding]:
    if dict(before) == dict(after):
        return
    relaxed = list(relaxations(rules, before, after))
    if relaxed:
        yield IntegrityFinding(kind=kind, fails=not fresh, file=file, reason=f"{tool}: {'; '.join(relaxed)}")
    elif note:
        yield IntegrityFinding(
            kind="config-added", fails=False, file=file, reason=f"{tool}: settings were added, none was relaxed"
        )


def _coverage_settings(snapshot: Snapshot) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for section in read_sections(snapshot.contents):
        merged.update(section)
    return merged


def _ruff(snapshot: Snapshot) -> dict[str, Any]:
    for name in RUFF_CONFIGS:
        if name in snapshot.contents:
            return _flat(read_toml(snapshot.contents[name]))
    return _flat(table(read_toml(snapshot.contents.get("pyproject.toml")), "tool", "ruff"))


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """ruff's linter settings may stand at the top or under `lint`."""
    return {**{key: value for key, value in settings.items() if key != "lint"}, **table(settings, "lint")}


def _files(names: tuple[str, ...], base: Snapshot, head: Snapshot) -> tuple[str]:
    candidates = (*names, "pyproject.toml")
    return (next((name for name in candidates if head.contents.get(name) != base.contents.get(name)), ""),)
