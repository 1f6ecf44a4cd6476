"""auto-merge: asked for after a PASSED verdict, for the judged commit, and taken back before work that failed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import graphql
import pytest

from action.publish.automerge import WAITS, ask_to_merge, take_back_merge
from action.publish.pullrequest import Opened, Wanted, connect, open_pull_request
from controlplane.errors import OutsideError
from local.doubles.github.graphql import SCHEMA
from tests.contract.doubles.conftest import ROOT, Double

TOKEN = "ghs_0123456789abcdefghijABCDEFGHIJ01"
MARKER = "<!-- aicd spec=s sprint=S1 -->"
WANTED = Wanted(head="work", base="main", title="S1", body=f"{MARKER}\nfirst", draft=False, marker=MARKER)
READY = {"allow_auto_merge": True, "requires_checks": True}
SPEC = """
meta: {project: calc, repo: REPO}
policies: {branch: aicd/work}
planning:
  epics:
    - sprints:
        - id: S1
          goals: [Subtract]
          user_stories: [{id: US1, as: user, want: subtract, acceptance: [2-1 is 1]}]
          dod: {tests_min: NEEDED}
files:
  - {path: calc.py, content: "def sub(a, b):\\n    return a - b\\n"}
  - {path: tests/test_calc.py, content: "from calc import sub\\n\\n\\ndef test_us1_1():\\n    assert sub(2, 1) == 1\\n"}
"""
Make = Callable[..., tuple[str, str]]


@pytest.fixture
def make(github: Double) -> Make:
    """(name, head of the branch `work`) of a new repository."""

    def made(**rules: Any) -> tuple[str, str]:
        name = f"merge-{uuid.uuid4().hex[:8]}"
        github.control("tokens", token=TOKEN)
        github.control("repos", owner="acme", name=name, files={"README.md": "hello\n"}, **rules)
        bare = github.state / "repos" / "acme" / f"{name}.git"
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        work = ["git", "-C", str(bare), *identity, "commit-tree", "-p", "main", "-m", "Work", "main^{tree}"]
        head = subprocess.run(work, check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run(["git", "-C", str(bare), "update-ref", "refs/heads/work", head], check=True)
        return f"acme/{name}", head

    return made


def open_it(github: Double, name: str, **changes: Any) -> Opened:
    return open_pull_request(connect(github.url, TOKEN, name), name, WANTED.model_copy(update=changes))


def pull(github: Double, name: str) -> Any:
    answer = github.client.get(f"/repos/{name}/pulls", headers={"Authorization": f"Bearer {TOKEN}"})
    [found] = answer.json()
    return found


def ask(github: Double, name: str, commit: str, token: str = TOKEN) -> str:
    return ask_to_merge(connect(github.url, token, name), pull(github, name)["number"], commit)


@pytest.mark.parametrize(
    ("methods", "method"), [(["merge", "squash"], "merge"), (["squash"], "squash"), (["rebase"], "rebase")]
)
def test_github_is_asked_to_merge_the_judged_commit_as_the_repository_allows(
    github: Double, make: Make, methods: list[str], method: str
) -> None:
    name, head = make(**READY, merge_methods=methods)
    open_it(github, name)
    assert ask(github, name, head) == WAITS
    asked = pull(github, name)["auto_merge"]
    assert (asked["merge_method"], asked["enabled_by"]["login"]) == (method, "aicd-bot[bot]")


@pytest.mark.parametrize(
    ("rules", "draft", "commit", "told"),
    [
        ({"requires_checks": True}, False, "", "not allowed for this repository"),
        (READY, True, "", "draft"),
        (READY, False, "0" * 40, "head oid"),
        ({"allow_auto_merge": True}, False, "", "clean status"),
    ],
    ids=["not-allowed", "draft", "another-commit", "nothing-to-wait-for"],
)
def test_what_github_refuses_is_a_note(
    github: Double, make: Make, rules: dict[str, Any], draft: bool, commit: str, told: str
) -> None:
    name, head = make(**rules)
    open_it(github, name, draft=draft)
    said = ask(github, name, commit or head)
    assert said.startswith("It does not merge by itself: GitHub refused it")
    assert told in said
    assert pull(github, name)["auto_merge"] is None


def test_token_that_may_not_is_a_note_too(github: Double, make: Make) -> None:
    name, head = make(**READY)
    open_it(github, name)
    weak = github.control("tokens", permissions={"pull_requests": "write", "contents": "read"})["token"]
    assert "Resource not accessible" in ask(github, name, head, weak)
    assert ask_to_merge(connect("http://127.0.0.1:9", TOKEN, name), 1, head).endswith("to ask for it.")


def test_it_is_taken_back_once_and_only_where_it_was_given(github: Double, make: Make) -> None:
    name, head = make(**READY)
    repository = connect(github.url, TOKEN, name)
    assert take_back_merge(repository, name, "work") is False
    open_it(github, name)
    assert take_back_merge(repository, name, "work") is False
    ask(github, name, head)
    assert take_back_merge(repository, name, "work") is True
    assert pull(github, name)["auto_merge"] is None


def test_what_cannot_be_taken_back_stops_the_push() -> None:
    with pytest.raises(OutsideError):
        take_back_merge(connect("http://127.0.0.1:9", TOKEN, "acme/x"), "acme/x", "work")


def test_queries_of_the_library_are_valid_by_the_published_schema(
    github: Double, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the double reads by itself is read here by a whole implementation of the language."""
    from github.Requester import Requester

    sent: list[tuple[str, dict[str, Any]]] = []
    real = Requester.graphql_query

    def watched(self: Requester, query: str, variables: dict[str, Any]) -> Any:
        sent.append((query, variables))
        return real(self, query, variables)

    monkeypatch.setattr(Requester, "graphql_query", watched)
    name, head = make(**READY)
    open_it(github, name)
    ask(github, name, head)
    take_back_merge(connect(github.url, TOKEN, name), name, "work")
    schema = graphql.build_schema(SCHEMA)
    assert len(sent) == 2
    for query, variables in sent:
        document = graphql.parse(query)
        assert graphql.validate(schema, document) == []
        [operation] = document.definitions
        read = graphql.execution.values.get_variable_values(schema, operation.variable_definitions, variables)
        assert not isinstance(read, list), read


