"""The probe against servers that live, lie, hang, shout and die; each costs its own time and no more."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from action.build.mcpconfig import check_required, load_mcp_config, probe
from action.build.mcpconfig.states import ServerState
from controlplane.errors import OutsideError

REAL = """
    from mcp.server import MCPServer
    import os
    server = MCPServer("real")

    @server.tool()
    def seen() -> list[str]:
        return sorted(os.environ)

    server.run("stdio")
"""
SHOUTS = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
TALKS_ENGLISH = "print('Server is ready', flush=True); import time; time.sleep(60)"
FORKS = """
    import os, sys, time
    child = os.fork()
    if child == 0:
        time.sleep(60)
    open(sys.argv[1], "w").write(str(child))
    print("what it started sleeps on", flush=True)
    time.sleep(60)
"""


def program(code: str, *arguments: str, **entry: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-c", textwrap.dedent(code), *arguments], **entry}


def ask(**servers: dict[str, Any]) -> tuple[ServerState, ...]:
    return probe(load_mcp_config(json.dumps({"mcpServers": servers})))


def test_real_program_is_found_with_its_tools_and_one_that_it_lacks_is_named() -> None:
    good, bad = ask(good=program(REAL, tools=["seen"]), bad=program(REAL, tools=["seen", "felt"]))
    assert (good.status, good.tools, good.is_up) == ("connected", ("seen",), True)
    assert (bad.status, bad.reason) == ("failed", "has no tool felt")


def test_dead_programs_are_told_apart_within_their_time() -> None:
    began = time.monotonic()
    states = ask(
        missing={"command": "no-such-program-anywhere", "args": ["x"]},
        ends=program("import sys; sys.exit(3)"),
        hangs=program("import time; time.sleep(60)", timeout_seconds=1),
        shouts=program(SHOUTS),
        english=program(TALKS_ENGLISH, timeout_seconds=20),
        folder={"command": "/", "args": []},
    )
    reasons = {state.name: state.reason for state in states}
    assert not any(state.is_up for state in states)
    assert "not installed" in reasons["missing"]
    assert "ended" in reasons["ends"]
    assert "within 1 seconds" in reasons["hangs"]
    assert "bytes" in reasons["shouts"]
    assert "something else than MCP" in reasons["english"]
    assert time.monotonic() - began < 15


def test_program_is_ended_with_all_it_started(tmp_path: Path) -> None:
    ask(forks=program(FORKS, str(tmp_path / "pid"), timeout_seconds=60))
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the grandchild lives on"
        time.sleep(0.05)


def test_program_sees_its_own_variables_and_no_token_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AICD_GITHUB_TOKEN", "ghs_canary")
    seen = tmp_path / "seen"
    code = f"import json, os; open({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))"
    ask(spy=program(code, env={"MINE": "1"}))
    found = json.loads(seen.read_text())
    assert found["MINE"] == "1"
    assert "AICD_GITHUB_TOKEN" not in found
    proxies = {name for name in os.environ if name.lower().endswith("_proxy")}
    known = {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "MINE"}
    assert set(found) <= known | proxies


class Address(http.server.BaseHTTPRequestHandler):
    """Answers by its path."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/slow":
            time.sleep(3)
        body = b"[1]" if self.path == "/list" else b"<html>" * 10
        status = {"/closed": 401, "/moved": 302, "/gone": 404}.get(self.path, 200)
        self.send_response(status)
        if self.path == "/moved":
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"event: endpoint\ndata: /messages\n\n" if self.path == "/sse" else b": hello\n\n")

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Address)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/html", "failed", "no JSON"),
        ("/list", "failed", "no JSON-RPC"),
        ("/closed", "refused", "credentials"),
        ("/moved", "failed", "HTTP 302"),
        ("/gone", "failed", "HTTP 404"),
        ("/slow", "timed-out", "within 1 seconds"),
    ],
)
def test_address_that_serves_no_mcp_is_told_apart(address: str, path: str, status: str, reason: str) -> None:
    (state,) = ask(one={"url": address + path, "timeout_seconds": 1})
    assert (state.status, reason in state.reason) == (status, True)


def test_old_transport_is_asked_for_its_endpoint(address: str) -> None:
    states = ask(old={"type": "sse", "url": f"{address}/sse"}, none={"type": "sse", "url": f"{address}/other"})
    assert [state.status for state in states] == ["connected", "failed"]


def test_closed_port_is_told_at_once() -> None:
    (state,) = ask(one={"url": "http://127.0.0.1:1/mcp"})
    assert (state.status, state.reason) == ("failed", "cannot be reached")


def test_states_hold_no_secret(address: str) -> None:
    entry = {"url": f"{address}/closed", "headers": {"Authorization": "Bearer ${KEY}"}}
    config = load_mcp_config(json.dumps({"mcpServers": {"one": entry}}), {"KEY": "sk-canary-0123456789"})
    assert "canary" not in repr(probe(config)) + repr(config)


def test_required_server_that_is_down_ends_the_run_and_an_optional_one_does_not() -> None:
    optional = ask(one={"url": "http://127.0.0.1:1/mcp", "required": False})
    check_required(optional)
    with pytest.raises(OutsideError, match=r"'two' cannot be reached") as caught:
        check_required((*optional, *ask(two={"url": "http://127.0.0.1:1/mcp"})))
    assert (caught.value.code, caught.value.exit_code) == ("mcp-server-down", 4)


def test_no_process_is_left_behind() -> None:
    listed = subprocess.run(["ps", "-e", "-o", "ppid=,args="], capture_output=True, text=True, check=True).stdout
    mine = [line for line in listed.splitlines() if line.split()[0] == str(os.getpid()) and "time.sleep(60)" in line]
    assert mine == []
