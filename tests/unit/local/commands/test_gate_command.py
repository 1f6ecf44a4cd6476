"""`aicd gate` and `aicd evidence`, as they are called."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controlplane.verdict import Criterion, Verdict
from local.cli import run
from local.commands.verdict_table import print_verdict

JUNIT = '<testsuite><testcase name="a"/><testcase name="b"/></testsuite>'
FAILING = '<testsuite><testcase name="a"><failure/></testcase></testsuite>'
COBERTURA = (
    '<coverage line-rate="1.0"><class filename="a.py"><lines><line number="1" hits="1"/><line number="2" hits="0"/>'
    "</lines></class></coverage>"
)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "junit.xml": JUNIT,
        "failing.xml": FAILING,
        "coverage.xml": COBERTURA,
        "broken.xml": JUNIT[:-5],
        "dod.yml": "coverage_min: 0.5\ntests_min: 2\n",
        "strict.yml": "coverage_min: 0.51\n",
        "bad.yml": "coverage_min: 85\n",
        "integrity.yml": "integrity: true\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        "--dod dod.yml --reports junit.xml coverage.xml",
        "--reports junit.xml coverage.xml --dod dod.yml",
        "--dod dod.yml --reports junit.xml --reports coverage.xml",
        "--reports junit.xml coverage.xml --json --dod dod.yml",
        "--dod=dod.yml --reports=junit.xml coverage.xml",
    ],
)
def test_several_reports_in_every_spelling_pass(arguments):
    assert run(["gate", *arguments.split()]) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--dod strict.yml --reports junit.xml coverage.xml", 1),
        ("--dod dod.yml --reports junit.xml", 1),
        ("--dod dod.yml --reports junit.xml coverage.xml broken.xml", 1),
        ("--dod dod.yml --reports junit.xml coverage.xml failing.xml", 1),
        ("--dod integrity.yml --reports junit.xml", 1),
        ("--dod bad.yml --reports junit.xml", 1),
        ("--dod none.yml --reports junit.xml", 2),
        ("--dod dod.yml --reports none.xml", 2),
        ("--dod dod.yml --reports", 2),
        ("--dod dod.yml", 2),
        ("--reports junit.xml", 2),
        ("--dod dod.yml --reports junit.xml --base main", 2),
        ("--dod dod.yml --reports junit.xml --repo none --base main", 2),
        ("--dod dod.yml --reports junit.xml --unknown", 2),
    ],
)
def test_endings_have_their_exit_codes(arguments, code, capsys):
    assert run(["gate", *arguments.split()]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_json_is_one_document_of_the_contract_s_shape(capsys):
    assert run(["gate", "--dod", "strict.yml", "--reports", "junit.xml", "coverage.xml", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["result", "criteria", "tests", "coverage"]
    assert document["result"] == "FAILED"
    assert document["coverage"] == 0.5
    assert [one["status"] for one in document["criteria"]] == ["passed", "failed"]


def test_plain_output_says_why_and_how_to_mend(capsys):
    run(["gate", "--dod", "strict.yml", "--reports", "junit.xml", "coverage.xml"])
    out = capsys.readouterr().out
    assert "1 of 2 lines of non-test code are covered: 1 more is needed for 0.51. Fix:" in out
    assert "a.py: line 2 is not covered" in out
    assert out.endswith("FAILED\n")


def test_reports_cannot_speak_to_the_terminal(capsys):
    case = '<testcase name="&#x9b;31m"><failure message="&#x85;x"/></testcase>'
    Path("failing.xml").write_text(f"<testsuite>{case}</testsuite>")
    run(["gate", "--dod", "dod.yml", "--reports", "failing.xml"])
    assert not set(capsys.readouterr().out) & {"\x9b", "\x85", "\x1b"}


def test_evidence_json_has_the_contract_s_shape(capsys):
    assert run(["evidence", "junit.xml", "coverage.xml", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    keys = ["path", "kind", "tests", "coverage", "lighthouse", "issues", "problems"]
    assert [list(file) for file in files] == [keys, keys]
    assert files[0]["tests"] == {"total": 2, "passed": 2, "failed": 0, "errors": 0, "skipped": 0}
    assert files[1]["coverage"] == {"covered": 1, "total": 2, "ratio": 0.5}
    assert "line-rate=1.0" in files[1]["problems"][0]


@pytest.mark.parametrize(
    ("paths", "code"), [("junit.xml", 0), ("broken.xml", 1), ("junit.xml broken.xml", 1), ("none.xml", 2), ("", 2)]
)
def test_evidence_ends_by_what_was_readable(paths, code, capsys):
    assert run(["evidence", *paths.split()]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_gate_starts_without_what_it_does_not_need(workplace):
    root = Path(__file__).parents[4]
    code = "import sys; from local.cli import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "gate", "--dod", str(workplace / "dod.yml"), "--reports", str(workplace)]
    before = time.monotonic()
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=30, check=False)
    assert time.monotonic() - before < 5
    loaded = set(done.stderr.split())
    assert "action.gate.judge" in loaded
    assert not loaded & {"lxml", "supabase", "httpx", "anthropic", "googleapiclient", "github", "psycopg"}


def test_criterion_that_passes_without_a_figure_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "Nothing to measure: the change adds no line of code."
    print_verdict(
        Verdict(
            criteria=(
                Criterion(id="diff_coverage_min", required=0.9, status="passed", reason=reason),
                Criterion(id="tests_min", required=1, actual=2, status="passed", reason="2 tests ran."),
            )
        )
    )
    told = capsys.readouterr().out
    assert f"diff_coverage_min: {reason}" in told
    assert "2 tests ran." not in told


def test_wrong_definition_of_done_names_the_page_that_explains_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gate", "--dod", "bad.yml", "--reports", "junit.xml"]) == 1
    assert "docs/writing-a-specification.md explains the keys" in capsys.readouterr().err
