"""Everything that can be wrong is told with its place and in words of daily life."""

# ruff: noqa: E501 - a row of a table stays on its line

from __future__ import annotations

import json

import pytest

from controlplane.specfile import check_spec

META = "meta:\n  project: Shop\n  repo: acme/shop\n"
SPRINT = META + "planning:\n  epics:\n    - sprints:\n        - id: s1\n"

# The document; path, line, column; words of the message.
CASES: dict[str, tuple[str, str, int, int, str]] = {
    "share in percent": (SPRINT + "          dod:\n            coverage_min: 80\n", "planning.epics[0].sprints[0].dod.coverage_min", 9, 27, "between 0 and 1; 80 is too large; did you mean 0.8?"),
    "yes is text in YAML 1.2": (SPRINT + "          dod: {lint_pass: yes}\n", "planning.epics[0].sprints[0].dod.lint_pass", 8, 28, "did you mean true?"),
    "number in quotes": (SPRINT + '          dod: {tests_min: "20"}\n', "planning.epics[0].sprints[0].dod.tests_min", 8, 28, "Did you mean 20, without quotes?"),
    "share with a percent sign": (SPRINT + "          dod: {coverage_min: 90%}\n", "planning.epics[0].sprints[0].dod.coverage_min", 8, 31, "should be a number. Did you mean 0.9?"),
    "share with a percent sign in quotes": (SPRINT + '          dod: {coverage_min: "90 %"}\n', "planning.epics[0].sprints[0].dod.coverage_min", 8, 31, "should be a number. Did you mean 0.9?"),
    "share in percent and in quotes": (SPRINT + '          dod: {coverage_min: "90"}\n', "planning.epics[0].sprints[0].dod.coverage_min", 8, 31, "Did you mean 0.9, without quotes?"),
    "share in words": (SPRINT + "          dod: {coverage_min: ninety}\n", "planning.epics[0].sprints[0].dod.coverage_min", 8, 31, "should be a number between 0 and 1, such as 0.8."),
    "share that cannot be guessed": (SPRINT + "          dod: {coverage_min: 150%}\n", "planning.epics[0].sprints[0].dod.coverage_min", 8, 31, "should be a number between 0 and 1, such as 0.8."),
    "score with a percent sign": (SPRINT + "          dod: {lighthouse_min: 90%}\n", "planning.epics[0].sprints[0].dod.lighthouse_min", 8, 33, "Did you mean 90?"),
    "count in words": (SPRINT + "          dod: {tests_min: twenty}\n", "planning.epics[0].sprints[0].dod.tests_min", 8, 28, "should be a whole number of at least 0, such as 20."),
    "seconds in words": (SPRINT + "          dod: {duration_max_seconds: long}\n", "planning.epics[0].sprints[0].dod.duration_max_seconds", 8, 39, "should be a number greater than 0, such as 60."),
    "severity in other case": (SPRINT + "          dod: {security_max: High}\n", "planning.epics[0].sprints[0].dod.security_max", 8, 31, "did you mean high?"),
    "number for text": (META.replace("Shop", "12"), "meta.project", 2, 12, 'Put it in quotes: "12"'),
    "flag for text": (META.replace("Shop", "true"), "meta.project", 2, 12, "quotes"),
    "URL for a repository": (META.replace("acme/shop", "https://github.com/acme/shop.git"), "meta.repo", 3, 9, "Did you mean 'acme/shop'?"),
    "missing key": ("meta:\n  project: Shop\n", "meta.repo", 1, 1, "missing"),
    "missing section": ("planning: {}\n", "meta", 1, 1, "missing"),
    "key in other case": ("meta:\n  project: Shop\n  Repo: acme/shop\n", "meta.repo", 3, 3, "Line 3 has 'Repo' instead"),
    "text for a list": (SPRINT + "          goals: sell\n", "planning.epics[0].sprints[0].goals", 8, 18, "'- '"),
    "colon in a sentence": (SPRINT + "          goals:\n            - we sell: much\n", "planning.epics[0].sprints[0].goals[0]", 9, 15, "put the whole line in quotes"),
    "list for a section": (META + "tests:\n  - pytest\n", "tests", 4, 1, "Take away the leading '- '"),
    "key twice": (META + "  repo: acme/other\n", "meta.repo", 4, 3, "written twice"),
    "sprint twice": (SPRINT + "        - id: S1\n", "planning.epics[0].sprints[1].id", 8, 15, "line 7"),
    "label with a space": (SPRINT.replace("s1", "first sprint"), "planning.epics[0].sprints[0].id", 7, 15, "Did you mean 'first-sprint'?"),
    "label that is no branch": (SPRINT.replace("s1", "a..b"), "planning.epics[0].sprints[0].id", 7, 15, "Did you mean 'a.b'?"),
    "label as a fraction": (SPRINT.replace("s1", "1.10"), "planning.epics[0].sprints[0].id", 7, 15, "quotes"),
    "sprints one level too high": (META + "planning:\n  sprints: []\n", "planning.sprints", 5, 3, "too high"),
    "branch": (META + "  branch: a b\n", "meta.branch", 4, 11, "Did you mean 'a-b'?"),
    "address": (META + "  requester_email: Ann\n", "meta.requester_email", 4, 20, "ann@example.org"),
    "tab": (META + "\tx: 1\n", "", 4, 1, "tab"),
    "colon too many": (META + "runtime: a: b\n", "", 4, 11, "second ':'"),
    "open quote": (META + 'runtime: "a\n', "", 5, 1, "never closed"),
    "alias": (META + "runtime: *x\n", "", 4, 10, "aliases are not used"),
    "anchor": (META + "runtime: &x y\n", "", 4, 10, "anchors are not used"),
    "tag": (META + "runtime: !!python/object:os.system x\n", "", 4, 10, "tags are not used"),
    "template": (META + "runtime:\n  a: {{ b }}\n", "", 5, 7, "quotes"),
    "not a number": (META + "runtime: {a: .nan}\n", "", 4, 14, "finite"),
    "two documents": (META + "---\nmeta: {}\n", "", 4, 1, "second document"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "path", "line", "column", "words"), CASES.values(), ids=CASES.keys())
