"""Each format gives the same plan; what is no specification is told apart by its content."""

# ruff: noqa: E501 - a row of a table stays on its line

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controlplane.specfile import check_dod, check_spec

EXAMPLES = Path(__file__).parents[4] / "examples" / "specs"

YAML = """\
meta:
  project: Shop
  repo: acme/shop
planning:
  epics:
    - sprints:
        - id: s1
          goals: [sell]
          user_stories:
            - {id: US1, as: shopper, want: a basket, so_that: I can pay, acceptance: [it adds up, it is empty at first]}
          dod: {coverage_min: 0.8, lint_pass: true}
"""

MARKDOWN = """\
---
project: Shop
repo: acme/shop
dod:
  coverage_min: 0.8
---

# Shop

## Sprint s1:

- sell

### US1

As a shopper, I want a basket so that I can pay.

- [ ] it adds up
- [x] it is empty
      at first

### Background

Only prose, no story.

### Definition of Done

- lint_pass: true
"""

JSON = json.dumps(
    {
        "meta": {"project": "Shop", "repo": "acme/shop"},
        "planning": {
            "epics": [
                {
                    "sprints": [
                        {
                            "id": "s1",
                            "goals": ["sell"],
                            "user_stories": [
                                {
                                    "id": "US1",
                                    "as": "shopper",
                                    "want": "a basket",
                                    "so_that": "I can pay",
                                    "acceptance": ["it adds up", "it is empty at first"],
                                }
                            ],
                            "dod": {"coverage_min": 0.8, "lint_pass": True},
                        }
                    ]
                }
            ]
        },
    },
    indent=1,
)


@pytest.mark.parametrize(("text", "found"), [(YAML, "yaml"), (MARKDOWN, "markdown"), (JSON, "json")])
def test_plan_is_the_same_in_every_format(text: str, found: str) -> None:
    check = check_spec(text.encode())
    assert (check.format, check.problems, check.valid) == (found, (), True)
    assert check.spec is not None
    assert check.spec.plan is not None
    (sprint,) = check.spec.plan.sprints
    (story,) = sprint.stories
    assert (sprint.label, sprint.goals, sprint.dod.coverage_min, sprint.dod.lint_pass) == ("s1", ("sell",), 0.8, True)
    assert (story.id, story.as_a, story.want, story.so_that) == ("US1", "shopper", "a basket", "I can pay")
    assert [(line.id, line.text) for line in story.acceptance] == [
        ("US1.1", "it adds up"),
        ("US1.2", "it is empty at first"),
    ]


@pytest.mark.parametrize("example", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_example_that_we_publish_is_valid_without_a_note(example: Path) -> None:
    check = check_spec(example.read_bytes(), example.name)
    assert (check.valid, check.notes) == (True, ())
    assert check_spec(example.read_bytes()).format == check.format


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        (YAML, "spec.txt", "yaml"),
        ("# comment\n\n" + YAML, "", "yaml"),
        ("---\n" + YAML, "", "yaml"),
        ("\ufeff" + YAML, "", "yaml"),
        (JSON, "spec.txt", "json"),
        ("{meta: {project: x}}", "", "yaml"),
        (MARKDOWN, "spec.txt", "markdown"),
        ("Dear all,\n\nplease build a shop.", "", "text"),
        ("[urgent] please build", "", "text"),
        ("tests: please write some", "", "text"),
        ("# Shop\n\nplease build", "wish.md", "markdown"),
        ("[[[[", "", "json"),
    ],
)
def test_format_is_told_by_the_content(text: str, name: str, found: str) -> None:
    assert check_spec(text.encode(), name).format == found


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_charset_is_told_by_the_bytes(charset: str) -> None:
    assert check_spec(YAML.encode(charset)).valid


