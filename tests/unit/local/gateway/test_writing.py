"""INSERT, UPDATE, DELETE and upsert as the official client writes them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from postgrest import APIError
from postgrest.types import ReturnMethod

from supabase import Client

from .conftest import ALICE, BOB, Stack, http

pytestmark = pytest.mark.usefixtures("empty")


def code_of(action: Callable[[], Any]) -> str:
    with pytest.raises(APIError) as caught:
        action()
    return str(caught.value.code)


def test_insert_gives_the_row_back(alice: Client) -> None:
    row = alice.table("notes").insert({"title": "x", "tags": ["a", "b,c"], "data": {"k": [1, None]}}).execute().data[0]
    assert (row["owner"], row["stars"], row["tags"], row["data"]) == (ALICE, 3, ["a", "b,c"], {"k": [1, None]})


def test_insert_of_many_fills_what_is_missing(alice: Client) -> None:
    result = alice.table("notes").insert([{"title": "x", "stars": 1}, {"title": "y"}], count="exact").execute()
    assert [row["stars"] for row in result.data] == [1, None]
    assert result.count == 2
    defaults = (
        alice.table("notes").insert([{"title": "z", "stars": 1}, {"title": "w"}], default_to_null=False).execute()
    )
    assert [row["stars"] for row in defaults.data] == [1, 3]


def test_insert_of_nothing_or_only_defaults(alice: Client) -> None:
    assert alice.table("notes").insert([]).execute().data == []
    assert alice.table("notes").insert({}).execute().data[0]["stars"] == 3


def test_insert_in_the_name_of_another_is_refused(alice: Client, as_owner: Callable[..., Any]) -> None:
    assert code_of(lambda: alice.table("notes").insert({"title": "forged", "owner": BOB}).execute()) == "42501"
    assert as_owner("select count(*) from notes") == [(0,)]


def test_minimal_return_needs_no_right_to_read(alice: Client, as_owner: Callable[..., Any]) -> None:
    table = alice.table("write_only")
    assert table.insert({"id": 1, "secret": "s"}, returning=ReturnMethod.minimal).execute().data == []
    assert code_of(lambda: alice.table("write_only").insert({"id": 2, "secret": "s"}).execute()) == "42501"
    assert as_owner("delete from write_only returning id") == [(1,)]


def test_update_touches_only_ones_own(alice: Client, bob: Client) -> None:
    alice.table("notes").insert({"title": "mine"}).execute()
    assert bob.table("notes").update({"title": "stolen"}).eq("title", "mine").execute().data == []
    changed = alice.table("notes").update({"title": "new", "stars": None}).eq("title", "mine").execute().data
    assert [(row["title"], row["stars"]) for row in changed] == [("new", None)]


def test_update_of_no_column_changes_nothing(alice: Client) -> None:
    alice.table("notes").insert({"title": "x"}).execute()
    assert alice.table("notes").update({}).eq("title", "x").execute().data == []


def test_delete_gives_back_what_went(alice: Client) -> None:
    alice.table("notes").insert([{"title": "a"}, {"title": "b"}]).execute()
    result = alice.table("notes").delete(count="exact").eq("title", "a").execute()
    assert ([row["title"] for row in result.data], result.count) == (["a"], 1)
    assert alice.table("notes").select("title").execute().data == [{"title": "b"}]


def test_update_and_delete_want_a_where(alice: Client, as_owner: Callable[..., Any]) -> None:
    alice.table("notes").insert([{"title": "a"}, {"title": "b"}]).execute()
    assert code_of(lambda: alice.table("notes").delete().execute()) == "21000"
    assert code_of(lambda: alice.table("notes").update({"stars": 0}).execute()) == "21000"
    assert as_owner("select count(*) from notes where stars = 3 or stars is null") == [(2,)]


def test_upsert_merges_or_ignores(alice: Client) -> None:
    alice.table("notes").insert({"title": "t", "stars": 1}).execute()
    row = {"owner": ALICE, "title": "t", "stars": 2}
    merged = alice.table("notes").upsert(row, on_conflict="owner,title").execute().data
    assert [entry["stars"] for entry in merged] == [2]
    ignored = (
        alice.table("notes").upsert(row | {"stars": 9}, on_conflict="owner,title", ignore_duplicates=True).execute()
    )
    assert ignored.data == []
    assert alice.table("notes").select("stars").execute().data == [{"stars": 2}]


def test_upsert_without_a_target_uses_the_primary_key(alice: Client) -> None:
    for colour in ("dry", "wet"):
        alice.table("tags").upsert([{"id": 1, "word": colour}, {"id": 2, "word": colour}]).execute()
    assert [row["word"] for row in alice.table("tags").select("word").execute().data] == ["wet", "wet"]


def test_representation_may_embed(alice: Client, as_owner: Callable[..., Any]) -> None:
    as_owner("insert into authors values (1, 'Ann', null)")
    query = alice.table("books").insert({"id": 1, "title": "One", "author_id": 1})
    query.request.params = query.request.params.add("select", "title,author:author_id(name)")
    assert query.execute().data == [{"title": "One", "author": {"name": "Ann"}}]


def test_single_mutation_of_several_is_rolled_back(gateway: Stack, alice: Client) -> None:
    alice.table("notes").insert([{"title": "a"}, {"title": "b"}]).execute()
    answer = http.patch(
        f"{gateway.url}/rest/v1/notes?title=in.(a,b)",
        json={"stars": 7},
        headers={
            "apikey": gateway.publishable_key,
            "Authorization": f"Bearer {gateway.token(sub=ALICE)}",
            "Accept": "application/vnd.pgrst.object+json",
            "Prefer": "return=representation",
        },
    )
    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST116")
    assert alice.table("notes").select("*", count="exact").eq("stars", 7).execute().count == 0


def test_max_affected_rolls_back(alice: Client) -> None:
    alice.table("notes").insert([{"title": "a"}, {"title": "b"}]).execute()
    assert code_of(lambda: alice.table("notes").delete().neq("title", "").max_affected(1).execute()) == "PGRST124"
    assert alice.table("notes").select("*", count="exact").execute().count == 2


@pytest.mark.parametrize(
    ("table", "row", "code", "status"),
    [
        ("books", {"id": 1, "title": "x", "author_id": 77}, "23503", 409),
        ("tags", {"id": 1}, "23502", 400),
        ("tags", {"id": "one", "word": "x"}, "22P02", 400),
        ("tags", {"id": 1, "word": "x", "colour": "red"}, "PGRST204", 400),
        ("notes", {"mood": "bored"}, "22P02", 400),
    ],
)
def test_broken_rule_has_its_code_and_status(
    gateway: Stack, table: str, row: dict[str, Any], code: str, status: int
) -> None:
    headers = {"apikey": gateway.publishable_key, "Authorization": f"Bearer {gateway.token(sub=ALICE)}"}
    answer = http.post(f"{gateway.url}/rest/v1/{table}", json=row, headers=headers)
    assert (answer.json()["code"], answer.status_code) == (code, status)
    assert set(answer.json()) == {"code", "message", "details", "hint"}


def test_duplicate_is_a_conflict(alice: Client) -> None:
    alice.table("tags").insert({"id": 1, "word": "x"}).execute()
    assert code_of(lambda: alice.table("tags").insert({"id": 1, "word": "y"}).execute()) == "23505"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b'"x"', b"[" * 100_000, b'{"title": NaN}', b'[{"id":1},{"word":"x"}]', b"\xff"]
)
def test_broken_body_is_refused(gateway: Stack, body: bytes) -> None:
    headers = {"apikey": gateway.publishable_key, "Authorization": f"Bearer {gateway.token(sub=ALICE)}"}
    answer = http.post(f"{gateway.url}/rest/v1/notes", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] in ("PGRST102", "22P02")


def test_body_beyond_the_limit_is_refused_unread(gateway: Stack) -> None:
    address = urlsplit(gateway.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        lines = (
            "POST /rest/v1/notes HTTP/1.1",
            "Host: x",
            f"apikey: {gateway.publishable_key}",
            f"Content-Length: {10**12}",
        )
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")
