"""The Archon double has Archon V1's tools, and its bug; our probe is the preflight that the bug needs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from action.build.mcpconfig import load_mcp_config
from tests.contract.mcpconfig.conftest import Probe

PUBLISHED = json.loads(Path(__file__).with_name("data").joinpath("archon_tools.json").read_text())


def config(url: str, **entry: Any) -> Any:
    document = {"mcpServers": {"archon": {"type": "http", "url": f"{url}/mcp", "timeout_seconds": 5, **entry}}}
    return load_mcp_config(json.dumps(document))


def connect(url: str, work: Any, seconds: float = 10) -> Any:
    from mcp import Client

    async def session() -> Any:
        async with Client(f"{url}/mcp") as client:
            return await work(client)

    return asyncio.run(asyncio.wait_for(session(), seconds))


def test_double_offers_exactly_the_tools_of_the_real_archon(archon: str) -> None:
    listed = connect(archon, lambda client: client.list_tools()).tools
    mine = {tool.name: (tool.input_schema, tool.output_schema) for tool in listed}
    assert mine == {tool["name"]: (tool["inputSchema"], tool["outputSchema"]) for tool in PUBLISHED}
    assert len(mine) == 16


def test_double_keeps_a_task_and_fails_as_archon_does(archon: str) -> None:
    async def work(client: Any) -> list[dict[str, Any]]:
        async def call(name: str, **arguments: Any) -> dict[str, Any]:
            answer = await client.call_tool(name, arguments)
            assert not answer.is_error
            return dict(json.loads(answer.content[0].text))

        project = await call("manage_project", action="create", title="Shop")
        task = await call("manage_task", action="create", project_id=project["project_id"], title="Sum")
        return [
            await call("manage_task", action="update", task_id=task["task_id"], status="done"),
            await call("find_tasks", filter_by="status", filter_value="done"),
            await call("find_tasks", task_id="none"),
            await call("manage_task", action="explode"),
            await call("manage_task", action="update", task_id=task["task_id"], status="dreaming"),
        ]

    updated, found, missing, unknown, wrong = connect(archon, work)
    assert updated["task"]["status"] == "done"
    assert [task["title"] for task in found["tasks"]] == ["Sum"]
    kinds = [answer["error"]["type"] for answer in (missing, unknown, wrong)]
    assert kinds == ["not_found", "invalid_action", "validation_error"]


def test_probe_finds_archon_with_its_tools_and_its_health(archon: str, probed: Probe) -> None:
    (state,) = probed(config(archon, health_url=f"{archon}/api/health"))
    assert (state.status, len(state.tools)) == ("connected", 16)
    assert state.version.startswith("archon-mcp-server")


def test_fresh_archon_hangs_for_good_on_todays_client(fragile_archon: str, probed: Probe) -> None:
    """The bug itself; without it the next test would prove nothing."""
    hung = False
    try:
        connect(fragile_archon, lambda client: client.list_tools(), seconds=1.5)
    except TimeoutError:
        hung = True
    assert hung
    try:
        httpx.get(f"{fragile_archon}/health", timeout=0.5, trust_env=False)
        alive = True
    except httpx.TimeoutException:
        alive = False
    assert not alive
    (state,) = probed(config(fragile_archon, timeout_seconds=0.5))
    assert state.status == "timed-out"
    assert "SIGKILL" in state.fix or "Start it" in state.fix


def test_fresh_archon_serves_todays_client_after_our_probe(fragile_archon: str, probed: Probe) -> None:
    (state,) = probed(config(fragile_archon))
    assert state.is_up
    assert len(connect(fragile_archon, lambda client: client.list_tools()).tools) == 16
