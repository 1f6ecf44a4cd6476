"""What sprints wait for: said, not said, and said wrongly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controlplane.specfile import check_spec

NOT_SAID = object()


def check(*depends_on: Any, **document: Any) -> Any:
    sprints = [{"id": "abcd"[place]} | ({} if needed is NOT_SAID else {"depends_on": needed})
               for place, needed in enumerate(depends_on)]  # fmt: skip
    written = {"meta": {"project": "shop", "repo": "acme/shop"}, "planning": {"epics": [{"sprints": sprints}]}}
    return check_spec(json.dumps(written | document).encode(), "spec.json")


def test_what_is_said_reaches_the_plan_and_what_is_not_stays_unsaid() -> None:
    checked = check(NOT_SAID, NOT_SAID, [], ["a", "c"])
    assert [sprint.depends_on for sprint in checked.spec.plan.sprints] == [None, None, (), ("a", "c")]
    assert not any("depends_on" in note for note in checked.notes)


@pytest.mark.parametrize(
    ("depends_on", "path"),
    [
        ((["a"],), "planning.epics[0].sprints[0].depends_on[0]"),
        ((["b"], []), "planning.epics[0].sprints[0].depends_on[0]"),
        (([], ["a", "z"]), "planning.epics[0].sprints[1].depends_on[1]"),
        (([], ["A"]), "planning.epics[0].sprints[1].depends_on[0]"),
    ],
    ids=["itself", "below", "nowhere", "other case"],
)
def test_dependency_that_is_no_sprint_above_is_named_with_its_place(depends_on: Any, path: str) -> None:
    (problem,) = check(*depends_on).problems
    assert (problem.path, problem.line is not None, "above" in problem.message) == (path, True, True)


@pytest.mark.parametrize("wrong", ["a", 1, {"a": 1}, [None], [["a"]], ["a b"], ["a"] * 101])
def test_dependencies_that_are_no_list_of_ids_are_a_problem(wrong: Any) -> None:
    assert not check(NOT_SAID, wrong).valid


def test_number_is_an_id_as_it_is_elsewhere() -> None:
    sprints = [{"id": 1}, {"id": 2, "depends_on": [1]}]
    checked = check(planning={"epics": [{"sprints": sprints}]})
    assert checked.spec.plan.sprints[1].depends_on == ("1",)


@pytest.mark.parametrize(("second", "valid"), [(NOT_SAID, True), (["a"], True), ([], False)])
def test_sprints_at_once_do_not_share_one_branch(second: Any, valid: bool) -> None:
    checked = check(NOT_SAID, second, policies={"branch": "feature/x"})
    assert checked.valid is valid
    assert valid or "branch" in checked.problems[0].message


def test_plan_of_thousands_of_dependencies_is_read_in_time() -> None:
    sprints = [{"id": f"s{n}", "depends_on": [f"s{n - 1}"] if n else []} for n in range(4_000)]
    assert check(planning={"epics": [{"sprints": sprints}]}).valid
