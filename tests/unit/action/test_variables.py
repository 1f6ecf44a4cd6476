"""What is handed on: from the environment or from lines, by the right names, and never shown."""

from __future__ import annotations

import pytest

from action.settings import Settings, read_settings
from controlplane.errors import UsageError


def shown(settings: Settings) -> dict[str, dict[str, str]]:
    return {
        kind: {name: value.get_secret_value() for name, value in given.items()}
        for kind, given in (("mcp", settings.mcp_variables), ("agent", settings.agent_variables))
    }


def test_environment_is_handed_on_by_its_prefix_and_inputs_are_not() -> None:
    given = {
        "AICD_MCP_NOTION": "n",
        "AICD_MCP_CONFIG": '{"mcpServers": {}}',
        "AICD_MCP_VARIABLES": "AICD_MCP_LINEAR=l",
        "AICD_AGENT_OPENAI_API_KEY": "o",
        "AICD_AGENT_COMMAND": "codex",
        "AICD_AGENT_EMPTY": "",
        "AICD_AGENT": "command",
        "OTHER": "x",
    }
    assert shown(read_settings(given)) == {
        "mcp": {"AICD_MCP_NOTION": "n", "AICD_MCP_LINEAR": "l"},
        "agent": {"OPENAI_API_KEY": "o"},
    }


def test_lines_win_over_the_environment_and_keep_what_is_behind_the_first_sign() -> None:
    lines = "# for codex\n\nOPENAI_API_KEY=a=b==\r\n  GEMINI_API_KEY=g \n"
    given = {"AICD_AGENT_VARIABLES": lines, "AICD_AGENT_OPENAI_API_KEY": "old", "AICD_AGENT_MORE": "m"}
    assert shown(read_settings(given))["agent"] == {"OPENAI_API_KEY": "a=b==", "GEMINI_API_KEY": "g", "MORE": "m"}


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("AICD_MCP_VARIABLES", "AICD_MCP_A=1\ncanary", "'mcp-variables', line 2: not of the form NAME=value"),
        ("AICD_MCP_VARIABLES", "AICD_MCP_A=", "line 1"),
        ("AICD_MCP_VARIABLES", "NOTION=canary", "NOTION does not begin with AICD_MCP_"),
        ("AICD_MCP_VARIABLES", "AICD_MCP_=canary", "does not begin with AICD_MCP_"),
        ("AICD_AGENT_VARIABLES", "A B=canary", "'agent-variables', line 1"),
        ("AICD_AGENT_VARIABLES", "=canary", "line 1"),
        ("AICD_AGENT_VARIABLES", "AICD_TASK_FILE=canary", "ours to set"),
        ("AICD_AGENT_AICD_USAGE_FILE", "canary", "ours to set"),
        ("AICD_AGENT_9", "canary", "no variable's name"),
    ],
)
def test_what_cannot_be_handed_on_is_told_without_its_value(variable: str, value: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings({variable: value})
    assert told in str(caught.value)
    assert "canary" not in str(caught.value)


def test_each_value_is_a_secret_by_itself() -> None:
    settings = read_settings({"AICD_MCP_VARIABLES": "AICD_MCP_A=canary-1", "AICD_AGENT_VARIABLES": "B=canary-2"})
    assert settings.handed_secrets() == ("canary-1", "canary-2")
    assert {"canary-1", "canary-2"} <= set(settings.secrets())
    assert "canary" not in repr(settings) + str(settings) + settings.model_dump_json()