def test_problem_has_place_and_words(text: str, path: str, line: int, column: int, words: str) -> None:
    check = check_spec(text.encode(), "spec.yaml")
    found = next(problem for problem in check.problems if problem.path == path)
    assert (found.line, found.column) == (line, column)
    assert words in found.message
    assert not check.valid
    assert check.spec is None


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('{"meta": NaN}', 1, 10, "not a JSON value"),
        ('{"meta": -Infinity}', 1, 10, "not a number"),
        ('{\n "meta": {},\n}', 3, 1, "before a closing bracket"),
        ('{"meta": {}} x', 1, 14, "more text"),
        ('{"meta": {"a": 1 "b": 2}}', 1, 18, "','"),
        ("{\"a\": 'b'}", 1, 7, "double quotes"),
        ('{"a": "b', 1, 7, "never closed"),
        ('{"a": "\\u0000"}', 1, 7, "no character"),
        ('{"a": "\\ud800"}', 1, 7, "no character"),
        ('{"a": ' + "9" * 5000 + "}", 1, 7, "more than 40"),
        ('{"a": [1, 2', 1, 12, "missing"),
        ("[1, 2]", 1, 1, "Begin with 'meta:'"),
    ],
)
def test_json_problem_has_place_and_words(text: str, line: int, column: int, words: str) -> None:
    (problem,) = check_spec(text.encode(), "spec.json").problems
    assert (problem.line, problem.column) == (line, column)
    assert words in problem.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (b"# only a comment\n", "empty"),
        (b"%PDF-1.7", "a PDF"),
        (b"PK\x03\x04", "zip"),
        (b"meta: caf\xe9", "UTF-8"),
        (b"a\0b\0c", "zero bytes"),
        (b"x" * 1_100_000, "1 MiB"),
        (b"\n" * 100_000 + b"x", "lines"),
    ],
)
def test_bytes_that_are_no_text_are_refused(data: bytes, words: str) -> None:
    (problem,) = check_spec(data, "spec.yaml").problems
    assert words in problem.message


