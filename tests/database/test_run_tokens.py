"""The exchange's half in the database: whom a run trusts, and that one identity is claimed once."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.database.world import World, refused

pytestmark = pytest.mark.database

ISSUER = "https://token.actions.githubusercontent.com"


def pin(world: World, **project: Any) -> Any:
    given = {"repo": "acme/shop", "repository_id": 74, "repository_owner_id": 65, **project}
    return world.value("select create_project_v1(%s)", Jsonb(given))


def bound(world: World, ci_run_id: str = "900") -> str:
    """A run that dispatch has bound."""
    run_id = str(world.ingest()["run_id"])
    world.functions().call("bind_run_v1", run_id=run_id, ci_run_id=ci_run_id, url="https://x.example")
    return run_id


def claim(run_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "issuer": ISSUER, "jti": uuid.uuid4().hex, "expires_at": int(time.time()) + 300, "run_id": run_id,
        "ci_run_id": "900", "ci_attempt": 1, "token_jti": str(uuid.uuid4()), "token_seconds": 900,
        "details": {"repository": "acme/shop"}, **changes,
    }  # fmt: skip


def outcome(world: World, given: dict[str, Any]) -> str:
    return str(world.functions().call("claim_identity_v1", claim=given)["outcome"])


def test_trust_names_the_pinned_repository_and_the_bound_ci_run(world: World) -> None:
    pin(world, workflow="build.yml", policy={"require_environment": True})
    run_id = bound(world)
    trust = world.functions().call("describe_run_trust_v1", run_id=run_id)
    assert trust["project_id"] == world.projects["acme/shop"]
    expected = {
        "run_id": run_id, "ci_run_id": "900", "repo": "acme/shop", "repository_id": "74", "repository_owner_id": "65",
        "default_branch": "main", "workflow": "build.yml", "policy": {"require_environment": True},
    }  # fmt: skip
    assert {name: trust[name] for name in expected} == expected
    assert world.functions().call("describe_run_trust_v1", run_id=str(uuid.uuid4())) is None


def test_project_is_pinned_by_the_operator_alone_and_stays_so(world: World) -> None:
    assert pin(world, repository_id=None, repository_owner_id=None)["repository_id"] is None
    assert pin(world)["repository_id"] == "74"
    kept = world.value("select create_project_v1(%s)", Jsonb({"repo": "ACME/shop", "default_branch": "trunk"}))
    assert (kept["repository_id"], kept["repository_owner_id"], kept["default_branch"]) == ("74", "65", "trunk")
    for half in (
        {"repository_id": None},
        {"repository_owner_id": None},
        {"repository_id": "0"},
        {"repository_id": "x"},
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            pin(world, **half)


def test_identity_is_claimed_once(world: World) -> None:
    given = claim(bound(world))
    assert outcome(world, given) == "claimed"
    assert outcome(world, {**given, "token_jti": str(uuid.uuid4())}) == "replayed"


def test_claim_whose_answer_was_lost_may_be_repeated(world: World) -> None:
    given = claim(bound(world))
    assert [outcome(world, given) for _ in range(3)] == ["claimed"] * 3
    assert world.value("select count(*) from audit_log where action = 'exchange_identity'") == 1


def test_twenty_claims_at_once_have_one_winner(world: World) -> None:
    run_id = bound(world)
    jti, start = uuid.uuid4().hex, threading.Barrier(20)

    def race(_: int) -> str:
        given = claim(run_id, jti=jti)
        start.wait()
        return outcome(world, given)

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(race, range(20)))
    assert sorted(outcomes) == ["claimed"] + ["replayed"] * 19


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"run_id": str(uuid.uuid4())}, "run-not-found"),
        ({"ci_run_id": "901"}, "other-ci-run"),
    ],
)
def test_claim_for_another_run_leaves_the_identity_unused(world: World, changes: Any, expected: str) -> None:
    given = claim(bound(world))
    assert outcome(world, {**given, **changes}) == expected
    assert outcome(world, given) == "claimed"


def test_run_that_nobody_bound_gives_no_token_unless_the_policy_says_so(world: World) -> None:
    run_id = str(world.ingest()["run_id"])
    assert outcome(world, claim(run_id)) == "run-not-bound"
    pin(world, policy={"bind_first_ci_run": True})
    assert outcome(world, claim(run_id)) == "claimed"
    assert outcome(world, claim(run_id, ci_run_id="901")) == "other-ci-run"


def test_attempt_that_was_overtaken_gets_no_more_tokens(world: World) -> None:
    run_id = bound(world)
    assert outcome(world, claim(run_id)) == "claimed"
    world.runner_of(run_id).call("start_run_v1", run_id=run_id, ci_run_id="900", ci_attempt=2)
    assert outcome(world, claim(run_id, ci_attempt=1)) == "earlier-attempt"
    assert outcome(world, claim(run_id, ci_attempt=2)) == "claimed"


def test_expired_identities_are_swept_by_the_next_claim(world: World) -> None:
    run_id = bound(world)
    old = claim(run_id)
    assert outcome(world, old) == "claimed"
    world.execute("update private.exchanged_identities set expires_at = now() - interval '1 second'")
    assert outcome(world, claim(run_id)) == "claimed"
    assert world.value("select count(*) from private.exchanged_identities where jti = %s", old["jti"]) == 0


def test_identity_is_kept_longer_than_it_and_its_token_live(world: World) -> None:
    now = int(time.time())
    outcome(world, claim(bound(world), expires_at=now + 300, token_seconds=900))
    outcome(world, claim(bound(world, "901"), ci_run_id="901", expires_at=now + 2000, token_seconds=900))
    kept = [row[0] for row in world.all(
        "select extract(epoch from expires_at) from private.exchanged_identities order by expires_at")]  # fmt: skip
    assert kept[0] >= now + 900 + 30 and kept[1] >= now + 2000 + 30


def test_every_exchange_is_in_the_audit_log_with_the_token_it_led_to(world: World) -> None:
    given = claim(bound(world))
    outcome(world, given)
    subject, details = world.one("select subject_id, details from audit_log where action = 'exchange_identity'")
    assert subject == given["run_id"]
    assert (details["token_jti"], details["repository"]) == (given["token_jti"], "acme/shop")
    assert details["ci_run_id"] == "900"


def test_operator_ends_all_tokens_of_a_run_at_once(world: World) -> None:
    run_id, other_id = bound(world), bound(world, "901")
    given, other = claim(run_id), claim(other_id, ci_run_id="901")
    assert {outcome(world, one) for one in (given, claim(run_id), other)} == {"claimed"}
    token, spared = world.runner_of(run_id, jti=given["token_jti"]), world.runner_of(other_id, jti=other["token_jti"])
    token.call("start_run_v1", run_id=run_id, ci_run_id="900", ci_attempt=1)
    with world.administration() as operator:
        assert operator.revoke_run_tokens(run_id, "leaked") == 2
        assert operator.revoke_run_tokens(run_id, "leaked") == 0
    with refused(401, "token-not-live"):
        token.call("record_event_v1", run_id=run_id, phase="BUILD", message="", metadata={})
    spared.call("start_run_v1", run_id=other_id, ci_run_id="901", ci_attempt=1)


def test_verbs_of_the_exchange_are_for_functions_only(world: World) -> None:
    run_id = bound(world)
    runner = world.runner_of(run_id)
    for persona in (runner, world.member(world.user()), world.anonymous()):
        for verb, arguments in (
            ("describe_run_trust_v1", {"run_id": run_id}),
            ("claim_identity_v1", {"claim": claim(run_id)}),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                persona.call(verb, **arguments)
