"""The input mcp-config: every spelling of the wild, every problem named at once, and no secret said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from action.build.mcpconfig import McpConfig, allowed_tools, load_mcp_config, render_cli_config, states_after
from action.build.mcpconfig.states import ServerState
from controlplane.errors import UsageError

STDIO = {"command": "npx", "args": ["-y", "some-server"]}
HTTP = {"type": "http", "url": "https://mcp.example.com/mcp"}


def load(**servers: Any) -> McpConfig:
    return load_mcp_config(json.dumps({"mcpServers": servers}))


def refusal(entry: Any, name: str = "one", variables: dict[str, str] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        load_mcp_config(json.dumps({"mcpServers": {name: entry}}), variables)
    assert caught.value.code == "mcp-config"
    assert caught.value.exit_code == 2
    return caught.value.message


def test_nothing_configured_is_no_server() -> None:
    assert load_mcp_config("  ") == McpConfig()


def test_file_and_text_say_the_same(tmp_path: Path) -> None:
    text = json.dumps({"mcpServers": {"one": HTTP}})
    (tmp_path / "mcp.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_mcp_config(str(tmp_path / "mcp.json")) == load_mcp_config(text)


@pytest.mark.parametrize(
    "entry",
    [
        HTTP,
        {"url": HTTP["url"]},
        {"type": "streamable-http", "url": HTTP["url"]},
        {"transport": "http", "url": HTTP["url"]},
        {"transport": {"type": "streamable_http", "url": HTTP["url"]}},
        {"serverUrl": HTTP["url"]},
        {"type": "HTTP", "url": f" {HTTP['url']} "},
    ],
    ids=["type", "url-alone", "long", "transport", "nested", "serverUrl", "capitals"],
)
def test_spellings_of_one_server_are_one_server(entry: dict[str, Any]) -> None:
    assert load(one=entry) == load(one=HTTP)


@pytest.mark.parametrize("top", ["mcpServers", "servers", "mcp_servers"])
def test_every_top_level_key_of_the_wild_is_understood(top: str) -> None:
    assert load_mcp_config(json.dumps({top: {"one": STDIO}})).servers[0].type == "stdio"


def test_servers_are_required_unless_told_otherwise() -> None:
    config = load(one=STDIO, two={**HTTP, "required": False})
    assert [server.required for server in config.servers] == [True, False]


@pytest.mark.parametrize("command", ["node", "python3", "npx", "/usr/bin/node", "sh", "docker", "C:\\bin\\NODE.EXE"])
def test_bare_interpreter_is_refused(command: str) -> None:
    assert f"server 'one', command: `{command}` alone starts no MCP server" in refusal({"command": command})


@pytest.mark.parametrize("command", ["npx -y server", "a && b", "a; b", "$(a)", "`a`", "a | b", "a > b", "a\nb"])
def test_command_line_of_a_shell_is_refused(command: str) -> None:
    assert "server 'one', command: is one program without a shell" in refusal({"command": command, "args": ["x"]})


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "url: is missing"),
        ("node", "must be an object"),
        ({"type": "stdio"}, "command: is missing"),
        ({"type": "carrier-pigeon", "url": "https://a.b"}, "type: must be stdio, http or sse"),
        (
            {"command": "node", "args": ["a.js"], "transport": {"type": "sse", "url": "http://a.b"}},
            "command: is a",
        ),
        ({"command": "node", "args": ["a.js"], "url": "https://a.b"}, "url: has both a program and an address"),
        ({"url": "ftp://a.b"}, "url: must begin with https://"),
        ({"url": "https://u:p@a.b/mcp"}, "url: holds a password"),
        ({"url": "https://a.b:99999/"}, "url: is no address"),
        ({"url": "https://a.b/${KEY}"}, "url: holds a reference"),
        ({"command": "a", "args": ["${KEY}"]}, "args: holds a reference"),
        ({"command": "a", "args": "b c"}, "args: Input should be a valid tuple"),
        ({"command": "a", "env": {"A B": "c"}}, "env: 'A B' is no name of a variable"),
        ({"command": "a", "env": {"A": 1}}, "env: must be an object of texts"),
        ({"url": "https://a.b", "headers": {"X": "a\r\nY: b"}}, "headers: the value of X must be one line"),
        ({"url": "https://a.b", "required": "perhaps"}, "required: Input should be a valid boolean"),
        ({"url": "https://a.b", "commmand": "a"}, "commmand: is no key of an MCP server"),
        ({"url": "https://a.b", "serverUrl": "https://c.d"}, "serverUrl: is written twice"),
        ({"url": "https://a.b", "timeout_seconds": 1e9}, "timeout_seconds: Input should be less"),
    ],
)
def test_problem_names_server_and_key(entry: Any, said: str) -> None:
    assert f"server 'one', {said}" in refusal(entry)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a__", "-a", "x" * 65, "aicd-controlplane"])
def test_name_that_cannot_be_a_tool_prefix_or_is_ours_is_refused(name: str) -> None:
    assert f"server '{name[:60]}', name: " in refusal(HTTP, name)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        load(one={"command": "node"}, two={}, three={"url": "ftp://x"})
    assert all(f"server '{name}'" in caught.value.message for name in ("one", "two", "three"))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"mcpServers": []}',
        "{}",
        '{"mcpServers": {}, "servers": {}}',
        "{" * 50_000,
        '{"a":' * 30_000,
        '{"mcpServers": {"a": {"url": "https://a.b"}, "a": {"url": "https://c.d"}}}',
        "/no/such/file",
        "\x00",
        "x" * 5_000,
        json.dumps({"mcpServers": {f"s{n}": HTTP for n in range(21)}}),
    ],
    ids=["half", "list", "empty", "two-tops", "braces", "deep", "twins", "no-file", "nul", "long", "many"],
)
def test_text_that_is_no_configuration_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        load_mcp_config(text)


def test_reference_is_replaced_from_the_given_list_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AICD_GITHUB_TOKEN", "ghs_must_not_be_reachable")
    entry = {**HTTP, "headers": {"Authorization": "Bearer ${NOTION}"}}
    text = json.dumps({"mcpServers": {"one": entry}})
    server = load_mcp_config(text, {"NOTION": "secret-0123456789"}).servers[0]
    assert server.headers["Authorization"].get_secret_value() == "Bearer secret-0123456789"
    assert server.secrets() == ("Bearer secret-0123456789", "secret-0123456789")
    said = refusal({**HTTP, "headers": {"A": "${AICD_GITHUB_TOKEN}"}}, variables={"NOTION": "x"})
    assert "headers.A: ${AICD_GITHUB_TOKEN} is not among the variables given to this run (NOTION)" in said


@pytest.mark.parametrize("value", ["${", "${A", "${}", "${A:-default}", "${ A }"])
def test_reference_that_is_not_plain_is_refused(value: str) -> None:
    assert "is not among" in refusal({**STDIO, "env": {"X": value}}, variables={"A": "b"})


def test_secret_that_is_empty_or_refers_on_is_refused_without_being_said() -> None:
    entry = {**STDIO, "env": {"X": "${A}"}}
    assert "${A} is empty" in refusal(entry, variables={"A": ""})
    said = refusal(entry, variables={"A": "canary${B}"})
    assert "another reference" in said
    assert "canary" not in said


def test_secret_for_another_machine_wants_https() -> None:
    entry = {"url": "http://archon.example.com/mcp", "headers": {"Authorization": "Bearer abcdefgh"}}
    assert "url: secret headers would travel unencrypted" in refusal(entry)
    load(one={**entry, "url": "http://127.0.0.1:8051/mcp"}, two={"url": "http://archon.example.com/mcp"})


def test_no_value_is_in_a_repr_or_an_error() -> None:
    config = load(one={**STDIO, "env": {"TOKEN": "canary-0123456789"}})
    assert "canary" not in repr(config)
    assert config.secrets() == ("canary-0123456789",)
    assert "canary" not in refusal({**STDIO, "env": {"A B": "canary"}})


def test_rendered_file_has_every_server_that_lives_and_ours() -> None:
    config = load(one={**STDIO, "env": {"A": "b"}}, two=HTTP, dead=HTTP)
    states = [ServerState(name="dead", type="http", required=False, status="failed")]
    rendered = json.loads(render_cli_config(config, {"command": "py"}, states))
    assert rendered["mcpServers"] == {
        "one": {"type": "stdio", "command": "npx", "args": ["-y", "some-server"], "env": {"A": "b"}},
        "two": {"type": "http", "url": HTTP["url"], "headers": {}},
        "aicd-controlplane": {"command": "py"},
    }


def test_tools_are_allowed_by_server_or_one_by_one() -> None:
    config = load(one=STDIO, two={**HTTP, "tools": ["read", "list"]})
    assert allowed_tools(config) == ("mcp__aicd-controlplane", "mcp__one", "mcp__two__read", "mcp__two__list")


def test_states_after_the_run_are_what_the_agents_program_said() -> None:
    config = load(one=STDIO, two=HTTP, three=HTTP)
    probed = [ServerState(name=name, type="http", required=True, status="connected") for name in ("one", "two")]
    probed.append(ServerState(name="three", type="http", required=False, status="failed", reason="cannot be reached"))
    said = [
        {"name": "one", "status": "connected"},
        {"name": "two", "status": "failed"},
        {"name": "aicd-controlplane", "status": "connected"},
    ]
    after = states_after(config, probed, said)
    assert [(state.name, state.status, state.reason) for state in after] == [
        ("one", "connected", ""),
        ("two", "failed", "the agent's program says `failed`"),
        ("three", "failed", "cannot be reached"),
        ("aicd-controlplane", "connected", ""),
    ]


def test_key_for_another_program_is_noted_not_refused() -> None:
    config = load(one={**STDIO, "disabled": False, "autoApprove": []})
    assert config.notes == ("MCP server 'one': autoApprove, disabled changes nothing here.",)
