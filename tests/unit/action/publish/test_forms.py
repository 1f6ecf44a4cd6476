"""The report as page, Markdown and summary: true, complete, and harmless whatever is written in it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from action.publish.markdown import MAX_BODY, marker, ranges, write_body, write_report, write_title
from action.publish.page import write_page
from action.publish.trace import trace_acceptance
from action.publish.wording import block, code, duration, percent
from controlplane.evidence import TestCase
from controlplane.plan import AcceptanceLine, Sprint, Story
from controlplane.report import Failing, Report, summarise
from controlplane.verdict import Criterion, Verdict
from tests.unit.action.publish.conftest import RUN_ID, MakeReport

NASTY = "</title><script>alert(1)</script> @octocat fixes #12 ![x](http://evil.example/p.png) `a` | b\n## Head ${{ x }}"


def nasty_report(make_report: MakeReport) -> Report:
    line = AcceptanceLine(id="US1.1", text=NASTY)
    story = Story(id="US1", as_a=NASTY, want=NASTY, so_that=NASTY, acceptance=(line,))
    criterion = Criterion(id="x", required=NASTY, actual=NASTY, status="failed", reason=NASTY, evidence=(NASTY,))
    case = TestCase(node_id=NASTY, outcome="failed", message="```\n</pre>" + NASTY)
    return make_report(
        title=NASTY,
        sprint=Sprint(label="S1", goals=(NASTY,), stories=(story,)),
        verdict=Verdict(criteria=(criterion,)),
        cases=(case,),
        failing=Failing(phase="BUILD", code="x", message=NASTY, fix=NASTY),
        notes=(NASTY,),
        isolation=(NASTY,),
    )


class Tags(HTMLParser):
    """The elements and attributes of a page, and whether they are nested rightly."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("passed", [True, False])
def test_page_is_one_well_formed_file_that_fetches_nothing(make_report: MakeReport, passed: bool) -> None:
    report = make_report(passed=passed)
    page = write_page(report, trace_acceptance(report.sprint, report.cases))
    tags = Tags(page)
    assert tags.open == []
    assert not {"script", "img", "iframe", "object", "link", "form"} & set(tags.seen)
    assert not [value for name, value in tags.attributes if name in ("src", "onload", "onclick")]
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import", page)


def test_page_says_the_verdict_first_and_everything_after(make_report: MakeReport) -> None:
    report = make_report(passed=False)
    page = write_page(report, trace_acceptance(report.sprint, report.cases))
    order = ["The Definition of Done is not met", "Criteria", "What was asked", "Tests", "Line coverage", "Attempts"]
    positions = [page.index(f">{word}</h2>") for word in [*order, "Files changed", "The run"]]
    assert positions == sorted(positions)
    for fact in ("2 of 4 lines are covered.", "US1.1", "✓ proven", "calc/sub.py", "3, 5", "1 min 1 s", RUN_ID):
        assert fact in page


def test_page_of_hostile_text_has_the_elements_of_any_other(make_report: MakeReport) -> None:
    page = write_page(nasty_report(make_report), {})
    tags = Tags(page)
    assert tags.open == []
    assert "script" not in tags.seen
    assert [value for name, value in tags.attributes if name == "href"] == []


@pytest.mark.parametrize("write", [write_report, write_body])
def test_markdown_of_hostile_text_mentions_links_and_closes_nothing(make_report: MakeReport, write: object) -> None:
    text = write(nasty_report(make_report), {})  # type: ignore[operator]
    outside = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
    for pattern in (r"@\w", r"(?<!\\)#\d", r"#\d", r"://", r"(?<!\\)!\[", r"<script", r"^## Head"):
        assert not re.search(pattern, outside, re.MULTILINE), pattern


def test_step_summary_holds_the_notes_of_the_run_and_not_without_end(make_report: MakeReport) -> None:
    text = write_report(make_report(notes=("Unmetered: nothing was told.", *map(str, range(50)))), {})
    assert "| note | Unmetered: nothing was told. |" in text
    assert text.count("| note |") == 20


def test_title_is_short_plain_and_marked_when_not_done(make_report: MakeReport) -> None:
    report = nasty_report(make_report)
    title = write_title(report.model_copy(update={"sprint": Sprint(label="S1", goals=("@octocat #1 " + "x" * 400,))}))
    assert title.startswith("[not done] S1: ")
    assert len(title) <= 200
    assert "@octocat" not in title
    assert write_title(make_report()) == "S1: Subtract"