def test_letter_has_no_plan_and_finds_its_repository() -> None:
    check = check_spec(b"Hello,\n\nplease add a basket to https://github.com/acme/shop. Thanks!")
    assert check.spec is not None
    assert (check.valid, check.spec.plan, check.spec.repo) == (True, None, "acme/shop")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello,\n\nplease add a basket. Thanks!", "please add a basket. Thanks!"),
        ("repository: acme/shop\n\nDear team,\nA basket for the shop\nand more", "A basket for the shop"),
        ("# A basket\n\nPlease.", "A basket"),
        ("Guten Morgen!\nHey, add a basket. Thanks!", "Hey, add a basket. Thanks!"),
        ("Add a basket!\nNow.", "Add a basket!"),
        ("Hi!", "Hi!"),
        ("", ""),
    ],
)
def test_letter_is_called_by_its_first_line_that_says_something(text: str, title: str) -> None:
    spec = check_spec(text.encode(), "letter.txt").spec
    assert (spec.title if spec else "") == title


def test_letter_without_a_repository_is_valid_with_a_note() -> None:
    check = check_spec(b"please add a basket")
    assert check.spec is not None
    assert (check.valid, check.spec.repo) == (True, "")
    assert "repository" in check.notes[1]


def test_structured_spec_without_sprints_is_left_to_the_planner() -> None:
    check = check_spec(b"meta:\n  project: x\n  repo: a/b\ndod:\n  coverage_min: 0.5\n")
    assert check.spec is not None
    assert check.spec.needs_planning
    assert check.spec.dod is not None
    assert "Claude plans it" in check.notes[0]


def test_shared_dod_yields_to_the_sprints_own() -> None:
    text = YAML + "dod: {coverage_min: 0.1, type_check: true}\n"
    check = check_spec(text.encode())
    assert check.spec is not None
    assert check.spec.plan is not None
    dod = check.spec.plan.sprints[0].dod
    assert (dod.coverage_min, dod.type_check, dod.lint_pass) == (0.8, True, True)


def test_markdown_code_block_with_a_path_is_a_file() -> None:
    text = MARKDOWN + '\n```python path="src/a b.py"\nx = 1\n```\n\n```python\nno file\n```\n'
    check = check_spec(text.encode())
    assert check.spec is not None
    assert [(file.path, file.content) for file in check.spec.files] == [("src/a b.py", "x = 1\n")]


@pytest.mark.parametrize(
    ("heading", "label"),
    [
        ("Sprint 1", "sprint-1"),
        ("Sprint 1: Basket", "sprint-1"),
        ("Sprint S2 – Till", "S2"),
        ("SPRINT: The till", "the-till"),
    ],
)
def test_markdown_heading_gives_the_label(heading: str, label: str) -> None:
    check = check_spec(f"---\nproject: x\nrepo: a/b\n---\n## {heading}\n".encode())
    assert check.spec is not None
    assert check.spec.plan is not None
    assert check.spec.plan.sprints[0].label == label


def test_markdown_problem_names_the_line_in_the_file() -> None:
    text = "---\nproject: x\nrepo: a/b\ndod:\n  coverage_min: 80\n---\n\n## Sprint 1\n\n### DoD\n\n```yaml\n\nlint_pass: 3\n```\n"
    check = check_spec(text.encode())
    assert [(problem.path, problem.line, problem.column) for problem in check.problems] == [
        ("dod.coverage_min", 5, 17),
        ("planning.epics[0].sprints[0].dod.lint_pass", 14, 12),
    ]


def test_dod_in_a_file_of_its_own_is_checked_with_positions() -> None:
    check = check_dod(b"dod:\n  coverage_min: 80\n  covrage: 1\n", "dod.yaml")
    assert [(problem.path, problem.line, problem.column) for problem in check.problems] == [("coverage_min", 2, 17)]
    assert "not measured" in check.notes[0]
    good = check_dod(b'{"coverage_min": 0.8}', "dod.json")
    assert good.dod is not None
    assert good.dod.coverage_min == 0.8
