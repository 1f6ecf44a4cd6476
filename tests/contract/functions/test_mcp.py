"""The control plane for people's own agents: the official MCP client over HTTP, Postgres with our policies behind."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from werkzeug.serving import make_server

from controlplane.version import installed_version
from functions.mcp.tools import TOOLS
from local.administration import Administration
from local.gateway.keys import generate_signing_jwk, mint_jwt
from tests.contract.functions.conftest import REPO

MODES = ("auto", "legacy")


@dataclass
class Door:
    """The function as a server, and whom its line knows."""

    line: Any
    url: str
    spec_id: str
    run_id: str

    def key(self, **changes: Any) -> str:
        wanted = {"repo": REPO, "name": "agent", "scopes": ["specs:read"], **changes}
        with Administration(self.line.world.db_url) as operator:
            return str(operator.create_api_key(wanted)["key"])

    def member(self, role: str | None, /, jwk: Any = None, **claims: Any) -> str:
        user_id = str(uuid.uuid4())
        self.line.database.execute(
            "insert into auth.users (id, email, email_confirmed_at) values (%s, %s, now())", (user_id, f"{user_id}@x.y")
        )
        if role:
            self.line.database.execute(
                "insert into project_members (project_id, user_id, role)"
                " select id, %s, %s from projects where repo = %s",
                (user_id, role, REPO),
            )
        given = {"role": "authenticated", "sub": user_id, "aud": "authenticated", **claims}
        return mint_jwt(dict(jwk or self.line.world.jwk), given, 600)

    def speak(self, bearer: str, work: Callable[[Any], Awaitable[Any]], mode: str = "auto") -> Any:
        """A session of the official client."""
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        async def session() -> Any:
            async with create_mcp_http_client({"Authorization": f"Bearer {bearer}"}) as http:
                transport: Any = streamable_http_client(self.url, http_client=http)
                async with Client(transport, mode=mode, read_timeout_seconds=20) as client:
                    return await work(client)

        return asyncio.run(session())

    def call(self, bearer: str, tool: str, **arguments: Any) -> Any:
        async def work(client: Any) -> Any:
            return await client.call_tool(tool, arguments)

        return self.speak(bearer, work)

    def post(self, message: Any, bearer: str = "", **headers: str) -> httpx.Response:
        sent = {"Accept": "application/json, text/event-stream", **headers}
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        return httpx.post(self.url, json=message, headers=sent, trust_env=False, timeout=30)


@pytest.fixture
def door(line: Any) -> Iterator[Door]:
    import functions_framework

    line.database.execute("truncate private.request_times")
    made = line.ingest()
    line.function("mcp")
    source = Path(__file__).parents[3] / "functions" / "mcp" / "main.py"
    server = make_server("127.0.0.1", 0, functions_framework.create_app("main", str(source), "http"), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield Door(line, f"http://127.0.0.1:{server.server_port}/mcp", made["spec_id"], made["run_id"])
    server.shutdown()
    thread.join(5)
    server.server_close()


@pytest.mark.parametrize("mode", MODES)
def test_client_of_either_era_finds_the_tools_and_what_each_may_do(door: Door, mode: str) -> None:
    listed = door.speak(door.key(), lambda client: client.list_tools(), mode)
    reading = {"list_specs", "get_spec", "get_plan", "search_runs", "check_dod"}
    assert {tool.name for tool in listed.tools if tool.annotations.read_only_hint} == reading
    writing = {tool.name: tool.annotations for tool in listed.tools if tool.name not in reading}
    assert {name: hints.open_world_hint for name, hints in writing.items()} == {
        "report_progress": False, "record_decision": False, "ask_requester": True}  # fmt: skip
    assert not any(hints.destructive_hint or hints.idempotent_hint for hints in writing.values())


@pytest.mark.parametrize("who", ["key", "member"])
def test_agent_of_the_project_sees_specification_plan_and_runs(door: Door, who: str) -> None:
    bearer = door.key() if who == "key" else door.member("viewer")

    async def work(client: Any) -> list[Any]:
        calls = [("list_specs", {}), ("get_spec", {"spec_id": door.spec_id}), ("get_plan", {"spec_id": door.spec_id})]
        return [await client.call_tool(name, given) for name, given in [*calls, ("search_runs", {"repo": REPO})]]

    answers = door.speak(bearer, work)
    assert [answer.is_error for answer in answers] == [False] * 4
    specs, spec, plan, runs = (answer.structured_content for answer in answers)
    assert [one["id"] for one in specs["specs"]] == [door.spec_id] == [spec["id"]]
    assert plan["sprints"][0]["plan"]["stories"][0]["acceptance"][0]["id"] == "US1.1"
    assert [one["run_id"] for one in runs["runs"]] == [door.run_id]
    assert json.loads(answers[2].content[0].text) == plan


def test_runs_are_found_by_what_failed_in_them(door: Door) -> None:
    verdict = {"criteria": [{"id": "coverage_min", "status": "failed", "reason": "Only 40 % of the tax code."}]}
    door.line.database.execute(
        "update runs set result = 'FAILED', finished_at = now(), summary_json = %s", (json.dumps({"verdict": verdict}),)
    )
    bearer = door.key()
    [run] = door.call(bearer, "search_runs", query="TAX coverage").structured_content["runs"]
    assert run["failing"] == [{"id": "coverage_min", "status": "failed", "reason": "Only 40 % of the tax code."}]
    assert door.call(bearer, "search_runs", query="gold").structured_content["runs"] == []
    assert door.call(bearer, "search_runs", result="PASSED").structured_content["runs"] == []


def test_stranger_sees_nothing_and_cannot_tell_what_is_there(door: Door) -> None:
    stranger = door.member(None)
    assert door.call(stranger, "list_specs").structured_content == {"specs": []}
    assert door.call(stranger, "search_runs").structured_content == {"runs": []}
    there, nowhere = (door.call(stranger, "get_plan", spec_id=spec_id) for spec_id in (door.spec_id, str(uuid.uuid4())))
    assert there.is_error
    assert there.content[0].text == nowhere.content[0].text


def test_key_of_another_project_sees_nothing(door: Door) -> None:
    with Administration(door.line.world.db_url) as operator:
        operator.create_project({"repo": "acme/other", "default_branch": "main"})
    other = door.key(repo="acme/other")
    assert door.call(other, "list_specs").structured_content == {"specs": []}
    assert door.call(other, "get_spec", spec_id=door.spec_id).is_error


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def test_server_says_which_release_it_is(door: Door) -> None:
    told = door.post(INITIALIZE, door.key()).json()["result"]["serverInfo"]
    assert told == {"name": "aicd", "version": installed_version()}


def test_documentation_names_the_arguments_of_every_tool() -> None:
    text = (Path(__file__).parents[3] / "docs" / "mcp.md").read_text().partition("## 3.")[2]
    rows = {name: row for name in TOOLS for row in text.splitlines() if row.startswith(f"| `{name}` |")}
    for name, tool in TOOLS.items():
        fields = [f"`{key}`" if field.is_required() else f"`{key}?`"
                  for key, field in tool.arguments.model_fields.items()]  # fmt: skip
        assert [field for field in fields if field not in rows[name]] == [], name


def test_nobody_without_a_token_comes_as_far_as_the_protocol(door: Door) -> None:
    bad = {
        "none": "",
        "made up": "aicd_00000000_" + "0" * 64,
        "no token": "x",
        "foreign signature": door.member("maintainer", jwk=generate_signing_jwk()),
        "functions' own role": door.member("maintainer", role="aicd_functions"),
        "anonymous": door.member("maintainer", role="anon"),
    }
    for name, bearer in bad.items():
        answer = door.post(INITIALIZE, bearer)
        assert (name, answer.status_code) == (name, 401)
        assert answer.json()["errors"][0]["code"]
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_key_that_was_made_for_writing_only_is_refused(door: Door) -> None:
    assert door.post(INITIALIZE, door.key(scopes=["specs:write"])).status_code == 403


def test_revoked_key_ends_at_once(door: Door) -> None:
    key = door.key()
    assert door.post(INITIALIZE, key).status_code == 200
    door.line.database.execute("update public.api_keys set revoked_at = now()")
    assert door.post(INITIALIZE, key).status_code == 401


def test_member_who_is_taken_out_sees_nothing_from_then_on(door: Door) -> None:
    member = door.member("viewer")
    assert len(door.call(member, "list_specs").structured_content["specs"]) == 1
    door.line.database.execute("delete from project_members")
    assert door.call(member, "list_specs").structured_content == {"specs": []}


def test_hundred_and_first_request_of_a_minute_is_told_to_wait(door: Door) -> None:
    key = door.key()
    answers = [door.post(INITIALIZE, key) for _ in range(3)]
    assert [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers] == [99, 98, 97]
    door.line.database.execute(
        "update private.request_times set times = array(select now() from generate_series(1, 100))"
    )
    refused = door.post(INITIALIZE, key)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1


def test_argument_that_is_none_is_a_tool_error_with_its_name(door: Door) -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("get_spec", {}, "spec_id"),
        ("get_spec", {"spec_id": "1; drop table specs"}, "spec_id"),
        ("get_spec", {"spec_id": str(uuid.UUID(int=1)), "as": "root"}, "as"),
        ("search_runs", {"limit": 10_000}, "limit"),
        ("search_runs", {"query": "x" * 300}, "query"),
        ("drop_tables", {}, "no tool"),
    ]

    async def work(client: Any) -> list[Any]:
        return [await client.call_tool(tool, arguments) for tool, arguments, _ in wrong]

    for answer, (_, _, says) in zip(door.speak(door.key(), work), wrong, strict=True):
        assert answer.is_error
        assert says in answer.content[0].text


def test_nonsense_is_refused_and_never_a_crash(door: Door) -> None:
    headers = {"Authorization": f"Bearer {door.key()}", "Content-Type": "application/json"}
    headers["Accept"] = "application/json, text/event-stream"
    bodies = [b"", b"{", b"[]", b"null", b'{"jsonrpc":"2.0"}', b"[" * 10_000, b"\xff", b"x" * 300_000]
    for body in bodies:
        answer = httpx.post(door.url, content=body, headers=headers, trust_env=False, timeout=30)
        assert 400 <= answer.status_code < 500, body[:20]


def test_other_methods_are_not_served(door: Door) -> None:
    for method in ("GET", "DELETE", "PUT"):
        answer = httpx.request(method, door.url, headers={"Authorization": f"Bearer {door.key()}"}, trust_env=False)
        assert answer.status_code == 405


def test_query_is_never_read_as_a_pattern_or_as_sql(door: Door) -> None:
    for query in ("'; drop table specs; --", "%", "(((", "\\", "\x00"):
        assert not door.call(door.key(), "search_runs", query=query).is_error
