"""Cobertura, coverage.py JSON and LCOV: lines decide, headers are only compared."""

from __future__ import annotations

import json

import pytest

from controlplane.evidence import EvidenceFile


def figures(file: EvidenceFile) -> tuple[int, int]:
    assert file.coverage is not None, file.problems
    return file.coverage.covered, file.coverage.total


def line(number: object, hits: object) -> str:
    return f'<line number="{number}" hits="{hits}"/>'


def cobertura(*classes: str, header: str = "") -> str:
    return (
        f"<coverage {header}><packages><package><classes>{''.join(classes)}</classes></package></packages></coverage>"
    )


def klass(name: str, lines: str, methods: str = "", attributes: str = "") -> str:
    inner = f"<methods><method><lines>{methods}</lines></method></methods>" if methods else "<methods/>"
    return f'<class filename="{name}" {attributes}>{inner}<lines>{lines}</lines></class>'


def test_methods_lines_are_not_counted_twice(read):
    file = read(cobertura(klass("a.py", line(1, 1) + line(2, 0), methods=line(2, 0))))
    assert figures(file) == (1, 2)


def test_methods_lines_do_not_count_beside_the_class_s_own(read):
    assert figures(read(cobertura(klass("a.py", line(1, 1), methods=line(1, 1) + line(7, 3))))) == (1, 1)


def test_class_with_lines_in_its_methods_alone_is_counted_by_them(read):
    assert figures(read(cobertura(klass("a.py", "", methods=line(2, 0) + line(3, 4))))) == (1, 2)


def test_one_file_in_several_classes_is_joined_and_a_line_hit_anywhere_is_covered(read):
    file = read(cobertura(klass("A.java", line(1, 1) + line(2, 0)), klass("A.java", line(2, 5) + line(3, 0))))
    assert figures(file) == (2, 3)
    assert file.lines[0].covered == {1, 2}
    assert file.lines[0].missing == {3}


def test_windows_paths_name_the_same_file(read):
    assert figures(read(cobertura(klass("a\\b.py", line(1, 0)), klass("./a/b.py", line(1, 1))))) == (1, 1)


def test_classes_without_a_packages_classes_layer_are_found(read):
    assert figures(read(f"<coverage><packages>{klass('a', line(1, 1))}</packages></coverage>")) == (1, 1)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ('line-rate="1.0"', "line-rate=1.0, the lines say 0.5000"),
        ('line-rate="NaN"', "no share from 0 to 1"),
        ('line-rate="-0.5"', "no share from 0 to 1"),
        ('line-rate="1.01"', "no share from 0 to 1"),
        ('lines-valid="1"', "lines-valid=1, the lines say 2"),
        ('lines-covered="2"', "lines-covered=2, the lines say 1"),
        ('lines-valid="many"', "is no count"),
    ],
)
def test_header_that_lies_is_named_and_the_recount_holds(read, header, told):
    file = read(cobertura(klass("a.py", line(1, 1) + line(2, 0)), header=header))
    assert figures(file) == (1, 2)
    assert told in file.problems[0]


@pytest.mark.parametrize("header", ['line-rate="0.5"', 'line-rate="0.4995"', 'lines-valid="2" lines-covered="1"', ""])
def test_honest_header_is_no_problem(read, header):
    assert read(cobertura(klass("a.py", line(1, 1) + line(2, 0)), header=header)).problems == ()


@pytest.mark.parametrize("hits", ["-1", "NaN", "1e5", "", "9" * 400])
def test_hits_that_are_no_count_are_missing_and_named(read, hits):
    file = read(cobertura(klass("a.py", line(1, hits) + line(2, 3))))
    assert figures(file) == (1, 2)
    assert "counted as missing" in file.problems[0]


def test_line_without_hits_is_missing(read):
    assert figures(read(cobertura(klass("a.py", '<line number="1"/>')))) == (0, 1)


@pytest.mark.parametrize(
    "document",
    [
        cobertura(klass("a.py", line("x", 1))),
        cobertura(klass("a.py", line("-3", 1))),
        cobertura('<class><lines><line number="1" hits="1"/></lines></class>'),
        cobertura(klass("a.py", line(1, 1)))[:-12],
        '<!DOCTYPE coverage [<!ENTITY x "1">]>' + cobertura(klass("a.py", line(1, 1))),
    ],
)
def test_cobertura_that_cannot_be_trusted_is_evidence_of_nothing(read, document):
    file = read(document, "coverage.xml")
    assert file.coverage is None
    assert file.problems
    assert "coverage" in file.could_be


