"""The operator's verbs over DB_URL."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from controlplane.errors import CallerError, NotFound, OutsideError
from local.administration import Administration
from tests.database.world import MAILBOX, World, forbidden

pytestmark = pytest.mark.database


def test_project_is_made_once_and_changed_by_what_is_given(empty_world: World) -> None:
    with empty_world.administration() as operator:
        made = operator.create_project({"repo": "acme/shop", "workflow": "build.yml", "policy": {"daily_specs": 3}})
        again = operator.create_project({"repo": "Acme/Shop", "default_branch": "trunk"})
    assert again["project_id"] == made["project_id"]
    assert (again["workflow"], again["default_branch"], again["policy"]) == ("build.yml", "trunk", {"daily_specs": 3})
    assert empty_world.value("select count(*) from projects") == 1


def test_allowed_sender_can_be_taken_off_again(world: World) -> None:
    with world.administration() as operator:
        operator.allow_sender("Bob@Example.com", "acme/shop", {"daily_limit": 3})
        operator.allow_sender("bob@example.com", "acme/shop", {"daily_limit": 4})
        operator.allow_sender("bob@example.com", None)
        assert operator.disallow_sender("BOB@example.com") == 2
        assert operator.disallow_sender("bob@example.com") == 0


@pytest.mark.parametrize("pattern", ["nobody", "*", "@example.com", "*@*", "a b@example.com", "a@b@c"])
def test_pattern_that_would_let_everybody_in_is_refused(world: World, pattern: str) -> None:
    with world.administration() as operator, pytest.raises(CallerError) as caught:
        operator.allow_sender(pattern, "acme/shop")
    assert caught.value.code == "bad-value"


def test_sender_of_an_unknown_repository_is_refused(world: World) -> None:
    with world.administration() as operator, pytest.raises(NotFound) as caught:
        operator.allow_sender("bob@example.com", "acme/none")
    assert (caught.value.code, "aicd project add acme/none" in caught.value.fix) == ("project-not-found", True)


def test_repository_name_that_is_none_is_refused(empty_world: World) -> None:
    with empty_world.administration() as operator, pytest.raises(CallerError):
        operator.create_project({"repo": "../../etc"})


def test_mailbox_is_made_once(empty_world: World) -> None:
    with empty_world.administration() as operator:
        assert operator.create_mailbox("A@example.org") == operator.create_mailbox("a@example.org")


def test_database_that_is_not_there_says_what_to_do() -> None:
    with pytest.raises(OutsideError) as caught:
        Administration("postgresql://postgres@127.0.0.1:1/postgres")
    assert "DB_URL" in str(caught.value)


def test_mailbox_says_itself_how_its_senders_are_proven(world: World) -> None:
    said = ("verify_dkim", "authserv_id")

    def opened() -> tuple[Any, ...]:
        mailbox = world.functions().call("open_mailbox_v1", email=MAILBOX)
        return tuple(mailbox[name] for name in said)

    assert opened() == (None, None)
    with world.administration() as operator:
        operator.configure_mailbox(MAILBOX.upper(), {"verify_dkim": True, "authserv_id": "mx.example.org"})
        assert opened() == (True, "mx.example.org")
        made = operator.configure_mailbox(MAILBOX, {"verify_dkim": False})
        assert (made["verify_dkim"], made["authserv_id"]) == opened() == (False, "mx.example.org")
        operator.configure_mailbox(MAILBOX, dict.fromkeys(said))
        assert opened() == (None, None)
        with pytest.raises(NotFound):
            operator.configure_mailbox("nobody@example.org", {})
        with pytest.raises(CallerError):
            operator.configure_mailbox(MAILBOX, {"authserv_id": "mx; dmarc=pass"})


def test_operators_verbs_are_the_owners_alone(world: World) -> None:
    made = world.ingest()
    personas = (world.functions(), world.runner_of(made["run_id"]), world.member(world.user()), world.anonymous())
    for persona in personas:
        for verb, arguments in {
            "create_project_v1": {"project": {"repo": "a/b"}},
            "allow_sender_v1": {"pattern": "a@b.c", "repo": None, "options": {}},
            "disallow_sender_v1": {"pattern": "a@b.c"},
            "create_mailbox_v1": {"email": "a@b.c"},
            "configure_mailbox_v1": {"email": "a@b.c", "settings": {}},
            "revoke_token_v1": {"jti": "x", "reason": ""},
            "revoke_run_tokens_v1": {"run_id": made["run_id"], "reason": ""},
            "configure_webhook_v1": {"kind": "notify", "url": "x", "secret": "y"},
            "observe_mail_v1": {"gmail_id": "x"},
        }.items():
            with forbidden():
                persona.call(verb, **arguments)


def test_every_operators_change_is_in_the_audit_log(world: World) -> None:
    with world.administration() as operator:
        operator.disallow_sender("ada@example.com")
        operator.revoke_token("j-1", "lost")
        operator.configure_webhook("notify", "https://x.example", "s3cret")
    actions = {row[0] for row in world.all("select action from audit_log where actor = 'postgres'")}
    assert actions == {
        "create_project", "allow_sender", "create_mailbox", "disallow_sender", "revoke_token", "configure_webhook",
    }  # fmt: skip
    with psycopg.connect(world.owner_url) as connection:
        assert connection.execute("select count(*) from audit_log where details::text like '%s3cret%'").fetchone() == (
            0,
        )
