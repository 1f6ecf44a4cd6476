"""The verdict as Markdown: whatever a test is called, it stays words in a cell."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from action.gate.render import escape_markdown, verdict_markdown
from controlplane.verdict import Criterion, Verdict

NASTY = [
    "@octocat @org/team",
    "Fixes #12, closes org/repo#3, GH-7",
    "a | b \\| c",
    "`code` ``x`` **bold** _i_ ~~s~~",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "http://evil.example www.evil.example",
    "<img src=x onerror=alert(1)> </details> <!-- ",
    "line\nbreak\r\n| new | row |",
    "\x1b[31m\u202egnp\u200b.exe",
    "&lt;b&gt; &#64;octocat",
    "# heading",
    "- [ ] task",
]


def verdict(reason: str, count: int = 1, evidence: tuple[str, ...] = ()) -> Verdict:
    one = Criterion(id="unit_pass", required=True, actual=False, status="failed", reason=reason, evidence=evidence)
    return Verdict(criteria=(one,) * count)


@pytest.mark.parametrize("text", NASTY)
def test_text_from_outside_neither_links_nor_mentions_nor_leaves_its_cell(text):
    page = MarkdownIt("commonmark", {"linkify": False}).enable("table").render(verdict_markdown(verdict(text)))
    row = page.split("<tbody>")[1].split("</tbody>")[0]
    assert row.count("<tr>") == 1
    assert row.count("<td>") == 5
    for forbidden in ("<a", "<img", "<code", "<strong", "<em", "<s>", "<!--", "<h1"):
        assert forbidden not in row
    assert "@o" not in row
    assert "#12" not in row
    assert "GH-7" not in row
    assert "://" not in row
    assert "www." not in row


def test_words_stay_readable():
    page = MarkdownIt("commonmark").render(escape_markdown("test_a[x|y] is 3 < 4 & `ok`"))
    assert page == "<p>test_a[x|y] is 3 &lt; 4 &amp; `ok`</p>\n"


def test_large_verdict_is_cut_at_whole_lines():
    text = verdict_markdown(verdict("ü" * 5000, 300, ("e" * 5000,) * 50))
    assert len(text.encode()) <= 50_000
    assert text.count("<details>") == text.count("</details>")
    assert "cut off" in text


def test_figures_are_told():
    text = verdict_markdown(verdict("x"))
    assert "**FAILED**: 0 of 1 criteria are met." in text
    assert "coverage of non-test code: not measured" in text