def test_external_doctype_is_skipped(read):
    doctype = '<?xml version="1.0" ?>\n<!DOCTYPE coverage SYSTEM "http://127.0.0.1:9/coverage-04.dtd">\n'
    assert figures(read(doctype + cobertura(klass("a.py", line(1, 1))))) == (1, 1)


def test_report_without_lines_has_no_ratio(read):
    file = read(cobertura(klass("a.py", ""), header='lines-valid="8" lines-covered="8" line-rate="1"'))
    assert file.coverage is not None
    assert file.coverage.ratio is None
    assert "there is no line in it to count" in file.problems


def coveragepy(files: object, totals: object = None, **meta: object) -> str:
    return json.dumps({"meta": {"branch_coverage": False, **meta}, "files": files, "totals": totals or {}})


def entry(executed: object, missing: object, **rest: object) -> dict[str, object]:
    return {"executed_lines": executed, "missing_lines": missing, "excluded_lines": [9], **rest}


def test_coveragepy_counts_executed_and_missing_and_no_excluded_lines(read):
    file = read(coveragepy({"a.py": entry([1, 2], [3]), "b.py": entry([], [1])}))
    assert figures(file) == (2, 4)
    assert file.tool == "coverage.py"


def test_coveragepy_totals_that_lie_are_named(read):
    totals = {"covered_lines": 4, "num_statements": 4, "percent_covered": 100.0}
    file = read(coveragepy({"a.py": entry([1], [2, 3, 4])}, totals))
    assert figures(file) == (1, 4)
    assert "percent_covered is 100.0, the lines say 25.00" in " ".join(file.problems)


def test_coveragepy_percent_with_branches_is_not_compared(read):
    totals = {"covered_lines": 1, "num_statements": 2, "percent_covered": 33.3}
    assert read(coveragepy({"a.py": entry([1], [2])}, totals, branch_coverage=True)).problems == ()


def test_line_that_is_executed_and_missing_is_missing(read):
    file = read(coveragepy({"a.py": entry([1, 2, 2], [2])}))
    assert figures(file) == (1, 2)
    assert "executed and missing at once" in file.problems[0]


@pytest.mark.parametrize(
    "document",
    [
        coveragepy({"a.py": entry([1.0], [])}),
        coveragepy({"a.py": entry([-1], [])}),
        coveragepy({"a.py": entry([True], [])}),
        coveragepy({"a.py": entry(["1"], [])}),
        coveragepy({"a.py": entry(None, [])}),
        coveragepy({"a.py": {"executed_lines": [1]}}),
        coveragepy({"a.py": 3}),
        coveragepy(None),
        coveragepy([]),
        coveragepy({"a.py": entry([1], [])}).replace("[1]", "[NaN]"),
        coveragepy({"a.py": entry([1], [])}).replace('"totals"', '"files": {}, "totals"'),
        coveragepy({"a.py": entry([1], [])})[:-3],
        '{"totals": {"percent_covered": 100.0}}',
    ],
)
def test_coveragepy_that_cannot_be_trusted_is_evidence_of_nothing(read, document):
    file = read(document, "coverage.json")
    assert file.coverage is None
    assert file.problems
    assert "coverage" in file.could_be


LCOV = "TN:\nSF:src/a.js\nFN:1,f\nFNDA:1,f\nDA:1,1\nDA:2,0\nDA:2,3\nDA:4,0\nLF:3\nLH:2\nend_of_record\n"


def test_lcov_counts_each_line_once(read):
    file = read(LCOV)
    assert figures(file) == (2, 3)
    assert file.problems == ()


def test_lcov_sums_that_lie_are_named(read):
    file = read(LCOV.replace("LH:2", "LH:3"))
    assert figures(file) == (2, 3)
    assert "LH says 3, the lines say 2" in file.problems[0]


@pytest.mark.parametrize(
    "document", [LCOV[:-15], LCOV.replace("DA:1,1", "DA:x,1"), "DA:1,1\n" + LCOV, LCOV.replace("DA:1,1", "SF:b")]
)
def test_lcov_that_cannot_be_trusted_is_evidence_of_nothing(read, document):
    file = read(document, "lcov.info")
    assert file.coverage is None
    assert "coverage" in file.could_be


def test_negative_lcov_count_is_missing(read):
    assert figures(read("SF:a\nDA:1,-1\nend_of_record\n")) == (0, 1)
