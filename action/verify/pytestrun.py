"""One pytest run in a cell: which settings it gets, what it said, and the report we write about it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from action.verify.account import MARKER
from action.verify.checkout import Snapshot, write_checkout
from action.verify.coveragesettings import CoverageSettings
from action.verify.events import Group, RecordedRun, read_stream
from action.verify.layout import PytestConfig
from action.verify.sandbox import Cell, Outcome

Purpose = Literal["base-tests", "change-tests", "collect", "probe", "mutant", "e2e"]
# Written beside the checkout's own files, so that paths in the settings are relative to the root as they were meant.
ANYBODY = {"USER": "somebody", "LOGNAME": "somebody"}
CONFIG_STEM = ".aicd-pytest"


@dataclass(frozen=True)
class PytestRun:
    """What came of one run. `outcome` is the process's end, `recorded` what the tests did.

    `everything` says that its settings alone chose the tests.
    """

    purpose: Purpose
    command: tuple[str, ...]
    outcome: Outcome
    recorded: RecordedRun
    everything: bool


@dataclass(frozen=True)
class PytestOrder:
    """What to run. `config` are the settings in force, `config_data` their file's bytes; `paths` limits what is run.

    Without `paths` pytest collects what its settings say, but for `left_out`. `options` and `environment` are added. A
    `disguised` run hides from the code that it is being tested. `shard` is (number, of how many): of what is collected,
    each runs the modules of its share.
    """

    purpose: Purpose
    group: Group
    snapshot: Snapshot
    config: PytestConfig
    config_data: bytes
    distributions: tuple[str, ...]
    paths: tuple[str, ...] = ()
    coverage: CoverageSettings | None = None
    left_out: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    disguised: bool = False
    shard: tuple[int, int] = (0, 1)


def run_pytest(order: PytestOrder, cell: Cell, inside: Path, timeout_seconds: float) -> PytestRun:
    """Write the checkout, run, and read what was recorded."""
    write_checkout(order.snapshot, cell.tree, cell.owner)
    nonce = secrets.token_hex(16)
    arguments = _arguments(order, cell.tree)
    message = {
        "nonce": nonce,
        "root": str(cell.tree),
        "paths": [str(path) for path in import_paths(order.snapshot, cell.tree)],
        "arguments": arguments,
        "distributions": list(order.distributions),
        "coverage": _coverage_order(order.coverage, cell),
        "tests": sorted(order.snapshot.test_paths),
        "disguised": order.disguised,
        "shard": list(order.shard),
        # With a user id of its own nothing is found by its marks, so they may go.
        "hidden": [MARKER, "AICD_STACK"] if order.disguised and cell.account else [],
    }
    isolation = ("-s", "-B") if order.disguised else ("-I", "-P", "-B")
    outcome = cell.run(
        [cell.python, *isolation, inside / "bootstrap.py"],
        timeout_seconds=timeout_seconds,
        stdin=json.dumps(message).encode(),
        environment={**order.environment, **(ANYBODY if order.disguised else {})},
        channel=True,
    )
    recorded = read_stream(outcome.channel, nonce, order.group, outcome.exit_code)
    return PytestRun(order.purpose, ("pytest", *arguments), outcome, _relative(recorded, cell.tree), not order.paths)


def import_paths(snapshot: Snapshot, root: Path) -> tuple[Path, ...]:
    """The repository root, and src/ if it is there: isolated mode drops the working directory."""
    has_src = any(path.startswith("src/") for path in snapshot.entries)
    return (root / "src", root) if has_src else (root,)


def _arguments(order: PytestOrder, root: Path) -> list[str]:
    arguments = ["-c", _write_config(order, root), "--rootdir", str(root), "-p", "no:cacheprovider", "--color=no"]
    # A suite's own settings may stop at the first failure; the verdict needs to hear of every test.
    arguments += ["--maxfail=0", "--continue-on-collection-errors", "-rN", "--tb=short"]
    if order.purpose == "collect":
        arguments += ["--collect-only", "-q"]
    if order.purpose == "mutant":
        arguments += ["-x"]  # one test that notices is enough
    arguments += [f"--ignore={root / path}" for path in order.left_out]
    return [*arguments, *order.options, *order.paths]


def _write_config(order: PytestOrder, root: Path) -> str:
    """Lay the settings beside the tree's own, which stay as they are; pytest is told to read ours."""
    name = order.config.file
    if name.endswith("pytest.toml"):
        target = root / name  # this format is known by its name only
    else:
        target = root / (CONFIG_STEM + (Path(name).suffix if name else ".ini"))
    target.unlink(missing_ok=True)  # the tree may hold a link of that name
    target.write_bytes(order.config_data if name else b"[pytest]\n")
    target.chmod(0o644)
    return str(target)


def _coverage_order(settings: CoverageSettings | None, cell: Cell) -> dict[str, str] | None:
    if settings is None:
        return None
    config = cell.folder / "coverage.ini"
    lines = ["[run]", "branch = false"]
    if settings.concurrency:
        lines.append("concurrency = " + ",".join(settings.concurrency))
    config.write_text("\n".join(lines) + "\n")
    return {"data_file": str(cell.home / "coverage"), "config_file": str(config)}


def _relative(recorded: RecordedRun, root: Path) -> RecordedRun:
    executed = dict(_relative_lines(recorded.executed, root))
    return replace(recorded, executed=executed)


def _relative_lines(executed: Mapping[str, frozenset[int]], root: Path) -> Iterable[tuple[str, frozenset[int]]]:
    prefix = f"{root}/"
    for path, lines in executed.items():
        if path.startswith(prefix):
            yield path.removeprefix(prefix), lines