REFUSED_PATHS = [
    "../x", "a/../../x", "/etc/passwd", "C:/x", "~/x", "a\\b", "a//b", "a/", ".", "./a", "a/./b", "", "a\tb",
    ".git/config", ".GIT/hooks/x", "a/.git/x", ".git /x", "git~1/x", ".g\u200cit/config", ".git::$INDEX/x",
    ".github/workflows/x.yml", ".GitHub/x", "CODEOWNERS", "docs/codeowners", ".claude/settings.json", ".mcp.json",
    ".gitmodules", ".husky/pre-commit", "a/\uff0e\uff0e/b", "a\uff0fb/\uff0e\uff0e", "\uff0egithub/x", "e\u0301.py",
    ".aicd/prompts/plan.md", "a\u202eb", "a .", " a/b", "x" * 241,
]  # fmt: skip


@pytest.mark.parametrize("path", REFUSED_PATHS)
def test_file_outside_or_protected_is_refused(path: str) -> None:
    document = {"meta": {"project": "x", "repo": "a/b"}, "files": [{"path": path, "content": ""}]}
    (problem,) = check_spec(json.dumps(document).encode(), "spec.json").problems
    assert problem.path == "files[0].path"


@pytest.mark.parametrize(
    "path", ["a.py", "src/shop/basket.py", ".gitignore", "docs/github.md", "bücher/é.txt", "a b/c"]
)
def test_plain_file_is_taken(path: str) -> None:
    document = {"meta": {"project": "x", "repo": "a/b"}, "files": [{"path": path, "content": ""}]}
    assert check_spec(json.dumps(document).encode(), "spec.json").valid


@pytest.mark.parametrize("other", ["A.py", "a.py", "a.py/b", "ﬁ"])
def test_files_that_are_one_file_somewhere_are_refused(other: str) -> None:
    files = [{"path": path, "content": ""} for path in ("a.py", "fi", other)]
    document = {"meta": {"project": "x", "repo": "a/b"}, "files": files}
    (problem,) = check_spec(json.dumps(document).encode(), "spec.json").problems
    assert problem.path == "files[2].path"


BAD_BRANCHES = ["a..b", "/a", "a/", "a//b", "-a", "a.lock", "a.lock/b", ".a", "a/.b", "a~1", "a^", "a:b", "a?b", "a*b", "a[b", "@", "a@{b", "a.", "a\\b"]  # fmt: skip


@pytest.mark.parametrize("branch", BAD_BRANCHES)
def test_branch_that_git_refuses_is_refused(branch: str) -> None:
    document = {"meta": {"project": "x", "repo": "a/b", "branch": branch}}
    assert [problem.path for problem in check_spec(json.dumps(document).encode(), "s.json").problems] == ["meta.branch"]


def test_unknown_keys_are_kept_and_noted() -> None:
    check = check_spec((META + "  repp: x\nextra: {a: [1]}\n").encode())
    assert check.spec is not None
    assert check.spec.unknown == {"meta.repp": "x", "extra": {"a": [1]}}
    assert "Did you mean 'repo'?" in check.notes[0]
    assert check.notes[1].startswith("Line 5: 'extra'")


def test_core_schema_reads_words_as_words() -> None:
    text = META + "runtime: {a: no, b: on, c: 2026-11-21, d: 007, e: 0o17, f: 1e3, g: ~, h: 12e9999}\n"
    check = check_spec(text.encode())
    assert check.spec is not None
    assert check.spec.runtime == {
        "a": "no", "b": "on", "c": "2026-11-21", "d": "007", "e": "0o17", "f": 1000.0, "g": None, "h": "12e9999",
    }  # fmt: skip


def test_story_named_like_an_acceptance_line_is_refused() -> None:
    text = SPRINT + "          user_stories: [{id: US1, acceptance: [a]}, {id: US1.1}]\n"
    (problem,) = check_spec(text.encode()).problems
    assert problem.path == "planning.epics[0].sprints[0].user_stories[1].id"


def test_many_problems_are_cut() -> None:
    document = {"meta": {"project": "x", "repo": "a/b"}, "planning": {"epics": [1] * 5000}}
    problems = check_spec(json.dumps(document).encode()).problems
    assert len(problems) == 51
    assert "more problems" in problems[-1].message
