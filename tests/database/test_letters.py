"""Letters: which repository plain words are for, told to nobody but their sender and about nothing but his own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.database.world import SENDER, World, spec

pytestmark = pytest.mark.database


def find(world: World, sender: str = SENDER, repo: str = "", thread: str = "t-9") -> dict[str, Any]:
    found: dict[str, Any] = world.functions().call(
        "find_repository_v1", sender=sender, repo=repo, mailbox_id=world.mailbox_id, gmail_thread_id=thread
    )
    return found


def test_letter_without_a_repository_is_for_the_senders_only_one(world: World) -> None:
    world.execute('select create_project_v1(\'{"repo": "rival/secret"}\')')
    found = find(world, SENDER.upper())
    assert found == {"repo": "acme/shop", "planner": None, "total": 1, "repositories": ["acme/shop"]}


def test_sender_of_several_repositories_hears_of_his_own_only(world: World) -> None:
    world.settle("acme/Bakery")
    world.execute('select create_project_v1(\'{"repo": "rival/secret"}\')')
    found = find(world)
    assert (found["repo"], found["repositories"]) == (None, ["acme/Bakery", "acme/shop"])


def test_letter_in_a_thread_is_for_the_repository_that_the_thread_is_about(world: World) -> None:
    world.settle("acme/bakery")
    world.functions().call(
        "ingest_message_v1", message=world.mail(gmail_thread_id="t-9"), specs=[spec(repo="acme/bakery")]
    )
    assert find(world)["repo"] == "acme/bakery"
    assert find(world, thread="t-8")["repo"] is None


def test_thread_of_another_sender_tells_nothing(world: World) -> None:
    world.settle("acme/bakery")
    world.functions().call("ingest_message_v1", message=world.mail(gmail_thread_id="t-9"), specs=[spec()])
    for repo in ("acme/shop", "acme/bakery"):
        world.execute("select allow_sender_v1('bob@example.com', %s, '{}')", repo)
    assert find(world, "bob@example.com")["repo"] is None


def test_empty_thread_id_is_no_thread(world: World) -> None:
    world.settle("acme/bakery")
    world.functions().call("ingest_message_v1", message=world.mail(gmail_thread_id=""), specs=[spec()])
    assert find(world, thread="")["repo"] is None


@pytest.mark.parametrize("repo", ["rival/secret", "nobody/nothing"])
def test_repository_of_somebody_else_looks_like_one_that_is_not_there(world: World, repo: str) -> None:
    world.execute('select create_project_v1(\'{"repo": "rival/secret", "policy": {"planner": false}}\')')
    assert find(world, repo=repo) == {"repo": None, "planner": None, "total": 1, "repositories": ["acme/shop"]}


def test_stranger_has_no_repository(world: World) -> None:
    assert find(world, "eve@evil.example") == {"repo": None, "planner": None, "total": 0, "repositories": []}


@pytest.mark.parametrize(("policy", "told"), [(True, True), (False, False), ("no", None), (None, None)])
def test_projects_word_about_letters_is_handed_on(world: World, policy: object, told: bool | None) -> None:
    world.settle(planner=policy)
    assert find(world, repo="ACME/shop")["planner"] is told


def test_only_the_first_twenty_repositories_are_named(world: World) -> None:
    for number in range(25):
        world.settle(f"acme/part-{number:02}")
    found = find(world)
    assert (len(found["repositories"]), found["total"]) == (20, 26)
