"""The .NET and JVM families: NUnit, xUnit.net, TRX, JaCoCo, Clover."""

from __future__ import annotations

import pytest

NUNIT3 = """<test-run testcasecount="6" total="6" passed="6" failed="0"><test-suite type="Assembly"><test-suite>
<test-case fullname="N.C.A" result="Passed" duration="0.5"/>
<test-case fullname="N.C.B" result="Failed"><failure><message><![CDATA[no
good]]></message></failure></test-case>
<test-case fullname="N.C.C" result="Failed" label="Error"/>
<test-case fullname="N.C.D" result="Skipped" label="Ignored"><reason><message>later</message></reason></test-case>
<test-case fullname="N.C.E" result="Inconclusive"/>
<test-case fullname="N.C.F" result="Splendid"/>
</test-suite></test-suite></test-run>"""
NUNIT2 = """<test-results name="a.dll" total="3" errors="0"><test-suite><results>
<test-case name="A" executed="True" result="Success" time="0.1"/><test-case name="B" executed="False" result="Ignored"/>
<test-case name="C" executed="False"/><test-case name="D" executed="True" result="Failure"/>
</results></test-suite></test-results>"""
XUNIT = """<assemblies><assembly total="4"><errors><error type="fixture-cleanup"><failure/></error></errors><collection>
<test name="A" result="Pass" time="0.2"/><test name="B" result="Fail"><failure><message>no</message></failure></test>
<test name="C" result="Skip"/></collection></assembly></assemblies>"""
TRX = """<TestRun xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010"><Results>
<UnitTestResult testName="A" outcome="Passed" duration="00:01:02.5"/>
<UnitTestResult testName="B" outcome="Failed"><Output>
<ErrorInfo><Message>no</Message></ErrorInfo></Output></UnitTestResult>
<UnitTestResult testName="C" outcome="NotExecuted"/>
<UnitTestResult testName="D" outcome="Passed"><InnerResults><UnitTestResult testName="D(1)" outcome="Passed"/>
<UnitTestResult testName="D(2)" outcome="Timeout"/></InnerResults></UnitTestResult></Results>
<ResultSummary outcome="Failed"><RunInfos>
<RunInfo outcome="Error"><Text>crash</Text></RunInfo></RunInfos></ResultSummary>
</TestRun>"""


@pytest.mark.parametrize(
    ("document", "tool", "figures"),
    [
        (NUNIT3, "nunit", (6, 1, 1, 2, 2)),
        (NUNIT2, "nunit", (4, 1, 1, 0, 2)),
        (XUNIT, "xunit.net", (4, 1, 1, 1, 1)),
        (TRX, "trx", (6, 2, 2, 1, 1)),
    ],
)
def test_cases_are_counted_by_their_word(read, document, tool, figures):
    file = read(document)
    tests = file.tests
    assert tests is not None
    assert (file.kind, file.tool) == ("junit", tool)
    assert (tests.total, tests.passed, tests.failed, tests.errors, tests.skipped) == figures


@pytest.mark.parametrize("document", [NUNIT3, NUNIT2, XUNIT, TRX])
def test_cut_off_report_is_evidence_of_nothing(read, document):
    file = read(document[:-9])
    assert file.tests is None
    assert file.could_be == ("junit",)


def test_message_and_time_are_kept(read):
    cases = read(TRX).cases
    assert cases[0].duration_seconds == 62.5
    assert cases[1].message == "no"
    assert read(NUNIT3).cases[1].message == "no good"


def test_unknown_word_is_an_error_and_named(read):
    assert '"splendid" is no known end of a test' in read(NUNIT3).problems[0]


JACOCO = """<!DOCTYPE report PUBLIC "-//JACOCO//DTD Report 1.1//EN" "report.dtd"><report name="app"><group name="g">
<package name="com/x"><class name="com/x/A"><counter type="LINE" missed="9" covered="9"/></class>
<sourcefile name="A.java"><line nr="3" mi="0" ci="2" mb="0" cb="0"/><line nr="4" mi="1" ci="0" mb="0" cb="0"/>
<line nr="5" mi="1" ci="1" mb="1" cb="1"/></sourcefile></package></group>
<counter type="LINE" missed="1" covered="2"/></report>"""
CLOVER = """<coverage generated="1" clover="3.2.0"><project timestamp="1">
<metrics statements="2" coveredstatements="2"/>
<package name="p"><file name="a.js" path="/w/a.js"><line num="1" count="1" type="stmt"/>
<line num="1" count="0" type="cond"/>
<line num="2" count="0" type="stmt"/><line num="3" count="0" type="method"/></file></package></project></coverage>"""


@pytest.mark.parametrize(
    ("document", "tool", "path", "figures"),
    [(JACOCO, "jacoco", "com/x/A.java", (2, 3)), (CLOVER, "clover", "/w/a.js", (1, 2))],
)
def test_lines_are_counted_once(read, document, tool, path, figures):
    file = read(document)
    assert file.coverage is not None
    assert (file.kind, file.tool, file.lines[0].path) == ("coverage", tool, path)
    assert (file.coverage.covered, file.coverage.total) == figures
    assert file.problems == ()


def test_jacoco_counter_that_lies_is_named(read):
    assert (
        "LINE counter"
        in read(JACOCO.replace('missed="1" covered="2"/></report>', 'missed="0" covered="3"/></report>')).problems[0]
    )


@pytest.mark.parametrize(
    "document", [JACOCO.replace('nr="4"', 'nr="x"'), CLOVER.replace('num="2"', 'num="-2"'), CLOVER[:-4]]
)
def test_line_without_a_number_makes_the_report_unreadable(read, document):
    file = read(document)
    assert file.coverage is None
    assert file.could_be == ("coverage",)