def test_body_of_a_huge_verdict_fits_github(make_report: MakeReport) -> None:
    criteria = tuple(
        Criterion(id=f"c{n}", required="x" * 500, status="failed", reason="y" * 2000, evidence=("z" * 500,) * 20)
        for n in range(300)
    )
    stories = tuple(
        Story(
            id=f"US{n}",
            want="w" * 400,
            acceptance=tuple(AcceptanceLine(id=f"US{n}.{m}", text="t" * 400) for m in range(9)),
        )
        for n in range(60)
    )
    report = make_report(verdict=Verdict(criteria=criteria), sprint=Sprint(label="S1", stories=stories))
    body = write_body(report, {})
    assert len(body) <= MAX_BODY
    assert body.startswith(marker(report))


def test_body_tells_how_to_measure_it_again_and_holds_no_signed_link(make_report: MakeReport) -> None:
    body = write_body(make_report(), {})
    assert f"aicd verify --repo . --base {'a' * 40} --head {'b' * 40} --dod dod.json" in body
    assert '"coverage_min": 0.9' in body
    assert "token=" not in body


def test_branch_of_an_odd_name_is_quoted_in_the_commands(make_report: MakeReport) -> None:
    assert "git fetch origin 'a;touch x'" in write_body(make_report(branch="a;touch x"), {})


def test_summary_has_the_missions_shape_first(make_report: MakeReport) -> None:
    summary = summarise(make_report())
    assert list(summary)[:5] == ["status", "tests", "lighthouse", "artifacts", "duration_seconds"]
    assert summary["tests"] == {
        "python": {"passed": 2, "failed": 0, "coverage": 1.0},
        "e2e": {"passed": None, "failed": None},
    }
    assert summary["lighthouse"] == {"score": None}
    assert (summary["status"], summary["iterations"], summary["commit"]) == ("PASSED", 1, "b" * 40)
    json.dumps(summary, allow_nan=False)


def test_result_is_failed_when_delivering_failed_though_the_verdict_passed(make_report: MakeReport) -> None:
    report = make_report(failing=Failing(phase="PUBLISH", code="push-refused", message="No."))
    assert (summarise(report)["status"], summarise(report)["verdict"]["result"]) == ("FAILED", "PASSED")


def test_acceptance_is_proven_only_by_tests_that_pass_in_every_run() -> None:
    sprint = Sprint(label="S1", stories=(Story(id="US1", acceptance=(AcceptanceLine(id="US1.1", text="x"),)),))
    named = TestCase(node_id="t.py::test_us1_1", outcome="passed", group="base")
    assert trace_acceptance(sprint, [named]) == {"US1.1": ("t.py::test_us1_1",)}
    broken = TestCase(node_id="t.py::test_us1_1", outcome="failed", group="change")
    assert trace_acceptance(sprint, [named, broken]) == {"US1.1": ()}
    other = TestCase(node_id="t.py::test_us1_12", outcome="passed")
    assert trace_acceptance(sprint, [other]) == {"US1.1": ()}


@pytest.mark.parametrize("text", ["a`b", "``", "`", "a | b", "", "x" * 999, "line\nbreak"])
def test_code_span_cannot_be_left(text: str) -> None:
    span = code(text)
    fence = re.match(r"`+", span).group()  # type: ignore[union-attr]
    inside = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert fence not in re.findall(r"`+", inside)
    assert "\n" not in span


def test_block_cannot_be_left() -> None:
    assert block("```\nout").startswith("````\n")


@pytest.mark.parametrize(
    ("ratio", "said"), [(None, "not measured"), (0.9999, "99.9 %"), (1.0, "100.0 %"), (0, "0.0 %")]
)
def test_percent_is_rounded_down(ratio: float | None, said: str) -> None:
    assert percent(ratio) == said


@pytest.mark.parametrize(("seconds", "said"), [(1.26, "1.3 s"), (61.2, "1 min 1 s"), (7260, "2 h 1 min")])
def test_duration_is_readable(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_ranges_are_folded_and_bounded() -> None:
    assert ranges([1, 2, 3, 7, 9, 10]) == "1–3, 7, 9–10"
    assert ranges(range(0, 100, 2)).endswith("and 38 more")
