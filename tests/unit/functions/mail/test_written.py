"""The specification in a mail's text, as people and mail programs bend it."""

from __future__ import annotations

import pytest

from controlplane.message import Message
from controlplane.spec import SpecCheck
from controlplane.specfile import check_spec
from functions._shared.mail import read_message

PROVEN = "Authentication-Results: mx.google.com; dmarc=pass header.from=good.org\r\nFrom: ann@good.org\r\n"
MARKDOWN = (
    "---\nproject: shop\nrepo: acme/shop\n---\n# Prices\n\n## Sprint S1: Prices\n\n### US1: List\n\n- [ ] sorted\n"
)
LONG = "The page lists every product with its price, and above it stands the day"
YAML = f"""\
meta:
  project: shop
  repo: acme/shop
planning:
  epics:
    - sprints:
        - id: S1
          user_stories:
            - id: US1
              acceptance:
                - {LONG} since when it holds
"""


def plain(text: str) -> Message:
    return read_message(f"{PROVEN}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode())


def both(text: str, html: str, *, proof: str = PROVEN) -> Message:
    parts = (
        f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n--b--\r\n"
    )
    return read_message(f"{proof}Content-Type: multipart/alternative; boundary=b\r\n\r\n{parts}".encode())


def check(message: Message) -> SpecCheck:
    [spec] = message.specs
    return check_spec(spec.content, spec.name)


def as_html(text: str) -> str:
    return "".join(f"<div>{line.replace('  ', '&nbsp; ') or '<br>'}</div>" for line in text.split("\n"))


@pytest.mark.parametrize("greeting", ["Hello,\n\n", "Hi team,\n\nplease build this:\n\n"])
@pytest.mark.parametrize("end", ["", "\n\nThanks!\n", "\n\nBest regards\nAnn\n"])
@pytest.mark.parametrize(("text", "written"), [(MARKDOWN, "markdown"), (YAML, "yaml")])
def test_specification_below_a_greeting_is_read_from_where_it_begins(
    greeting: str, end: str, text: str, written: str
) -> None:
    found = check(plain(greeting + text + end))
    assert (found.format, found.problems) == (written, ())
    assert found.spec is not None
    assert found.spec.repo == "acme/shop"


WRAPPED = YAML.replace(" since when", "\nsince when")


def test_yaml_whose_lines_the_client_broke_is_read_from_the_html() -> None:
    assert check(plain(WRAPPED)).problems != ()
    found = check(both(f"Hi,\n\n{WRAPPED}", as_html(f"Hi,\n\n{YAML}")))
    assert found.problems == ()
    assert found.spec is not None
    assert found.spec.plan is not None
    assert found.spec.plan.sprints[0].stories[0].acceptance[0].text == f"{LONG} since when it holds"


def test_broken_line_that_is_still_yaml_is_taken_whole_from_the_html() -> None:
    broken = YAML.replace("repo: acme/shop", "repo: acme/shop\n  title: a list of the\n    prices").replace("\r", "")
    whole = YAML.replace("repo: acme/shop", "repo: acme/shop\n  title: a list of the prices")
    assert b"title: a list of the prices" in both(broken, as_html(whole)).specs[0].content


def test_yaml_is_taken_from_the_plain_text_where_the_html_has_lost_its_indentation() -> None:
    message = both(YAML, "".join(f"<p>{line.strip()}</p>" for line in YAML.split("\n")))
    assert message.specs[0].content.decode().strip() == YAML.strip()


def test_html_that_asks_for_something_else_does_not_win_over_plain_text_that_can_be_built() -> None:
    message = both(YAML, as_html(YAML.replace("acme/shop", "evil/shop")))
    assert b"evil" not in message.specs[0].content


def test_specification_of_a_stranger_is_not_parsed_to_choose_between_two() -> None:
    message = both(WRAPPED, as_html(YAML), proof="From: ann@good.org\r\n")
    assert not message.accepted
    assert b"day\nsince" in message.specs[0].content.replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("repo: “acme/shop”", 'repo: "acme/shop"'),
        ("repo: ‘acme/shop’", "repo: 'acme/shop'"),
        ("repo: „acme/shop“", 'repo: "acme/shop"'),
        ("goals: [“one”, “two”]", 'goals: ["one", "two"]'),
        ("- “one”", '- "one"'),
        ("want: a “nice” list", "want: a “nice” list"),
        ("want: the visitor’s list", "want: the visitor’s list"),
        ("want: “a \\ list”", "want: “a \\ list”"),
    ],
)
def test_curly_quotes_around_a_value_are_straightened_and_others_stay(given: str, expected: str) -> None:
    message = plain(f"meta:\n  project: shop\n  {given}\n")
    assert f"\n  {expected}" in message.specs[0].content.decode()
    assert (message.left_out != ()) is (given != expected)


def test_json_with_curly_quotes_is_read() -> None:
    found = check(plain("Hi,\n\n{\n  “meta”: {“project”: “shop”, “repo”: “acme/shop”}\n}\n"))
    assert found.problems == ()
    assert found.spec is not None
    assert found.spec.repo == "acme/shop"


@pytest.mark.parametrize(
    "text",
    [
        "project: shop\nrepo: acme/shop\nsprints:\n  - id: S1\n    dod:\n      coverage_min: 0.8\n",
        "repo: acme/shop\ndod:\n  coverage_min: 0.8\n",
        "repo: acme/shop\nsprints:\n- id: S1\n",
    ],
)
@pytest.mark.parametrize(("above", "below"), [("", ""), ("Hi, please build\n\n", "\n\nthanks, Ann")])
def test_yaml_that_forgot_meta_is_answered_with_what_is_missing(text: str, above: str, below: str) -> None:
    problem = check(plain(above + text + below)).problems[0]
    assert problem.path == "meta"
    assert "put 'project' and 'repo' below it" in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "repository: acme/shop\n\nHello,\n\nplease add a price list.",
        "repository: acme/shop\nproject: shop\n\nPlease add a price list:\nsorted by name.",
        "Repo: acme/shop\nplanning: later\nplease add a list.",
        "project: shop\nrepo: acme/shop\n",
    ],
)
def test_letter_that_begins_with_its_repository_stays_a_letter(text: str) -> None:
    assert check(plain(text)).format == "text"


def test_cells_of_a_table_stay_apart() -> None:
    html = (
        "<p>Please build</p><table><tr><th>Page</th><th>Wish</th></tr>"
        "<tr><td><p>/prices</p></td><td></td><td><p>a list</p></td></tr><tr><td>alone</td></tr></table>"
    )
    raw = f"{PROVEN}Content-Type: text/html; charset=utf-8\r\n\r\n{html}"
    lines = [line for line in read_message(raw.encode()).body_text.split("\n") if line]
    assert lines == ["Please build", "Page | Wish", "/prices | a list", "alone"]
