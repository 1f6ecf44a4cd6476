"""Files and folders: what is read, what is refused, and that nothing is passed over in silence."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from action.evidence import limits, read_reports

JUNIT = '<testsuite tests="2"><testcase classname="a" name="x"/><testcase name="y"><skipped/></testcase></testsuite>'
COBERTURA = '<coverage><class filename="a.py"><lines><line number="1" hits="1"/></lines></class></coverage>'


def test_folder_is_walked_in_the_order_of_names(tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "junit.xml").write_text(JUNIT)
    (tmp_path / "a.xml").write_text(COBERTURA)
    files = read_reports([tmp_path]).files
    assert [(Path(file.path).name, file.kind) for file in files] == [("a.xml", "coverage"), ("junit.xml", "junit")]


def test_same_file_named_twice_is_read_once(tmp_path: Path):
    (tmp_path / "junit.xml").write_text(JUNIT)
    assert len(read_reports([tmp_path / "junit.xml", tmp_path, tmp_path]).files) == 1


def test_name_has_no_say_in_the_kind(tmp_path: Path):
    (tmp_path / "coverage.json").write_text(JUNIT)
    assert read_reports([tmp_path]).files[0].kind == "junit"


def test_group_is_stamped_on_every_case(tmp_path: Path):
    (tmp_path / "junit.xml").write_text(JUNIT)
    assert {case.group for case in read_reports([tmp_path], group="base").files[0].cases} == {"base"}


@pytest.mark.parametrize("named", [True, False])
def test_symbolic_link_is_not_followed_and_named(tmp_path: Path, named: bool):
    real = tmp_path / "elsewhere.xml"
    real.write_text(JUNIT)
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "junit.xml").symlink_to(real)
    file = read_reports([folder / "junit.xml" if named else folder]).files[0]
    assert file.tests is None
    assert "symbolic link" in file.problems[0]
    assert "junit" in file.could_be


def test_pipe_is_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "junit.xml")
    assert "regular file" in read_reports([tmp_path]).files[0].problems[0]


def test_missing_path_is_named(tmp_path: Path):
    file = read_reports([tmp_path / "junit.xml"]).files[0]
    assert file.kind == "junit"
    assert "cannot be opened" in file.problems[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_named(tmp_path: Path):
    path = tmp_path / "junit.xml"
    path.write_text(JUNIT)
    path.chmod(0)
    assert "cannot be opened" in read_reports([path]).files[0].problems[0]


def test_page_in_a_folder_is_listed_and_suspected_of_nothing(tmp_path: Path):
    (tmp_path / "index.html").write_text("<html><body/></html>")
    (tmp_path / "shot.png").write_bytes(b"\x89PNG\r\n\0\0")
    files = read_reports([tmp_path]).files
    assert [(file.kind, file.could_be) for file in files] == [("unknown", ()), ("unknown", ())]


def test_page_that_was_named_is_suspected(tmp_path: Path):
    (tmp_path / "page.html").write_text("<html><body/></html>")
    assert read_reports([tmp_path / "page.html"]).files[0].could_be


def test_report_by_its_name_is_suspected_in_a_folder_too(tmp_path: Path):
    (tmp_path / "junit-results.xml").write_text("<other/>")
    assert read_reports([tmp_path]).files[0].could_be == ("junit",)


def test_too_many_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("action.evidence.folder.FOLDER_FILES", 3)
    for number in range(5):
        (tmp_path / f"{number}.xml").write_text(JUNIT)
    files = read_reports([tmp_path]).files
    assert len(files) == 4
    assert "more than 3 files" in files[-1].problems[0]
    assert files[-1].could_be


def test_folders_too_deep_are_named(tmp_path: Path):
    deep = tmp_path.joinpath(*["d"] * 20)
    deep.mkdir(parents=True)
    (deep / "junit.xml").write_text(JUNIT)
    files = read_reports([tmp_path]).files
    assert "nested deeper" in files[0].problems[0]


def test_allowance_counts_over_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("action.evidence.reports.Allowance", lambda: limits.Allowance(cases_left=3))
    for name in ("a.xml", "b.xml"):
        (tmp_path / name).write_text(JUNIT)
    first, second = read_reports([tmp_path]).files
    assert first.tests is not None
    assert second.tests is None
    assert "test cases" in second.problems[0]


LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
)


@pytest.mark.parametrize(
    "content",
    [
        LAUGHS + "]><testsuite>&m;</testsuite>",
        "<testsuite>" * 500_000,
        "<testsuite>" + '<testcase name="t"/>' * 200_000,
        "<testsuite " + " ".join(f'a{n}=""' for n in range(700_000)),
        "<testsuite><!--" + "x" * 5_000_000,
        "<testsuite>" + " " * limits.XML_BYTES,
        "[" * 1_000_000,
        '{"suites":' * 300_000,
        '{"meta":{"branch_coverage":0},"files":[' + "[]," * 400_000 + "0]}",
        '{"runs":[' + "1," * 2_100_000 + "0]}",
        '{"version": ' + "9" * 5_000_000 + ', "runs": []}',
        ("x: " * 300 + "\n") * 6_000 + "Found 1 error in 1 file (checked 1 source file)\n",
        "\0" * 10_000_000,
    ],
    ids=[
        "laughs",
        "deep",
        "cases",
        "attributes",
        "comment",
        "large",
        "brackets",
        "keys",
        "lists",
        "elements",
        "digits",
        "colons",
        "zeros",
    ],
)
def test_bomb_is_refused_within_two_seconds(tmp_path: Path, content: str):
    path = tmp_path / "bomb"
    path.write_text(content)
    before = time.process_time()
    file = read_reports([path]).files[0]
    assert time.process_time() - before < 2
    assert file.tests is None
    assert file.issues is None
    assert file.problems
    assert file.could_be


SAMPLES = (
    JUNIT,
    COBERTURA,
    '{"meta":{"branch_coverage":false},"files":{"a.py":{"executed_lines":[1],"missing_lines":[2]}},"totals":{}}',
    '{"lighthouseVersion":"12.8.2","categories":{"performance":{"score":0.9}}}',
    '{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"s"}},"results":[{"level":"error"}]}]}',
    "a.py:1: error: Bad\nFound 1 error in 1 file (checked 1 source file)\n",
    "SF:a\nDA:1,1\nend_of_record\n",
    '{"errors":[],"metrics":{"a.py":{"loc":3}},"results":[{"issue_severity":"LOW","line_number":1}]}',
    '{"dependencies":[{"name":"a","version":"1","vulns":[{"id":"x","fix_versions":["2"]}]}],"fixes":[]}',
    '{"auditReportVersion":2,"vulnerabilities":{"a":{"severity":"low","via":["b"]}},"metadata":{"vulnerabilities":{}}}',
)


def test_flipped_bytes_end_in_figures_or_in_a_reason(tmp_path: Path):
    chance = random.Random(15)
    path = tmp_path / "report"
    for turn in range(700):
        data = bytearray(SAMPLES[turn % len(SAMPLES)].encode())
        for _ in range(chance.choice((1, 1, 2, 5))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        file = read_reports([path]).files[0]
        measured = file.tests or file.coverage or file.lighthouse is not None or file.issues is not None
        assert measured or (file.problems and file.could_be)
        assert file.tests is None or file.tests.passed <= 2
