"""The example in docs/mcp.md is one that works."""

from __future__ import annotations

import re
from pathlib import Path

from action.build.mcpconfig import load_mcp_config

DOCUMENT = Path(__file__).parents[4] / "docs" / "mcp.md"


def test_example_of_the_documentation_is_accepted() -> None:
    [example] = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    config = load_mcp_config(example, {"AICD_MCP_NOTION": "secret-0123456789"})
    assert [(server.name, server.required) for server in config.servers] == [
        ("archon", False),
        ("notion", True),
        ("files", True),
    ]
    assert config.secrets() == ("Bearer secret-0123456789", "secret-0123456789")
