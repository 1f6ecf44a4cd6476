"""The stdio server as an MCP client sees it: the real mcp library on both ends, our process behind."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from action.toolserver import host as host_module
from action.toolserver.desk import Answer, Decision, Question
from action.toolserver.entry import CHILD, mcp_entry
from action.toolserver.host import ToolHost
from action.toolserver.tools import SERVER_NAME, TOOLS
from controlplane.errors import Conflict

CANARY = "sk-ant-canary-0123456789abcdef"


class Desk:
    """Answers from memory, and holds a secret that no answer may carry."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.decided: list[Decision] = []

    def get_spec(self) -> Answer:
        return {"title": "Prices", "leak": CANARY}

    def get_plan(self) -> Answer:
        return {"sprint": "S1", "big": "x" * 100_000}

    def report_progress(self, message: str, percent: int | None) -> Answer:
        return {"message": message, "percent": percent}

    def ask_requester(self, questions: Sequence[Question]) -> Answer:
        self.asked += questions
        return {"noted": len(questions)}

    def check_dod(self) -> Answer:
        time.sleep(0.3)
        return {"result": "FAILED"}

    def search_runs(self, query: str, limit: int) -> Answer:
        raise RuntimeError(f"a bug that names {CANARY}")

    def record_decision(self, decision: Decision) -> Answer:
        raise Conflict("Not now.", "Later.")


@pytest.fixture
def host() -> Iterator[ToolHost]:
    with ToolHost(Desk(), redact=lambda text: text.replace(CANARY, "***")) as started:
        yield started


def speak(host: ToolHost, work: Callable[[Any], Awaitable[Any]], **entry_options: Any) -> Any:
    """Let the real client start the server from the entry that the agent's program would get."""
    from mcp import Client, StdioServerParameters

    entry = mcp_entry(host, **entry_options)
    parameters = StdioServerParameters(command=entry["command"], args=entry["args"], env=entry["env"])

    async def session() -> Any:
        async with Client(parameters, read_timeout_seconds=20) as client:
            return await work(client)

    return asyncio.run(session())


def test_client_sees_every_tool_with_its_arguments(host: ToolHost) -> None:
    listed = speak(host, lambda client: client.list_tools())
    assert {tool.name for tool in listed.tools} == set(TOOLS)
    schemas = {tool.name: tool.input_schema for tool in listed.tools}
    assert schemas["ask_requester"]["required"] == ["questions"]
    assert schemas["check_dod"]["additionalProperties"] is False


def test_client_calls_and_gets_answers_refusals_and_faults_apart(host: ToolHost, tmp_path: Path) -> None:
    async def work(client: Any) -> dict[str, Any]:
        return {
            "spec": await client.call_tool("get_spec", {}),
            "ask": await client.call_tool("ask_requester", {"questions": [{"text": "Which tax rate?"}]}),
            "check": await client.call_tool("check_dod", {}),
            "wrong": await client.call_tool("report_progress", {"message": "x", "shell": "rm"}),
            "bug": await client.call_tool("search_runs", {}),
            "refused": await client.call_tool("record_decision", {"title": "a", "reason": "b"}),
            "large": await client.call_tool("get_plan", {}),
            "unknown": await client.call_tool("run_shell", {"command": "id"}),
        }

    found = speak(host, work, folder=tmp_path)
    said = {name: answer.content[0].text for name, answer in found.items()}
    assert [name for name, answer in found.items() if answer.is_error] == [
        "wrong",
        "bug",
        "refused",
        "large",
        "unknown",
    ]
    assert found["spec"].structured_content == {"title": "Prices", "leak": "***"}
    assert CANARY not in json.dumps(said)
    assert "shell" in said["wrong"]
    assert said["refused"] == "Not now. Fix: Later."
    assert "100,0" in said["large"]
    assert isinstance(host.desk, Desk)
    assert host.desk.asked == [Question(text="Which tax rate?")]
    assert [call.tool for call in host.calls][:3] == ["get_spec", "ask_requester", "check_dod"]


def test_server_holds_nothing_but_where_we_listen_and_a_token_of_its_own(host: ToolHost) -> None:
    entry = mcp_entry(host)
    assert set(entry["env"]) == {"AICD_TOOLS_URL", "AICD_TOOLS_TOKEN"}
    assert entry["args"] == ["-I", str(CHILD)]
    imported = [line for line in CHILD.read_text().splitlines() if line.startswith(("from ", "import "))]
    assert not [line for line in imported if line.split()[1].split(".")[0] in ("action", "controlplane")]
    assert ToolHost(Desk()).token != host.token
    assert host.token not in repr(host)


def test_server_ends_with_its_input(host: ToolHost) -> None:
    entry = mcp_entry(host)
    child = subprocess.Popen([entry["command"], *entry["args"]], env=entry["env"], stdin=subprocess.PIPE)
    child.communicate(b"", timeout=20)
    assert child.returncode == 0


def test_server_started_by_hand_says_what_is_missing() -> None:
    done = subprocess.run([sys.executable, "-I", str(CHILD)], capture_output=True, text=True, env={}, timeout=20)
    assert (done.returncode, "AICD_TOOLS_URL" in done.stderr) == (1, True)


def ask(host: ToolHost, path: str, body: bytes, headers: dict[str, str], method: str = "POST") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(host.address.rsplit(":", 1)[1]), timeout=5)
    connection.request(method, path, body, headers)
    return connection.getresponse().status


@pytest.mark.parametrize(
    ("path", "body", "token", "status"),
    [
        ("/call", b'{"tool":"get_spec"}', "right", 200),
        ("/call", b'{"tool":"get_spec"}', "", 401),
        ("/call", b'{"tool":"get_spec"}', "wrong", 401),
        ("/call", b'{"tool":"get_spec"}', "wr\xf6ng", 401),
        ("/other", b"{}", "right", 404),
        ("/call", b"[]", "right", 400),
        ("/call", b"{" * 5_000, "right", 400),
        ("/call", b"[" * 60_000, "right", 400),
        ("/call", b'{"tool":1}', "right", 400),
        ("/call", b'{"tool":"get_spec","arguments":[1]}', "right", 400),
        ("/call", b" " * 65_537, "right", 413),
    ],
)
def test_door_answers_nobody_without_the_token_and_no_nonsense(
    host: ToolHost, path: str, body: bytes, token: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {host.token if token == 'right' else token}"} if token else {}
    assert ask(host, path, body, headers) == status


def test_tool_is_refused_past_its_number_of_calls(host: ToolHost) -> None:
    answers = [host.call("ask_requester", {"questions": [{"text": "Which tax rate?"}]}) for _ in range(5)]
    assert [answer["is_error"] for answer in answers] == [False, False, False, True, True]


def test_flood_of_connections_leaves_the_door_open_afterwards(host: ToolHost) -> None:
    port = int(host.address.rsplit(":", 1)[1])
    before = threading.active_count()
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    time.sleep(0.2)
    assert threading.active_count() - before <= host_module.MOST_AT_ONCE
    for connection in held:
        connection.close()
    deadline = time.monotonic() + 5
    while True:
        try:
            assert ask(host, "/tools", b"", {"Authorization": f"Bearer {host.token}"}, "GET") == 200
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_server_name_is_one_in_both_files() -> None:
    """The child imports nothing of ours, so its name is written twice."""
    assert f'SERVER_NAME = "{SERVER_NAME}"' in CHILD.read_text()
