"""Writes what was recorded as JUnit XML, the way pytest does, for every tool that reads it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from controlplane.evidence import TestCase, TestTotals

# Characters that XML 1.0 cannot hold at all, not even escaped.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
TAGS = {"failed": "failure", "error": "error", "skipped": "skipped", "xfailed": "skipped"}


def write_junit(cases: tuple[TestCase, ...], path: Path, *, suite: str, end_to_end: bool = False) -> None:
    """One suite named after its group; `file` and `line` on each case, the node id as a property.

    One that is `end_to_end` carries the property by which its readers know it.
    """
    totals = TestTotals.count(cases)
    root = ET.Element("testsuites")
    element = ET.SubElement(
        root,
        "testsuite",
        name=suite,
        tests=str(totals.total),
        failures=str(totals.failed),
        errors=str(totals.errors),
        skipped=str(totals.skipped),
        time=_seconds(sum(case.duration_seconds or 0 for case in cases)),
    )
    if end_to_end:
        ET.SubElement(ET.SubElement(element, "properties"), "property", name="aicd.suite", value="e2e")
    for case in cases:
        element.append(_case(case))
    ET.indent(root)
    path.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _case(case: TestCase) -> ET.Element:
    file, _, rest = case.node_id.partition("::")
    # A parameter may hold "::" itself, so the name is split off before the first bracket only.
    plain, bracket, parameters = rest.partition("[")
    scope, _, name = plain.rpartition("::")
    module = file.removesuffix(".py").replace("/", ".")
    element = ET.Element(
        "testcase",
        classname=_clean(".".join(filter(None, [module, scope.replace("::", ".")]))),
        name=_clean((name or module) + bracket + parameters),
        file=_clean(case.file),
        time=_seconds(case.duration_seconds or 0),
    )
    if case.line is not None:
        element.set("line", str(case.line))
    properties = ET.SubElement(element, "properties")
    ET.SubElement(properties, "property", name="node_id", value=_clean(case.node_id))
    ET.SubElement(properties, "property", name="group", value=case.group)
    if case.outcome in TAGS:
        told = ET.SubElement(element, TAGS[case.outcome], message=_clean(case.message[:300]))
        told.text = _clean(case.message)
        if case.outcome == "xfailed":
            told.set("type", "pytest.xfail")
    return element


def _clean(text: str) -> str:
    return FORBIDDEN.sub("�", text)


def _seconds(value: float) -> str:
    return f"{value:.6f}"
