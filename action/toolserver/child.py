"""The stdio MCP server that the agent's program starts: `python -I child.py`.

It knows nothing but where our process listens and a token that is worth nothing elsewhere and dies with the run. It
imports nothing of ours, so that it may be copied to where the agent's user can read it.

| variable | holds |
|---|---|
| `AICD_TOOLS_URL` | `http://127.0.0.1:PORT` |
| `AICD_TOOLS_TOKEN` | the throw-away token |
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

SERVER_NAME = "aicd-controlplane"
LIST_SECONDS = 15.0
SPARE_SECONDS = 30.0


class Host:
    """Our process, spoken to without any proxy. Each call is a connection of its own."""

    def __init__(self, address: str, token: str) -> None:
        self._where = urlsplit(address)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._seconds: dict[str, float] = {}

    def list_tools(self) -> list[dict[str, Any]]:
        tools: list[dict[str, Any]] = self._ask("GET", "/tools", None, LIST_SECONDS)
        self._seconds = {tool["name"]: float(tool.pop("seconds")) for tool in tools}
        return tools

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """An answer in any case: that our process is gone is one, too."""
        seconds = self._seconds.get(name, LIST_SECONDS) + SPARE_SECONDS
        try:
            answer = self._ask("POST", "/call", {"tool": name, "arguments": arguments}, seconds)
        except (OSError, http.client.HTTPException, ValueError):
            return {"is_error": True, "text": f"{name} did not answer. Go on without it.", "data": None}
        return dict(answer)

    def _ask(self, method: str, path: str, body: Any, seconds: float) -> Any:
        connection = http.client.HTTPConnection(self._where.hostname or "", self._where.port, timeout=seconds)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self._headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


async def serve(host: Host) -> None:
    """Speak MCP on stdin and stdout until stdin ends."""
    import anyio.to_thread
    from mcp import types
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        tools = await anyio.to_thread.run_sync(host.list_tools)
        return types.ListToolsResult(tools=[types.Tool.model_validate(tool) for tool in tools])

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        answer = await anyio.to_thread.run_sync(host.call, params.name, params.arguments or {}, abandon_on_cancel=True)
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=answer["text"])],
            structured_content=answer["data"],
            is_error=answer["is_error"],
        )

    server: Server[Any] = Server(SERVER_NAME, on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())


def main() -> None:
    """Wiring; the process ends with stdin, also while a call is still waited for."""
    import asyncio

    where, token = os.environ.get("AICD_TOOLS_URL", ""), os.environ.get("AICD_TOOLS_TOKEN", "")
    if not where or not token:
        sys.exit("AICD_TOOLS_URL and AICD_TOOLS_TOKEN are set by the run that starts this server.")
    asyncio.run(serve(Host(where, token)))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
