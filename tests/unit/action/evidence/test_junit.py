"""JUnit XML: every dialect counts its cases, and no header is believed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.evidence import EvidenceFile

HEAD = '<?xml version="1.0" encoding="utf-8"?>'


def figures(file: EvidenceFile) -> tuple[int, int, int, int, int]:
    assert file.tests is not None, file.problems
    return file.tests.total, file.tests.passed, file.tests.failed, file.tests.errors, file.tests.skipped


def case(inner: str = "", attributes: str = "") -> str:
    return f'<testcase classname="a.B" name="t" {attributes}>{inner}</testcase>'


@pytest.mark.parametrize(
    ("inner", "attributes", "outcome"),
    [
        ("", "", "passed"),
        ('<failure message="no"/>', "", "failed"),
        ("<failure/><failure/>", "", "failed"),
        ('<error message="no"/>', "", "error"),
        ("<failure/><error/>", "", "error"),
        ("<skipped/>", "", "skipped"),
        ("<skipped/><failure/>", "", "failed"),
        ('<skipped type="pytest.skip" message="why"/>', "", "skipped"),
        ('<skipped type="pytest.xfail" message="why"/>', "", "xfailed"),
        ("<flakyFailure/><flakyError/>", "", "passed"),
        ("<failure/><rerunFailure/>", "", "failed"),
        ("<rerunFailure/>", "", "failed"),
        ("<rerunError/>", "", "error"),
        ("<system-out>&lt;failure/&gt;</system-out><system-err/>", "", "passed"),
        ("<system-out><![CDATA[<failure/>]]></system-out>", "", "passed"),
        ("<properties><property name='x' value='failure'/></properties>", "", "passed"),
        ("", 'status="run" result="completed"', "passed"),
        ("", 'status="notrun"', "skipped"),
        ("", 'status="run" result="skipped"', "skipped"),
        ("", 'status="Failed"', "failed"),
        ("", 'result="error"', "error"),
        ("<failure/>", 'status="passed"', "failed"),
        ("<stranger/>", "", "passed"),
    ],
)
def test_case_by_its_children_and_status_ends_as_the_worse_says(read, inner, attributes, outcome):
    file = read(f"{HEAD}<testsuite>{case(inner, attributes)}</testsuite>")
    assert [one.outcome for one in file.cases] == [outcome]


@pytest.mark.parametrize(
    "document",
    [
        f"<testsuite>{case()}{case('<failure/>')}</testsuite>",
        f"<testsuites><testsuite>{case()}</testsuite><testsuite>{case('<failure/>')}</testsuite></testsuites>",
        f"<testsuites>{case()}<testsuite>{case('<failure/>')}</testsuite></testsuites>",
        f"<testsuites><testsuite><testsuite>{case()}<testsuite>{case('<failure/>')}</testsuite></testsuite></testsuite></testsuites>",
        f"<testsuites xmlns='urn:x'><testsuite>{case()}{case('<failure/>')}</testsuite></testsuites>",
        f"<j:testsuite xmlns:j='urn:x'>{case()}{case('<failure/>')}</j:testsuite>",
        f"<!DOCTYPE testsuite SYSTEM 'http://127.0.0.1:9/never-fetched.dtd'><testsuite>{case()}{case('<failure/>')}</testsuite>",
        f"<!-- comment --><?pi x?><testsuite>{case()}{case('<failure/>')}</testsuite>",
    ],
)
def test_suites_in_every_nesting_count_each_case_once(read, document):
    assert figures(read(HEAD + document)) == (2, 1, 1, 0, 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_declared_encodings_are_read(read, encoding):
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?><testsuite><testcase name="prüfe"/></testsuite>'
    file = read(text.encode(encoding))
    assert file.cases[0].node_id == "prüfe"


@pytest.mark.parametrize(
    ("attributes", "node_id"),
    [
        ('classname="tests.test_a" name="test_x"', "tests.test_a::test_x"),
        ('classname="tests.test_a" name="test_x" file="tests/test_a.py"', "tests/test_a.py::test_x"),
        (
            'classname="tests.test_a.TestC.TestD" name="t[a::b]" file="tests/test_a.py"',
            "tests/test_a.py::TestC::TestD::t[a::b]",
        ),
        ('classname="other" name="t" file="tests/test_a.py"', "other::t"),
        ('classname="pkg.Main" name="t" file="src/Main.java"', "pkg.Main::t"),
        ('classname="" name="mounts"', "mounts"),
        ('name="only"', "only"),
    ],
)
def test_node_id_is_pytest_s_own_where_the_file_is_named(read, attributes, node_id):
    assert read(f"<testsuite><testcase {attributes}/></testsuite>").cases[0].node_id == node_id


def test_same_name_twice_is_two_cases(read):
    assert figures(read(f"<testsuite>{case()}{case('<error/>')}</testsuite>")) == (2, 1, 0, 1, 0)


def test_header_that_lies_is_named_and_not_believed(read):
    file = read(f'<testsuite name="s" tests="9" failures="0" errors="0" skipped="4">{case("<failure/>")}</testsuite>')
    assert figures(file) == (1, 0, 1, 0, 0)
    assert len(file.problems) == 3
    assert 'testsuite "s" says tests=9, there are 1 cases' in file.problems


@pytest.mark.parametrize(
    "header", ['tests="NaN"', 'tests="-1"', 'failures="1e3"', f'tests="{"9" * 5000}"', 'tests="٣"']
)
def test_header_that_is_no_count_is_named(read, header):
    file = read(f"<testsuite {header}>{case()}</testsuite>")
    assert figures(file) == (1, 1, 0, 0, 0)
    assert "is no count" in file.problems[0]


@pytest.mark.parametrize("tests", ["3", "1"])
def test_nested_suites_may_declare_own_or_all_cases(read, tests):
    file = read(f'<testsuite tests="{tests}">{case()}<testsuite tests="2">{case()}{case()}</testsuite></testsuite>')
    assert file.problems == ()


@pytest.mark.parametrize("time", ["NaN", "-1", "inf", "abc", "1" * 40])
def test_time_that_is_no_duration_is_unknown_and_named(read, time):
    file = read(f'<testsuite><testcase name="t" time="{time}"/></testsuite>')
    assert file.cases[0].duration_seconds is None
    assert "is no duration" in file.problems[0]


def test_time_with_grouped_thousands_is_read(read):
    assert read('<testsuite><testcase name="t" time="1,234.5"/></testsuite>').cases[0].duration_seconds == 1234.5


def test_failure_of_the_suite_itself_counts_as_an_error(read):
    file = read(f'<testsuite name="s"><error message="set-up broke"/>{case()}</testsuite>')
    assert figures(file) == (2, 1, 0, 1, 0)


def test_message_comes_from_the_attribute_else_from_the_text(read):
    first, second = case('<failure message="a&#10;b"/>'), case("<failure>c\nd</failure>")
    file = read(f"<testsuite>{first}{second}</testsuite>")
    assert [one.message for one in file.cases] == ["a b", "c d"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (f"<testsuite>{case()}", "cut off"),
        (f"<testsuite>{case()}</testsuites>", "broken"),
        (f"<testsuite>{case()}</testsuite><x/>", "broken"),
        ('<?xml version="1.0" encoding="utf-8"?><testsuite name="\xe4"/>'.encode("latin-1"), "broken"),
        ('<?xml version="1.0" encoding="klingon"?><testsuite/>', "unknown encoding"),
        ("<testsuite><testcase name='a'><testcase name='b'/></testcase></testsuite>", "inside another"),
        ("<testsuite><testcase name='a'><testsuite/></testcase></testsuite>", "inside a test case"),
        ("<testsuite>&unknown;</testsuite>", "broken"),
        ("<!DOCTYPE t SYSTEM 'x.dtd'><testsuite>&unknown;</testsuite>", "entity"),
        ('<!DOCTYPE t [<!ENTITY a "b">]><testsuite>&a;</testsuite>', "internal subset"),
        ('<!DOCTYPE t [<!ATTLIST testcase status CDATA "run">]><testsuite/>', "internal subset"),
        ('<!DOCTYPE t SYSTEM "x" [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><testsuite/>', "internal subset"),
        ("<testsuite>" * 101, "deeper than 100"),
        ("<testsuite " + " ".join(f'a{n}=""' for n in range(201)) + "/>", "attributes"),
        ('<testsuite tests="2" failures="1"><testcase name="a"><failurf/></testcase></testsuite>', "unknown element"),
    ],
)
def test_document_that_cannot_be_trusted_is_evidence_of_nothing(read, document, reason):
    file = read(document, "junit.xml")
    assert file.tests is None
    assert reason in file.problems[0]
    assert "junit" in file.could_be


def test_suite_without_a_case_counts_nothing_and_says_so(read):
    file = read('<testsuites><testsuite tests="3" /></testsuites>')
    assert figures(file) == (0, 0, 0, 0, 0)
    assert "there is no test case in it" in file.problems


CHILDREN = [
    "",
    "<failure/>",
    "<error/>",
    "<skipped/>",
    "<flakyFailure/>",
    '<skipped type="pytest.xfail"/>',
    "<system-out/>",
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(CHILDREN), max_size=12), st.integers(0, 400))
def test_cut_anywhere_there_are_never_more_passes_than_cases(read, children, at):
    document = f"<testsuite>{''.join(case(child) for child in children)}</testsuite>"
    whole = read(document)
    assert figures(whole)[0] == len(children) == sum(figures(whole)[1:])
    assert figures(whole)[1] == sum(child in ("", "<flakyFailure/>", "<system-out/>") for child in children)
    cut = read(document[: min(at, len(document) - 1)])
    assert cut.tests is None
