"""Security scans: the product as it would be without the change's own exceptions, with the base's settings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from action.evidence import read_reports
from action.verify.bench import Bench
from action.verify.checkout import Snapshot, write_checkout
from action.verify.environment import Environment
from action.verify.scan import Scan
from action.verify.security import NO_NETWORK, measure_security
from action.verify.security_audit import scan_node_packages, scan_python_packages
from action.verify.security_bandit import scan_python_code
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import EvidenceFile

Snap = Callable[..., Snapshot]
SHELL = "import os\n\n\ndef run(text):\n    return os.system(text){}\n"
BRACKET = "import os\n\nos.system(\n    input()\n)  # nosec\n"
LOCK = '{"lockfileVersion": 3, "packages": {"": {}, "node_modules/a": {"version": "1.0.0"}}}'


def make_bench(base: Snapshot, head: Snapshot, **rest: Any) -> Bench:
    """What a scan looks at. The environment is the one that these tests run in: it has a bandit of its own."""
    environment = Environment(Path(sys.prefix), Path("/nowhere"), cast("Any", None))
    keeper = SimpleNamespace(notes=[], unrun=[])
    keeper.keep_unrun = lambda *told: keeper.unrun.append(told)
    dod = DefinitionOfDone(security_max="low")
    given = {"dod": dod, "environment": environment, "keeper": keeper, "network": True, **rest}
    return cast("Bench", SimpleNamespace(base=base, head=head, **given))


def scanned(scan: Scan, folder: Path) -> EvidenceFile:
    write_checkout(scan.tree, folder / "tree")
    done = subprocess.run(scan.command, cwd=folder / "tree", capture_output=True, check=False)
    (folder / "bandit.json").write_bytes(done.stdout)
    return read_reports([folder / "bandit.json"]).files[0]


@pytest.mark.parametrize(
    ("base", "head", "severities", "notes"),
    [
        ({}, {"a.py": SHELL.format("")}, {"high": 1}, 0),
        ({}, {"a.py": "X = 1\n"}, {}, 0),
        ({}, {"a.py": SHELL.format("  # nosec")}, {"high": 1}, 1),
        ({}, {"a.py": SHELL.format("  #NOSEC: B605")}, {"high": 1}, 1),
        ({"a.py": SHELL.format("  # nosec")}, {"b/a.py": SHELL.format("  # nosec")}, {}, 0),
        ({"b.py": BRACKET}, {"a.py": BRACKET}, {"high": 1}, 1),
        ({"b.py": BRACKET}, {"b.py": "X = 1\n" + BRACKET}, {}, 0),
        ({}, {"a.py": "X = 1\n", "tests/test_a.py": SHELL.format("")}, {}, 0),
        ({}, {"pkg/myCVS.py": SHELL.format("")}, {"high": 1}, 0),
        ({}, {".tox/a.py": SHELL.format("")}, {"high": 1}, 0),
        ({}, {"a.py": SHELL.format(""), ".bandit": "[bandit]\nskips: B605\n"}, {"high": 1}, 0),
        ({".bandit": "[bandit]\nskips: B605\n"}, {"a.py": SHELL.format("")}, {}, 0),
        (
            {".bandit": "[bandit]\nexclude: /b\n"},
            {"a.py": SHELL.format(""), "b/c.py": SHELL.format("")},
            {"high": 1},
            0,
        ),
        ({"pyproject.toml": '[tool.bandit]\nskips = ["B605"]\n'}, {"a.py": SHELL.format("")}, {}, 0),
    ],
)
def test_bandit_judges_the_product_by_what_the_base_allows(
    snapshot: Snap, tmp_path: Path, base: dict[str, str], head: dict[str, str], severities: dict[str, int], notes: int
) -> None:
    scan = scan_python_code(make_bench(snapshot(base), snapshot(head)))
    file = scanned(scan, tmp_path)
    assert file.severities == severities, file.problems
    assert len(scan.notes) == notes


def test_source_that_cannot_be_parsed_is_no_clean_scan(snapshot: Snap, tmp_path: Path) -> None:
    scan = scan_python_code(make_bench(snapshot({}), snapshot({"a.py": "X = 1\n", "b.py": "def (\n"})))
    file = scanned(scan, tmp_path)
    assert file.issues is None
    assert "b.py" in file.problems[0]


def test_repository_without_python_has_nothing_for_bandit(snapshot: Snap) -> None:
    assert not scan_python_code(make_bench(snapshot({}), snapshot({"index.js": "1"}))).command


def test_npm_asks_the_base_s_registry_about_the_head_s_lock(snapshot: Snap) -> None:
    base = {"package.json": "{}", ".npmrc": "registry=https://base.example/\n"}
    head = {"package.json": '{"name": "a"}', "package-lock.json": LOCK, ".npmrc": "registry=https://head.example/\n"}
    scan = scan_node_packages(make_bench(snapshot(base), snapshot(head)))
    assert scan.tree.contents == {
        "package.json": b'{"name": "a"}',
        "package-lock.json": LOCK.encode(),
        ".npmrc": b"registry=https://base.example/\n",
    }
    assert scan.command[1:] == ("audit", "--json", "--package-lock-only")


@pytest.mark.parametrize(
    ("head", "notes"),
    [
        ({"package.json": "{}"}, 0),
        ({"package.json": "{}", "package-lock.json": '{"packages": {"": {}}}'}, 0),
        ({"package.json": "{}", "yarn.lock": ""}, 1),
    ],
)
def test_without_a_lock_of_npm_s_there_is_nothing_for_it(snapshot: Snap, head: dict[str, str], notes: int) -> None:
    scan = scan_node_packages(make_bench(snapshot({}), snapshot(head)))
    assert (scan.command, scan.refusal, len(scan.notes)) == ((), "", notes)


def test_missing_npm_is_said_and_nothing_is_measured(snapshot: Snap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    head = snapshot({"package.json": "{}", "package-lock.json": LOCK})
    assert "no npm" in scan_node_packages(make_bench(snapshot({}), head)).refusal


def test_pip_audit_is_the_repository_s_own_or_nobody_s(snapshot: Snap, tmp_path: Path) -> None:
    own = Environment(tmp_path, tmp_path / "tools", cast("Any", None))
    bench = make_bench(snapshot({}), snapshot({}), environment=own)
    assert "none of the repository's own pinned tools" in scan_python_packages(bench).notes[0]
    (tmp_path / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip-audit").touch()
    scan = scan_python_packages(bench)
    assert scan.needs_network
    assert str(tmp_path / "lib" / "python3.11" / "site-packages") in scan.command
    bare = Environment(tmp_path, tmp_path, cast("Any", None))
    assert scan_python_packages(make_bench(snapshot({}), snapshot({}), environment=bare)) == Scan("pip-audit")


def test_scan_that_needs_the_network_is_not_run_without_it(snapshot: Snap) -> None:
    head = snapshot({"package.json": "{}", "package-lock.json": LOCK})
    bench: Any = make_bench(
        snapshot({}), head, network=False, environment=Environment(Path("/"), Path("/"), cast("Any", None))
    )
    measure_security(bench)
    assert bench.keeper.unrun == [("security", "npm-audit", NO_NETWORK)]


def test_nothing_is_scanned_where_nobody_asks(snapshot: Snap) -> None:
    bench: Any = make_bench(snapshot({}), snapshot({"a.py": "X = 1\n"}), dod=DefinitionOfDone())
    measure_security(bench)
    assert (bench.keeper.notes, bench.keeper.unrun) == ([], [])