def mutation(
    kind: str = "EnablePullRequestAutoMergeInput",
    field: str = "enablePullRequestAutoMerge",
    selection: str = "clientMutationId",
) -> str:
    return f"mutation M($input: {kind}!) {{ {field}(input: $input) {{ {selection} }} }}"


@pytest.mark.parametrize(
    ("query", "given"),
    [
        (mutation(field="deleteRepository"), {}),
        (mutation(kind="DisablePullRequestAutoMergeInput"), {}),
        (mutation(selection="colour"), {}),
        (mutation(selection="actor"), {}),
        (mutation(selection="actor { age }"), {}),
        (mutation(), {"pullRequestId": None}),
        (mutation(), {"colour": "red"}),
        (mutation(), {"mergeMethod": "FORCE"}),
        (mutation(), {"expectedHeadOid": "main"}),
        ("query { viewer { login } }", {}),
    ],
)
def test_request_that_no_schema_allows_is_refused_and_remembered(
    github: Double, make: Make, query: str, given: dict[str, Any]
) -> None:
    name, _ = make(**READY)
    open_it(github, name)
    wanted = {"pullRequestId": pull(github, name)["node_id"], **given}
    answer = github.client.post(
        "/graphql",
        json={"query": query, "variables": {"input": {k: v for k, v in wanted.items() if v is not None}}},
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    assert (answer.status_code, answer.json()["data"]) == (200, None)
    assert "type" not in answer.json()["errors"][0]
    assert [problem["operation"] for problem in github.clear()] == ["graphql"]
    assert pull(github, name)["auto_merge"] is None


@pytest.fixture
def deliver(github: Double) -> Iterator[Callable[..., dict[str, Any]]]:
    area = Path(tempfile.mkdtemp(prefix="aicd-test-", dir="/var/tmp"))
    area.chmod(0o755)

    def run(name: str, needed: int = 1, **more: str) -> dict[str, Any]:
        shutil.rmtree(area / "run", ignore_errors=True)
        (area / "spec.yaml").write_text(SPEC.replace("REPO", name).replace("NEEDED", str(needed)))
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "AICD_RUN_DIR": str(area / "run"),
            "AICD_SPEC_PATH": str(area / "spec.yaml"),
            "AICD_TARGET_REPOSITORY": name,
            "AICD_GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": github.url,
            "GITHUB_SERVER_URL": github.url,
            "GITHUB_RUN_ID": "77",
            "AICD_PULL_REQUEST": "ready",
            "AICD_AUTO_MERGE": "true",
            **more,
        }
        command = [sys.executable, "-P", "-m", "action", "deliver"]
        done = subprocess.run(
            command, cwd=area, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        published = json.loads((area / "run" / "published.json").read_text())
        report = (area / "run" / "report" / "report.html").read_text()
        return {"code": done.returncode, "note": published["note"], "report": report, "said": done.stdout}

    yield run
    shutil.rmtree(area, ignore_errors=True)


def test_change_that_passed_merges_by_itself_until_one_fails(
    github: Double, make: Make, deliver: Callable[..., dict[str, Any]]
) -> None:
    name, _ = make(**READY)
    passed = deliver(name)
    assert (passed["code"], passed["note"]) == (0, WAITS), passed["said"]
    assert "merges by itself as soon as" in passed["report"]
    first = pull(github, name)
    assert (first["draft"], first["auto_merge"]["merge_method"]) == (False, "merge")
    failed = deliver(name, needed=9)
    assert failed["code"] == 1
    after = pull(github, name)
    assert (after["number"], after["auto_merge"]) == (first["number"], None)
    assert after["head"]["sha"] != first["head"]["sha"]


@pytest.mark.parametrize("told", [{"AICD_AUTO_MERGE": "false"}, {"AICD_AUTO_MERGE": "", "AICD_PULL_REQUEST": "none"}])
def test_change_that_failed_merges_by_itself_for_nobody(
    github: Double, make: Make, deliver: Callable[..., dict[str, Any]], told: dict[str, str]
) -> None:
    """Also where this run was not asked to merge: an earlier one was, or a reviewer did it by hand."""
    name, _ = make(**READY)
    assert deliver(name)["note"] == WAITS
    first = pull(github, name)
    failed = deliver(name, needed=9, **told)
    assert "does not merge by itself any more" in failed["said"]
    after = pull(github, name)
    assert (after["number"], after["auto_merge"]) == (first["number"], None)
    assert after["head"]["sha"] != first["head"]["sha"]


def test_failed_change_is_pushed_by_a_token_that_may_only_push(
    github: Double, make: Make, deliver: Callable[..., dict[str, Any]]
) -> None:
    name, _ = make(**READY)
    weak = github.control("tokens", permissions={"contents": "write"})["token"]
    failed = deliver(name, needed=9, AICD_AUTO_MERGE="", AICD_PULL_REQUEST="none", AICD_GITHUB_TOKEN=weak)
    assert "did not let us look at the pull requests of" in failed["said"]
    assert "pull request was asked for" in failed["note"]


def test_it_is_taken_back_from_every_pull_request_of_the_branch(github: Double, make: Make) -> None:
    name, head = make(**READY)
    bare = github.state / "repos" / f"{name}.git"
    subprocess.run(["git", "-C", str(bare), "branch", "release", "main"], check=True)
    repository = connect(github.url, TOKEN, name)
    numbers = [
        repository.create_pull(title="S1", body="", head="work", base=base).number for base in ("main", "release")
    ]
    assert [ask_to_merge(repository, number, head) for number in numbers] == [WAITS] * 2
    assert take_back_merge(repository, name, "work") is True
    assert [repository.get_pull(number).auto_merge for number in numbers] == [None] * 2


def test_repository_that_does_not_allow_it_gets_its_pull_request_and_a_note(
    github: Double, make: Make, deliver: Callable[..., dict[str, Any]]
) -> None:
    name, _ = make(requires_checks=True)
    done = deliver(name)
    assert (done["code"], "not allowed for this repository" in done["note"]) == (0, True)
    assert pull(github, name)["draft"] is False


def test_change_that_failed_is_a_draft_and_never_merges(
    github: Double, make: Make, deliver: Callable[..., dict[str, Any]]
) -> None:
    name, _ = make(**READY)
    assert deliver(name, needed=9)["code"] == 1
    found = pull(github, name)
    assert (found["draft"], found["auto_merge"]) == (True, None)


def test_nothing_merges_that_was_not_asked_to(
    github: Double, make: Make, deliver: Callable[..., dict[str, Any]]
) -> None:
    name, _ = make(**READY)
    assert deliver(name, AICD_AUTO_MERGE="false")["note"] == ""
    assert pull(github, name)["auto_merge"] is None
