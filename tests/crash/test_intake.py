"""Intake is killed at every step; the same push comes again; nothing is lost, and nothing is there twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash.children import INTAKE, Nursery, sample
from tests.crash.world import World, letter

pytestmark = pytest.mark.database


def taken_in(world: World, gmail_id: str) -> dict[str, int]:
    """How often each thing is there that one mail may leave behind."""
    (found,) = world.rows(
        """
        select count(distinct messages.id) as messages, count(distinct specs.id) as specs,
            count(distinct sprints.id) as sprints, count(distinct runs.id) as runs,
            count(distinct objects.id) as objects,
            count(distinct outbox.id) filter (where outbox.kind = 'dispatch') as dispatches,
            count(distinct outbox.id) filter (where outbox.kind = 'notify') as receipts,
            count(distinct status_events.id) filter (where phase = 'SPEC_RECEIVED') as received,
            count(distinct status_events.id) filter (where phase = 'PLANNING') as planned
        from public.messages
        left join public.specs on specs.message_id = messages.id
        left join public.sprints on sprints.spec_id = specs.id
        left join public.runs on runs.spec_id = specs.id
        left join public.status_events on status_events.spec_id = specs.id
        left join public.outbox on outbox.payload ->> 'spec_id' = specs.id::text
        left join storage.objects on objects.bucket_id = 'specs' and objects.name = specs.storage_path
        where messages.gmail_id = %s
        """,
        gmail_id,
    )
    return {name: int(value) for name, value in found.items()}


ONCE = dict.fromkeys(
    ("messages", "specs", "sprints", "runs", "objects", "dispatches", "receipts", "received", "planned"), 1
)


def orphans(world: World) -> int:
    """Stored specifications that no row names."""
    return world.count(
        "select count(*) from storage.objects where bucket_id = 'specs'"
        " and not exists (select from public.specs where storage_path = objects.name)"
    )


def test_intake_killed_at_any_step_takes_the_mail_in_once(
    clean: World, nursery: Nursery, chaos: bool, tell: Callable[[str], None]
) -> None:
    clean.deliver(letter())
    whole = nursery.push(watched=INTAKE)
    assert whole.status == 204
    points = sample(whole, 0 if chaos else 36)
    killed = left_work = 0
    for step in points:
        gmail_id = clean.deliver(letter())
        life = nursery.push(die=step, watched=INTAKE)
        killed += life.killed
        left_work += taken_in(clean, gmail_id) != ONCE
        assert nursery.push().status == 204, step
        assert taken_in(clean, gmail_id) == ONCE, f"killed at step {step}"
    assert orphans(clean) == 0
    assert clean.count("select count(*) from public.messages") == len(points) + 1
    assert killed >= 0.95 * len(points)
    calls = sum(what.startswith("before") for _, what in whole.effects)
    tell(
        f"N = {whole.steps} steps with {calls} calls outside; killed at {killed}; {left_work} times work was left to do"
    )
