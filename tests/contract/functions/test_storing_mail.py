"""A specification that came by mail and is not stored at once: the mail is kept, for its bytes are not at fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.functions.test_letters import messages, watched
from tests.unreliable import Fault, Unreliable

__all__ = ["watched"]


@pytest.fixture
def supabase(watched: Any) -> Iterator[Unreliable]:
    """What stands between the function and Supabase."""
    proxy = Unreliable(watched.world.api_url)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("kind", ["garbage", "page"])
def test_answer_in_place_of_the_stored_bytes_holds_the_mail_back_and_no_other(
    watched: Any, letter: Any, supabase: Unreliable, kind: str
) -> None:
    """It was recorded as unreadable, and its sender heard nothing."""
    push = watched.function("gmail_push", SUPABASE_URL=supabase.url)
    watched.deliver(letter())
    with supabase.failing(Fault("500", "POST .*/rpc/ingest_message_v1")):
        assert watched.push(push).status_code == 503
    stored = [(watched.objects_before + 1,)]
    assert watched.rows("select count(*) from storage.objects") == stored, "and then the database was away"
    watched.deliver(letter(subject="later", spec="- no specification\n"))
    with supabase.failing(Fault(kind, "GET .*/object/")):
        assert watched.push(push).status_code == 503
        assert supabase.spoiled
    assert messages(watched) == [("INVALID", "specification-invalid")]
    assert watched.push(push).status_code == 204
    assert sorted(messages(watched)) == [("ACCEPTED", "accepted"), ("INVALID", "specification-invalid")]
    assert watched.rows("select count(*) from storage.objects") == stored
