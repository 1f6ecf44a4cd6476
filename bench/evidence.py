"""Reading 100,000 JUnit cases: against a bare lxml loop, ElementTree and junitparser, each in a process of its own.

Goals: at most twice a bare `lxml.etree.iterparse`, three times as fast as publish-unit-test-result-action, and at most
200 MB. That action is no package that could be installed; it reads with junitparser on lxml's tree, so that is what is
measured. AICD_BENCH_CASES names another number of cases.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Measure

CASES = 100_000
ROUNDS = 9


@dataclass(frozen=True)
class EvidenceMeasure(Measure):
    """As Measure, with the peak memory of both processes."""

    ours_bytes: int
    baseline_bytes: int

    def __str__(self) -> str:
        ours, theirs = self.ours_bytes / 1e6, self.baseline_bytes / 1e6
        return f"{super().__str__()}; peak {ours:.0f} and {theirs:.0f} MB"


def read_ours(path: str) -> Callable[[], object]:
    from action.evidence import read_reports

    return lambda: read_reports([Path(path)]).files[0].tests


def read_ours_as_nouns(path: str) -> Callable[[], object]:
    """What a gate does that looks at each case."""
    from action.evidence import read_reports

    return lambda: sum(case.outcome == "passed" for case in read_reports([Path(path)]).files[0].cases)


def read_bare(path: str) -> Callable[[], object]:
    """The whole of a bare loop: it counts nothing, and keeps the tree in memory."""
    from lxml import etree

    def work() -> None:
        for _ in etree.iterparse(path, events=("end",)):
            pass

    return work


def read_bare_clearing(path: str) -> Callable[[], object]:
    """As before, in the memory of a stream."""
    from lxml import etree

    def work() -> None:
        for _, element in etree.iterparse(path, events=("end",)):
            element.clear()

    return work


def read_elementtree(path: str) -> Callable[[], object]:
    from xml.etree import ElementTree as ET

    def work() -> int:
        return sum(element.tag == "testcase" for _, element in ET.iterparse(path))

    return work


def read_junitparser(path: str) -> Callable[[], object]:
    """What publish-unit-test-result-action asks junitparser for of each case, from a tree that lxml made."""
    from junitparser import JUnitXml
    from lxml import etree

    def work() -> list[object]:
        suites = JUnitXml.fromroot(etree.parse(path).getroot())
        return [
            (case.classname, case.name, case.result, case.system_out, case.system_err, case.time)
            for suite in suites
            for case in suite
        ]

    return work


WAYS = {
    "ours": read_ours,
    "nouns": read_ours_as_nouns,
    "bare": read_bare,
    "clearing": read_bare_clearing,
    "elementtree": read_elementtree,
    "junitparser": read_junitparser,
}
BASELINES = {
    "bare": "bare lxml iterparse",
    "clearing": "bare lxml iterparse that clears each element",
    "elementtree": "ElementTree.iterparse",
    "junitparser": "junitparser",
}


def run() -> list[Measure]:
    count = int(os.environ.get("AICD_BENCH_CASES") or CASES)
    with tempfile.TemporaryDirectory(prefix="aicd-bench-") as folder:
        path = Path(folder, "junit.xml")
        path.write_text("".join(report_of(count)), encoding="utf-8")
        rounds = [{way: _child(way, path) for way in present_ways()} for _ in range(3)]
    best = {way: min(done[way] for done in rounds) for way in rounds[0]}
    name = f"JUnit of {count:,} cases, counted"
    found = [measure(name, best["ours"], sentence, best[way]) for way, sentence in BASELINES.items() if way in best]
    return [*found, measure(f"{name}, each a noun", best["nouns"], BASELINES["bare"], best["bare"])]


def present_ways() -> list[str]:
    if importlib.util.find_spec("junitparser"):
        return list(WAYS)
    print("junitparser is not installed, so it is not measured: see requirements/dev.in", file=sys.stderr)
    return [way for way in WAYS if way != "junitparser"]


def measure(name: str, ours: tuple[float, int], baseline: str, theirs: tuple[float, int]) -> Measure:
    return EvidenceMeasure(name, ours[0], baseline, theirs[0], ROUNDS, ours[1], theirs[1])


def report_of(count: int) -> Iterator[str]:
    """As pytest writes it: one case in a hundred failed, one in fifty was skipped."""
    yield '<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" errors="0" '
    yield f'failures="{-(-count // 100)}" skipped="{-(-(count - 1) // 50)}" tests="{count}">'
    for number in range(count):
        case = f'classname="tests.unit.test_module_{number // 50}.TestThing" name="test_case_{number}[{number % 7}]"'
        inner = ""
        if number % 100 == 0:
            trace = f"    assert {number} == 1\n" * 12
            inner = f'<failure message="assert {number} == 1">{trace}</failure>'
        elif number % 50 == 1:
            inner = '<skipped type="pytest.skip" message="not here">tests/unit/test_module.py:1: not here</skipped>'
        yield (
            f'<testcase {case} time="0.{number % 1000:03d}">{inner}</testcase>'
            if inner
            else (f'<testcase {case} time="0.{number % 1000:03d}" />')
        )
    yield "</testsuite></testsuites>"


def _child(way: str, path: Path) -> tuple[float, int]:
    """Median seconds of the processor, and the peak of resident memory in bytes."""
    command = [sys.executable, "-m", "bench.evidence", way, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout)
    return float(seconds), int(peak)


def _measure_here(way: str, path: str) -> None:
    import resource
    import statistics
    import time

    work = WAYS[way](path)
    work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    taken = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    print(json.dumps([statistics.median(taken), peak]))


if __name__ == "__main__":
    _measure_here(*sys.argv[1:])
