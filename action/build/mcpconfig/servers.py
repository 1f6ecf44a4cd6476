"""What is known of each server: a program that speaks MCP on stdio, or an address.

Values of `env` and `headers` are secret: they are never in a repr, a log or a report.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

# Claude Code makes tool names of it: mcp__NAME__TOOL.
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
OWN_NAME = "aicd-controlplane"
# Started alone, each of these waits for a program on stdin, and no MCP server ever answers.
BARE = frozenset(
    (
        *("node", "nodejs", "deno", "bun", "npx", "npm", "pnpm", "yarn"),
        *("python", "python3", "pythonw", "uv", "uvx", "pipx", "ruby", "perl", "php", "java"),
        *("sh", "bash", "zsh", "dash", "fish", "cmd", "powershell", "pwsh", "env", "sudo", "docker", "podman"),
    )
)
_SHELL = re.compile(r"[|&;<>`\n\r]|\$\(|\s")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_|~-]+")
_SECRET_NAME = re.compile(r"token|key|secret|passw|authorization|cookie|credential", re.IGNORECASE)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class McpServer(BaseModel):
    """One server. `required`: without it the run fails at once; `tools`: all of them, if empty.

    `secrets_referenced` are the names of env and headers whose values came from `${NAME}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    type: Literal["stdio", "http", "sse"]
    command: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000)] = ""
    args: Annotated[tuple[Annotated[str, StringConstraints(max_length=4_000)], ...], Field(max_length=100)] = ()
    env: dict[str, SecretStr] = Field(default_factory=dict)
    url: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)] = ""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    required: bool = True
    tools: Annotated[tuple[str, ...], Field(max_length=200)] = ()
    health_url: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)] = ""
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 15
    secrets_referenced: frozenset[str] = frozenset()

    @field_validator("command")
    @classmethod
    def _is_one_program(cls, command: str) -> str:
        if _SHELL.search(command):
            raise ValueError("is one program without a shell: put its words into `args`")
        return command

    @field_validator("args")
    @classmethod
    def _has_no_reference(cls, args: tuple[str, ...]) -> tuple[str, ...]:
        if any("${" in argument or "\x00" in argument for argument in args):
            raise ValueError("holds a reference; ${NAME} is replaced in `env` and `headers` only")
        return args

    @field_validator("env")
    @classmethod
    def _has_variable_names(cls, env: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in env.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"'{name[:60]}' is no name of a variable")
            if "\x00" in value.get_secret_value():
                raise ValueError(f"the value of {name} holds a NUL")
        return env

    @field_validator("headers")
    @classmethod
    def _has_header_names(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not _HEADER.fullmatch(name):
                raise ValueError(f"'{name[:60]}' is no name of a header")
            text = value.get_secret_value()
            if not text.isascii() or any(character in text for character in "\r\n\x00"):
                raise ValueError(f"the value of {name} must be one line of ASCII")
        return headers

    @field_validator("url", "health_url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if not url:
            return url
        if "${" in url:
            raise ValueError("holds a reference; ${NAME} is replaced in `env` and `headers` only")
        try:
            parts = urlsplit(url)
            port_is_fine = parts.port is None or 0 < parts.port < 65536
        except ValueError:
            raise ValueError("is no address") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
            raise ValueError("must begin with https:// (or http:// on this machine)")
        if parts.username or parts.password:
            raise ValueError("holds a password; put it into `headers` with ${NAME}")
        return url

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.type == "stdio":
            self._check_program()
        else:
            self._check_address()
        return self

    def _check_program(self) -> None:
        if not self.command:
            raise ValueError("command: is missing")
        if self.url or self.headers:
            raise ValueError("url: has both a program and an address; keep one of them")
        program = re.split(r"[/\\]", self.command)[-1].lower().removesuffix(".exe")
        if program in BARE and not self.args:
            raise ValueError(
                f"command: `{self.command}` alone starts no MCP server; name its script or package in `args`"
            )

    def _check_address(self) -> None:
        if not self.url:
            raise ValueError("url: is missing")
        if self.command or self.args or self.env:
            raise ValueError("command: has both a program and an address; keep one of them")
        parts = urlsplit(self.url)
        if parts.scheme == "http" and parts.hostname not in LOOPBACK and self.secrets():
            raise ValueError("url: secret headers would travel unencrypted; use https://")

    def secrets(self) -> tuple[str, ...]:
        """The values that nobody may see: what was referenced, and what its name says is one."""
        named = {**self.env, **self.headers}
        values = [
            value.get_secret_value()
            for name, value in named.items()
            if name in self.secrets_referenced or _SECRET_NAME.search(name)
        ]
        # "Bearer abc" is shown as its second word, too.
        words = [word for value in values for word in value.split()]
        return tuple(dict.fromkeys(one for one in (*values, *words) if len(one) >= 8))


class McpConfig(BaseModel):
    """The servers in the order in which they were written. `notes` are said once in the log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    servers: tuple[McpServer, ...] = ()
    notes: tuple[str, ...] = ()

    def secrets(self) -> tuple[str, ...]:
        """To be kept out of everything that is printed."""
        return tuple(dict.fromkeys(secret for server in self.servers for secret in server.secrets()))

    def get(self, name: str) -> McpServer | None:
        return next((server for server in self.servers if server.name == name), None)
