"""SELECT as the official client writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from postgrest import APIError

from supabase import Client

from .conftest import ALICE, BOB, EMPTY, Stack, http

NOTES = """
insert into notes (owner, title, stars, tags, data, mood, span, created_at) values
    (%(alice)s, 'apple', 1, '{red,"a,b"}', '{"kind": "fruit", "n": 1, "deep": [{"x": 5}]}',
        'glad', '[1,5)', '2026-01-01'),
    (%(alice)s, 'banana', 2, '{yellow}', '{"kind": "fruit", "n": 2}', 'sad', '[5,9)', '2026-01-02'),
    (%(alice)s, 'carrot (raw), 100%%', null, '{}', '{"kind": "root"}', null, null, '2026-01-03'),
    (%(bob)s, 'secret', 9, '{}', '{}', null, null, '2026-01-04')
"""
RELATIONS = """
insert into authors values (1, 'Ann', null), (2, 'Ben', 1), (3, 'Cid', 1);
insert into books values (10, 'Ten', 1, 2), (11, 'Eleven', 1, null), (12, 'Twelve', 2, 2);
insert into covers values (10, 'red');
insert into tags values (1, 'dry'), (2, 'long');
insert into book_tags values (10, 1), (10, 2), (12, 2);
"""


@pytest.fixture(autouse=True, scope="module")
def content(gateway: Stack) -> None:
    """Written once: reading changes nothing, and the tests that add rows take them away again."""
    with psycopg.connect(gateway.database.owner_url) as connection:
        connection.execute(EMPTY)
        connection.execute(NOTES, {"alice": ALICE, "bob": BOB})
        connection.execute(RELATIONS)


def titles(query: Any) -> list[str]:
    return [row["title"] for row in query.order("id").execute().data]


FILTERS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda q: q.eq("title", "apple"), "a"),
    (lambda q: q.neq("title", "apple"), "bc"),
    (lambda q: q.gt("stars", 1), "b"),
    (lambda q: q.gte("stars", 1), "ab"),
    (lambda q: q.lt("stars", 2), "a"),
    (lambda q: q.lte("stars", 2), "ab"),
    (lambda q: q.like("title", "%an%"), "b"),
    (lambda q: q.ilike("title", "*APP*"), "a"),
    (lambda q: q.like_all_of("title", "%a%,%n%"), "b"),
    (lambda q: q.like_any_of("title", "%pp%,%nn%"), "a"),
    (lambda q: q.ilike_any_of("title", "%PP%,%NAN%"), "ab"),
    (lambda q: q.is_("stars", None), "c"),
    (lambda q: q.not_.is_("stars", None), "ab"),
    (lambda q: q.in_("stars", [1, 2]), "ab"),
    (lambda q: q.in_("title", ["carrot (raw), 100%", "apple"]), "ac"),
    (lambda q: q.in_("title", []), ""),
    (lambda q: q.not_.in_("title", ["apple"]), "bc"),
    (lambda q: q.eq("title", "carrot (raw), 100%"), "c"),
    (lambda q: q.contains("tags", ["red"]), "a"),
    (lambda q: q.contains("tags", ["a,b"]), "a"),
    (lambda q: q.contained_by("tags", ["yellow", "red", "a,b"]), "abc"),
    (lambda q: q.overlaps("tags", ["yellow", "red"]), "ab"),
    (lambda q: q.contains("data", {"kind": "fruit"}), "ab"),
    (lambda q: q.contains("span", "[2,3)"), "a"),
    (lambda q: q.range_gt("span", (1, 5)), "b"),
    (lambda q: q.range_lt("span", (5, 9)), "a"),
    (lambda q: q.range_gte("span", (4, 9)), "b"),
    (lambda q: q.range_lte("span", (1, 5)), "a"),
    (lambda q: q.range_adjacent("span", (9, 12)), ""),
    (lambda q: q.overlaps("span", "[4,6)"), "ab"),
    (lambda q: q.fts("title", "banana"), "b"),
    (lambda q: q.plfts("title", "apple"), "a"),
    (lambda q: q.phfts("title", "carrot raw"), "c"),
    (lambda q: q.wfts("title", "apple or banana"), "ab"),
    (lambda q: q.filter("title", "match", "^(a|b)"), "ab"),
    (lambda q: q.filter("title", "imatch", "^A"), "a"),
    (lambda q: q.filter("title", "fts(english)", "bananas"), "b"),
    (lambda q: q.filter("stars", "isdistinct", "1"), "bc"),
    (lambda q: q.eq("mood", "glad"), "a"),
    (lambda q: q.gt("created_at", "2026-01-02T00:00:00+00:00"), "c"),
    (lambda q: q.or_("stars.eq.1,title.like.c*"), "ac"),
    (lambda q: q.or_('title.eq."carrot (raw), 100%",and(stars.gte.2,stars.lte.2)'), "bc"),
    (lambda q: q.or_("stars.in.(1,2),stars.is.null"), "abc"),
    (lambda q: q.or_("tags.cs.{red},tags.ov.{yellow}"), "ab"),
    (lambda q: q.or_("not.and(stars.eq.1,title.eq.apple),title.eq.apple"), "abc"),
    (lambda q: q.not_.or_("stars.eq.1,stars.eq.2"), ""),
    (lambda q: q.eq("data->>kind", "root"), "c"),
    (lambda q: q.eq("data->n", "2"), "b"),
    (lambda q: q.eq("data->deep->0->>x", "5"), "a"),
    (lambda q: q.match({"stars": 1, "title": "apple"}), "a"),
    (lambda q: q.gte("stars", 1).lte("stars", 1), "a"),
]


@pytest.mark.parametrize(("add_filter", "expected"), FILTERS)
def test_filter_finds_exactly_its_rows(alice: Client, add_filter: Callable[[Any], Any], expected: str) -> None:
    found = titles(add_filter(alice.table("notes").select("title")))
    assert [title[0] for title in found] == list(expected)


def test_rows_of_others_stay_invisible(alice: Client, bob: Client, stranger: Client) -> None:
    assert len(titles(alice.table("notes").select("*"))) == 3
    assert titles(bob.table("notes").select("*")) == ["secret"]
    assert stranger.table("notes").select("*").execute().data == []


def test_table_without_a_grant_is_forbidden(alice: Client, stranger: Client, gateway: Stack) -> None:
    with pytest.raises(APIError) as caught:
        alice.table("hidden").select("*").execute()
    assert caught.value.code == "42501"
    answers = [
        http.get(f"{gateway.url}/rest/v1/hidden", headers={"apikey": gateway.publishable_key} | more).status_code
        for more in ({}, {"Authorization": f"Bearer {gateway.token()}"})
    ]
    assert answers == [401, 403]


def test_columns_may_be_renamed_cast_and_taken_from_json(alice: Client) -> None:
    query = alice.table("notes").select("name:title, stars::text, data->>kind, number:data->n")
    assert query.eq("title", "apple").execute().data == [{"name": "apple", "stars": "1", "kind": "fruit", "number": 1}]


def test_names_with_strange_letters_work(alice: Client, gateway: Stack) -> None:
    alice.table("letters").upsert({"id": 1, 'strange, "name"': "x", "100%": 5}).execute()
    query = alice.table("letters").select('"strange, \\"name\\""', '"100%"').eq('strange, "name"', "x").eq("100%", 5)
    assert query.execute().data == [{'strange, "name"': "x", "100%": 5}]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"column": "title"}, "abc"),
        ({"column": "title", "desc": True}, "cba"),
        ({"column": "stars", "nullsfirst": True}, "cab"),
        ({"column": "stars", "desc": True, "nullsfirst": False}, "bac"),
        ({"column": "data->>kind", "desc": True}, "cab"),
    ],
)
def test_order_holds(alice: Client, order: dict[str, Any], expected: str) -> None:
    rows = alice.table("notes").select("title").order(**order).order("id").execute().data
    assert [row["title"][0] for row in rows] == list(expected)


def test_limit_offset_and_range_cut(alice: Client) -> None:
    query = alice.table("notes").select("title").order("id")
    assert [row["title"] for row in query.range(1, 1).execute().data] == ["banana"]
    rows = alice.table("notes").select("title").order("id").limit(1).offset(2).execute().data
    assert rows[0]["title"].startswith("carrot")


def test_count_ignores_the_limit(alice: Client) -> None:
    assert alice.table("notes").select("id", count="exact").limit(1).execute().count == 3
    head = alice.table("notes").select("id", count="exact", head=True).gt("stars", 1).execute()
    assert (head.count, head.data) == (1, [])


def test_offset_beyond_the_end_is_not_satisfiable(alice: Client) -> None:
    with pytest.raises(APIError) as caught:
        alice.table("notes").select("id", count="exact").offset(10).execute()
    assert caught.value.code == "PGRST103"


def test_single_wants_exactly_one(alice: Client) -> None:
    assert alice.table("notes").select("title").eq("stars", 1).single().execute().data == {"title": "apple"}
    for stars in (0, 99):
        with pytest.raises(APIError) as caught:
            alice.table("notes").select("title").gt("stars", stars).single().execute()
        assert caught.value.code == "PGRST116"


def test_maybe_single_takes_none(alice: Client) -> None:
    assert alice.table("notes").select("title").eq("stars", 99).maybe_single().execute() is None


def test_nulls_may_be_left_out(alice: Client) -> None:
    rows = alice.table("notes").select("title,stars").like("title", "c%").strip_nulls().execute().data
    assert list(rows[0]) == ["title"]


def test_no_response_has_more_than_1000_rows(alice: Client, as_owner: Callable[..., Any]) -> None:
    as_owner("insert into tags select n, 'w' from generate_series(100, 1200) n")
    assert len(alice.table("tags").select("id").limit(5000).execute().data) == 1000
    assert len(alice.rpc("numbers", {"p_count": 5}).execute().data) == 5
    assert len(alice.rpc("pairs", {"p_count": 1500}).execute().data) == 1000
    as_owner("delete from tags where id >= 100")


EMBEDS: list[tuple[str, str, Any]] = [
    ("books", "title,authors!books_author_id_fkey(name)", {"title": "Ten", "authors": {"name": "Ann"}}),
    ("books", "author:author_id(name)", {"author": {"name": "Ann"}}),
    ("books", "editor:authors!editor_id(name)", {"editor": {"name": "Ben"}}),
    ("books", "covers(colour)", {"covers": {"colour": "red"}}),
    ("books", "tags(word)", {"tags": [{"word": "dry"}, {"word": "long"}]}),
    (
        "authors",
        "name,books!author_id(id,covers(colour))",
        {"name": "Ann", "books": [{"id": 10, "covers": {"colour": "red"}}, {"id": 11, "covers": None}]},
    ),
    (
        "covers",
        "*,books(*)",
        {"book_id": 10, "colour": "red", "books": {"id": 10, "title": "Ten", "author_id": 1, "editor_id": 2}},
    ),
    ("authors", "mentor:mentor_id(name)", {"mentor": None}),
]


@pytest.mark.parametrize(("table", "select", "first"), EMBEDS)
def test_related_rows_come_along(alice: Client, table: str, select: str, first: Any) -> None:
    order = "book_id" if table == "covers" else "id"
    rows = alice.table(table).select(select).order(order).execute().data
    assert rows[0] == first


def test_inner_embed_drops_rows_without_relatives(alice: Client) -> None:
    rows = alice.table("books").select("id,covers!inner(colour)").execute().data
    assert [row["id"] for row in rows] == [10]


def test_filters_orders_and_limits_reach_into_embeds(alice: Client) -> None:
    query = alice.table("authors").select("name,books!author_id(id)").eq("id", 1)
    query = query.order("id", desc=True, foreign_table="books").limit(1, foreign_table="books")
    assert query.execute().data == [{"name": "Ann", "books": [{"id": 11}]}]
    filtered = alice.table("authors").select("books!author_id(id)").eq("id", 1).gt("books.id", 10)
    assert filtered.execute().data == [{"books": [{"id": 11}]}]
    either = (
        alice.table("authors").select("id,books!author_id!inner(id)").or_("id.eq.12,title.eq.Ten", "books").order("id")
    )
    assert [row["id"] for row in either.execute().data] == [1, 2]


def test_rows_without_relatives_can_be_asked_for(alice: Client) -> None:
    rows = alice.table("books").select("id,covers()").is_("covers", None).order("id").execute().data
    assert [row["id"] for row in rows] == [11, 12]


def test_ambiguous_relation_asks_for_a_hint(alice: Client) -> None:
    with pytest.raises(APIError) as caught:
        alice.table("books").select("authors(name)").execute()
    assert caught.value.code == "PGRST201"
    assert "authors!books_editor_id_fkey" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("table", "parameters", "code"),
    [
        ("nowhere", {}, "PGRST205"),
        ("pg_authid", {}, "PGRST205"),
        ("notes", {"select": "nothing"}, "42703"),
        ("notes", {"nothing": "eq.1"}, "42703"),
        ("notes", {"select": "books(*)"}, "PGRST200"),
        ("notes", {"books.id": "eq.1"}, "PGRST108"),
        ("notes", {"title": "apple"}, "PGRST100"),
        ("notes", {"title": "like(any"}, "PGRST100"),
        ("notes", {"stars": "in.(1,2"}, "PGRST100"),
        ("notes", {"stars": "is.5"}, "PGRST100"),
        ("notes", {"stars": "in(any).(1)"}, "PGRST100"),
        ("notes", {"or": "(a.eq.1"}, "PGRST100"),
        ("notes", {"or": "(" * 3000}, "PGRST100"),
        ("notes", {"or": "(" + "and(" * 3000}, "PGRST100"),
        ("notes", {"select": "a(" * 3000}, "PGRST100"),
        ("notes", {"select": 'id,"'}, "PGRST100"),
        ("notes", {"select": "id)"}, "PGRST100"),
        ("notes", {"order": "id.sideways"}, "PGRST100"),
        ("notes", {"limit": "-1"}, "PGRST100"),
        ("notes", {"limit": "99999999999999999999"}, "PGRST100"),
        ("notes", {"offset": "x"}, "PGRST100"),
        ("notes", {"select": "stars.sum()"}, "PGRST123"),
        ("notes", {"select": "count()"}, "PGRST123"),
        ("notes", {"select": "stars::regclass"}, "42704"),
        ("notes", {"stars": "eq.x"}, "22P02"),
        ("notes", {"title": "eq.\0"}, "22021"),
        ("notes", {"ti\0tle": "eq.x"}, "42703"),
        ("notes", {"data->>\0": "eq.x"}, "22021"),
    ],
)
def test_bad_query_is_refused_with_its_code(gateway: Stack, table: str, parameters: dict[str, str], code: str) -> None:
    headers = {"apikey": gateway.publishable_key, "Authorization": f"Bearer {gateway.token(sub=ALICE)}"}
    answer = http.get(f"{gateway.url}/rest/v1/{table}", params=parameters, headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.json()["code"] == code


@pytest.mark.parametrize(
    "attack",
    ["x'); drop table notes; --", 'x"; drop table notes; --', "$1", "%s", "%(x)s", "\\", "'", '"', "*)--", "{", "}"],
)
def test_hostile_text_is_only_text(gateway: Stack, alice: Client, attack: str) -> None:
    headers = {"apikey": gateway.publishable_key, "Authorization": f"Bearer {gateway.token(sub=ALICE)}"}
    for parameters in (
        {"title": f"eq.{attack}"},
        {"title": f"in.({attack})"},
        {"select": attack},
        {"order": attack},
        {attack: "eq.1"},
        {"data->>" + attack: "eq.1"},
        {"select": f"alias{attack}:title"},
        {"select": f"title::{attack}"},
        {"title": f"fts({attack}).x"},
        {"or": f"(title.eq.{attack})"},
    ):
        status = http.get(f"{gateway.url}/rest/v1/notes", params=parameters, headers=headers).status_code
        assert status < 500, parameters
    alice.table("notes").insert({"title": attack}).execute()
    assert titles(alice.table("notes").select("title").eq("title", attack)) == [attack]
    assert len(alice.table("notes").delete().eq("title", attack).execute().data) == 1


def test_other_schema_is_not_acceptable(gateway: Stack, alice: Client) -> None:
    with pytest.raises(APIError) as caught:
        alice.schema("auth").table("users").select("*").execute()
    assert caught.value.code == "PGRST106"


def test_table_made_later_is_found(alice: Client, as_owner: Callable[..., Any]) -> None:
    as_owner("create table if not exists late (id int); grant select on late to authenticated")
    assert alice.table("late").select("*").execute().data == []


def test_get_cannot_write(gateway: Stack, alice: Client) -> None:
    with pytest.raises(APIError) as caught:
        alice.rpc("add_note", {"p_title": "by get"}, get=True).execute()
    assert caught.value.code == "25006"
