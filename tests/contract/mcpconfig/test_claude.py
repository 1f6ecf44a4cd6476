"""The real Claude Code with what we write for it: our server, a fresh Archon after its preflight, and a dead one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from action.build.agents.claude.executable import find_claude
from action.build.mcpconfig import allowed_tools, load_mcp_config, render_cli_config, states_after
from action.toolserver.desk import Answer
from action.toolserver.entry import mcp_entry
from action.toolserver.host import ToolHost
from tests.contract.mcpconfig.conftest import Probe

ROOT = Path(__file__).parents[3]
STEPS = {
    "steps": [
        {
            "say": "I look.",
            "call": [{"name": "mcp__aicd-controlplane__get_plan"}, {"name": "mcp__archon__session_info"}],
        },
        {"say": "Done."},
    ]
}


class Desk:
    """Only what this test asks for."""

    def get_plan(self) -> Answer:
        return {"sprint": "S1"}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def test_claude_connects_to_every_server_that_the_probe_found_alive(
    fragile_archon: str, tmp_path: Path, probed: Probe
) -> None:
    servers = {
        "archon": {"type": "http", "url": f"{fragile_archon}/mcp", "timeout_seconds": 10},
        "notes": {"type": "http", "url": "http://127.0.0.1:9/mcp", "required": False},
    }
    config = load_mcp_config(json.dumps({"mcpServers": servers}))
    states = probed(config)
    (tmp_path / "steps.json").write_text(json.dumps(STEPS))
    command = [sys.executable, "-m", "local.doubles.anthropic", "--scenario", str(tmp_path / "steps.json")]
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as double,
        ToolHost(Desk()) as host,  # type: ignore[arg-type]  # the other tools are not asked for
    ):
        assert double.stdout is not None
        url = json.loads(double.stdout.readline())["ready"]["url"]
        (tmp_path / "mcp.json").write_text(render_cli_config(config, mcp_entry(host), states))
        lines = run_claude(tmp_path, url, allowed_tools(config))
        calls = [call.tool for call in host.calls]
        double.terminate()
    opening = next(line for line in lines if line.get("subtype") == "init")
    after = {state.name: state.status for state in states_after(config, states, opening["mcp_servers"])}
    assert after == {"archon": "connected", "notes": "failed", "aicd-controlplane": "connected"}
    assert calls == ["get_plan"]
    results = [str(line) for line in lines if line.get("type") == "user"]
    assert any("active_sessions" in result for result in results)
    assert lines[-1]["permission_denials"] == []


def run_claude(folder: Path, url: str, allowed: tuple[str, ...]) -> list[dict[str, Any]]:
    """The lines that it prints, as JSON."""
    program = find_claude().path
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-dummy",
        "CLAUDE_CONFIG_DIR": str(folder / "claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ENABLE_TOOL_SEARCH": "false",
    }
    options = ["--output-format", "stream-json", "--verbose", "--strict-mcp-config", "--setting-sources", ""]
    options += ["--mcp-config", str(folder / "mcp.json"), "--max-turns", "5", "--allowedTools", *allowed]
    done = subprocess.run(
        [str(program), "-p", "Look.", *options],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
