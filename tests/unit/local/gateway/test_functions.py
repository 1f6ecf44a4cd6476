"""Functions called through /rest/v1/rpc."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from postgrest import APIError

from supabase import Client

from .conftest import ALICE, Stack, http

pytestmark = pytest.mark.usefixtures("empty")


@pytest.mark.parametrize("get", [False, True])
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("add", {"a": 1, "b": 5}, 6),
        ("add", {"a": 1}, 11),
        ("echo", {"p_data": {"k": [1, {"x": None}]}}, {"k": [1, {"x": None}]}),
        ("numbers", {"p_count": 3}, [1, 2, 3]),
        ("numbers", {"p_count": 0}, []),
        ("pairs", {"p_count": 2}, [{"n": 1, "square": 1}, {"n": 2, "square": 4}]),
        ("nothing", {}, []),
    ],
)
def test_result_comes_back_as_it_is(
    alice: Client, name: str, arguments: dict[str, Any], expected: Any, get: bool
) -> None:
    assert alice.rpc(name, arguments, get=get).execute().data == expected


def test_null_argument_and_null_result(alice: Client) -> None:
    assert alice.rpc("echo", {"p_data": None}).execute().data is None


def test_variadic_arguments(alice: Client) -> None:
    assert alice.rpc("sum_of", {"p_values": [1, 2, 3]}).execute().data == 6
    assert alice.rpc("sum_of", {"p_values": [1, 2, 3]}, get=True).execute().data == 6


def test_function_of_one_unnamed_json_takes_the_whole_body(alice: Client) -> None:
    assert alice.rpc("whole_body", {"a": 1, "b": 2}).execute().data == 2


def test_row_result_is_one_object(alice: Client) -> None:
    row = alice.rpc("add_note", {"p_title": "made"}).execute().data
    assert (row["title"], row["owner"]) == ("made", ALICE)


def test_rows_can_be_filtered_ordered_counted_and_joined(alice: Client, as_owner: Callable[..., Any]) -> None:
    as_owner(
        "insert into authors values (1, 'Ann', null); insert into books values (1, 'A', 1, null), (2, 'B', 1, null)"
    )
    query = alice.rpc("all_books").select("title,author:author_id(name)").eq("id", 2)
    assert query.execute().data == [{"title": "B", "author": {"name": "Ann"}}]
    rows = alice.rpc("all_books", count="exact").order("id", desc=True).limit(1).execute()
    assert ([row["id"] for row in rows.data], rows.count) == ([2], 2)
    assert alice.rpc("all_books").select("id").eq("id", 1).single().execute().data == {"id": 1}


def test_counted_function_runs_once(alice: Client, as_owner: Callable[..., Any]) -> None:
    alice.rpc("add_note", {"p_title": "once"}, count="exact").execute()
    assert as_owner("select count(*) from notes") == [(1,)]


def test_head_only_counts(alice: Client) -> None:
    result = alice.rpc("pairs", {"p_count": 7}, head=True, count="exact").execute()
    assert (result.count, result.data) == (7, [])


def test_promise_not_to_write_is_kept_for_the_function(alice: Client, as_owner: Callable[..., Any]) -> None:
    with pytest.raises(APIError) as caught:
        alice.rpc("sneaky_write").execute()
    assert caught.value.code in ("25006", "0A000")
    assert as_owner("select count(*) from notes") == [(0,)]


def test_setting_of_the_function_holds(alice: Client) -> None:
    assert alice.rpc("hoisted").execute().data == "4321ms"


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("no_such", {}, "PGRST202"),
        ("add", {}, "PGRST202"),
        ("add", {"a": 1, "zzz": 2}, "PGRST202"),
        ("twin", {"a": 1}, "PGRST203"),
        ("pg_sleep", {"seconds": 1}, "PGRST202"),
        ("add", {"a": "x"}, "22P02"),
    ],
)
def test_call_that_fits_nothing_is_refused(alice: Client, name: str, arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(APIError) as caught:
        alice.rpc(name, arguments).execute()
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("sqlstate", "status"),
    [("P0001", 400), ("PT404", 404), ("PT409", 409), ("40001", 500), ("23505", 409), ("42501", 403), ("53300", 503)],
)
def test_raised_error_has_the_status_of_its_code(gateway: Stack, sqlstate: str, status: int) -> None:
    headers = {"apikey": gateway.publishable_key, "Authorization": f"Bearer {gateway.token(sub=ALICE)}"}
    answer = http.post(f"{gateway.url}/rest/v1/rpc/fail", json={"p_code": sqlstate}, headers=headers)
    assert answer.status_code == status
    assert answer.json() == {
        "code": sqlstate,
        "message": "spec-not-found",
        "details": "There is no such spec.",
        "hint": "Look again.",
    }


def test_error_of_ones_own_making(gateway: Stack) -> None:
    headers = {"apikey": gateway.publishable_key}
    answer = http.post(f"{gateway.url}/rest/v1/rpc/fail_custom", json={}, headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json() == {"code": "too-many", "message": "Slow down", "details": None, "hint": None}


def test_other_methods_are_not_allowed(gateway: Stack) -> None:
    answer = http.delete(f"{gateway.url}/rest/v1/rpc/nothing", headers={"apikey": gateway.publishable_key})
    assert (answer.status_code, answer.json()["code"]) == (405, "PGRST101")
