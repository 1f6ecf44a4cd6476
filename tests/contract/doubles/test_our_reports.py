"""Our check run and our comment at GitHub: one of each, whatever is repeated, and no more than the token may."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from action.publish.annotations import Annotation
from action.publish.announce import announce
from action.publish.comment import MARKER
from action.publish.pullrequest import connect
from controlplane.plan import Sprint
from controlplane.report import Report
from controlplane.verdict import Criterion, Verdict
from tests.contract.doubles.conftest import Double

TOKEN = "ghs_0123456789abcdefghijABCDEFGHIJ01"
RUN_ID = "3f2b1c4d-0000-4000-8000-000000000001"
FAILED = Verdict(criteria=(Criterion(id="unit_pass", required=True, actual=False, status="failed", reason="1 failed"),))
PASSED = Verdict(criteria=(Criterion(id="unit_pass", required=True, actual=True, status="passed", reason="all"),))


def make_annotations(number: int) -> list[Annotation]:
    return [
        Annotation(level="error", rule="unit_pass", title=f"t{n}", message=f"m{n}", path="calc.py", line=n, end_line=n)
        for n in range(1, number + 1)
    ]


class Place:
    """A repository at the double with one pull request, and what our reports left there."""

    def __init__(self, double: Double) -> None:
        name = f"calc-{uuid.uuid4().hex[:8]}"
        double.control("tokens", token=TOKEN, login="github-actions[bot]")
        double.control("repos", owner="acme", name=name, files={"README.md": "hello\n"})
        self.double, self.name, self.token = double, f"acme/{name}", TOKEN
        self.commit = self.get("commits/main")["sha"]
        self.call("POST", "git/refs", ref="refs/heads/work", sha=self.commit)
        content = {"message": "Work", "content": "eA==", "branch": "work"}
        self.commit = self.call("PUT", "contents/calc.py", **content)["commit"]["sha"]
        self.number = self.call("POST", "pulls", title="t", head="work", base="main")["number"]

    def call(self, method: str, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = self.double.client.request(method, f"/repos/{self.name}/{path}", headers=headers, json=body or None)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def announce(self, verdict: Verdict = FAILED, found: int = 0, run_id: str = RUN_ID) -> tuple[str, ...]:
        report = Report(
            title="t", repository=self.name, branch="work", base="main", commit=self.commit, run_id=run_id,
            spec_id="s", sprint=Sprint(label="S1"), verdict=verdict,
        )  # fmt: skip
        repository = connect(self.double.url, self.token, self.name)
        return announce(repository, report, make_annotations(found), self.number, lambda text: text)

    def checks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"commits/{self.commit}/check-runs")["check_runs"]
        return found

    def comments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"issues/{self.number}/comments")
        return found


@pytest.fixture
def place(github: Double) -> Place:
    return Place(github)


def test_check_run_says_the_verdict_with_all_annotations_in_portions_of_fifty(place: Place) -> None:
    assert place.announce(found=120) == ()
    [check] = place.checks()
    assert (check["name"], check["status"], check["conclusion"]) == ("aicd", "completed", "failure")
    assert check["output"]["annotations_count"] == 120
    assert "unit" in check["output"]["summary"]


def test_reports_told_again_stay_one_check_run_and_one_comment(place: Place) -> None:
    for verdict in (FAILED, FAILED, PASSED):
        assert place.announce(verdict, found=60) == ()
    [check], [comment] = place.checks(), place.comments()
    assert (check["conclusion"], check["output"]["annotations_count"]) == ("success", 60)
    assert "is met" in comment["body"]


def test_next_run_rewrites_the_comment_and_has_a_check_run_of_its_own(place: Place) -> None:
    place.announce(FAILED)
    place.announce(PASSED, run_id=RUN_ID.replace("1", "2"))
    assert sorted(check["conclusion"] for check in place.checks()) == ["failure", "success"]
    assert ["is met" in comment["body"] for comment in place.comments()] == [True]


@pytest.mark.parametrize("answered", ["token", "status"])
def test_token_that_may_not_write_checks_is_noted_and_the_comment_is_there(place: Place, answered: str) -> None:
    if answered == "token":
        place.token = f"ghs_weak{uuid.uuid4().hex}"
        allowed = {"contents": "write", "pull_requests": "write"}
        place.double.control("tokens", token=place.token, permissions=allowed, login="github-actions[bot]")
    else:
        place.double.control("faults", api=[{"operation": "checks/create", "status": 403, "times": 9}])
    [note] = place.announce()
    assert "checks: write" in note
    [comment] = place.comments()
    assert "checks: write" in comment["body"]


def test_check_run_that_fails_half_way_is_noted_and_finished_the_next_time(place: Place) -> None:
    place.double.control("faults", api=[{"operation": "checks/update", "status": 422, "times": 1}])
    [note] = place.announce(found=70)
    assert "422" in note
    assert place.announce(found=70) == ()
    [check] = place.checks()
    assert check["output"]["annotations_count"] == 70


def test_comment_of_a_stranger_that_begins_with_our_marker_is_left_alone(place: Place) -> None:
    stranger = f"ghp_{uuid.uuid4().hex}"
    place.double.control("tokens", token=stranger, login="mallory")
    headers = {"Authorization": f"Bearer {stranger}"}
    path = f"/repos/{place.name}/issues/{place.number}/comments"
    place.double.client.post(path, headers=headers, json={"body": f"{MARKER}\nmine"})
    assert place.announce(PASSED) == ()
    assert sorted("mine" in comment["body"] for comment in place.comments()) == [False, True]


def test_github_that_cannot_be_reached_is_noted_for_both(place: Place) -> None:
    place.double = type("Nowhere", (), {"url": "http://127.0.0.1:1"})()
    notes = place.announce()
    assert [note.count("could not be reached") for note in notes] == [1, 1]
