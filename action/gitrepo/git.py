"""One hardened way to call git, and the errors it ends in.

Nothing outside our own arguments decides what git does: no system or user configuration, no hooks, no prompts, no
replacement objects, no helper programs. A repository that an agent wrote in is only ever *fetched from*; git reads no
command out of such a repository's configuration when it serves it (upload-pack).
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from controlplane.errors import AicdError, BrokenPromise, CallerError, NotAllowed, NotFound, OutsideError

TIMEOUT_SECONDS = 300
HARDENED: dict[str, str] = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.excludesFile": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.symlinks": "true",
    "core.autocrlf": "false",
    "core.quotePath": "false",
    "core.protectNTFS": "true",
    "core.protectHFS": "true",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
    "safe.directory": "*",
    "init.defaultBranch": "main",
    "advice.detachedHead": "false",
}
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
KEPT_VARIABLES = ("PATH", "TMPDIR", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", *PROXIES)


@dataclass(frozen=True)
class Remote:
    """Where a repository lives. The token travels in git's environment: never in argv, never in a config file."""

    url: str
    token: SecretStr = field(default=SecretStr(""), repr=False)

    def environment(self) -> dict[str, str]:
        secret = self.token.get_secret_value()
        if not secret or not self.url.startswith(("https://", "http://")):
            return {}
        basic = base64.b64encode(f"x-access-token:{secret}".encode()).decode()
        return _configuration({f"http.{self.url}.extraheader": f"AUTHORIZATION: basic {basic}"}, len(HARDENED))


def git(
    repository: Path | None,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    check: bool = True,
    timeout: float = TIMEOUT_SECONDS,
) -> subprocess.CompletedProcess[bytes]:
    """Run git; raises BrokenPromise when it fails and `check` is on. `repository` is a git directory."""
    where = [f"--git-dir={repository}"] if repository is not None else []
    variables = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    variables |= {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "file:http:https",
        "GIT_ASKPASS": "true",
        "LC_ALL": "C",
    }
    variables |= _configuration(HARDENED, 0) | dict(environment or {})
    try:
        done = subprocess.run(
            ["git", *where, *arguments], env=variables, input=stdin, capture_output=True, timeout=timeout, check=False
        )
    except FileNotFoundError as error:
        raise CallerError("There is no git on this machine.", "Install git 2.31 or newer.", "git-missing") from error
    except subprocess.TimeoutExpired as error:
        raise OutsideError(
            f"git {_verb(arguments)} took longer than {timeout:.0f} s.", "Run again.", "git-timeout"
        ) from error
    if check and done.returncode != 0:
        raise BrokenPromise(f"git {_verb(arguments)} failed: {_last_line(done.stderr)}", "Report it.", "git-failed")
    return done


def text(repository: Path | None, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Standard output without its last newline."""
    return git(repository, *arguments, environment=environment).stdout.decode(errors="replace").rstrip("\n")


def names(repository: Path | None, *arguments: str, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The NUL-separated names of a `-z` answer."""
    output = git(repository, *arguments, environment=environment).stdout
    return tuple(os.fsdecode(name) for name in output.split(b"\0") if name)


def talk(remote: Remote, repository: Path, *arguments: str) -> str:
    """Run git against the remote; its refusals become our errors, which never hold the token."""
    done = git(repository, *arguments, environment=remote.environment(), check=False)
    if done.returncode != 0:
        raise translate_refusal(done.stderr.decode(errors="replace"), remote.url)
    return done.stdout.decode(errors="replace")


def translate_refusal(words: str, url: str) -> AicdError:
    """git's words on stderr as one of our errors."""
    said = words.lower()
    if "could not read username" in said or "authentication failed" in said or "error: 401" in said:
        return NotAllowed(f"{url} did not accept the token.", "Check `github-token`.", "git-authentication")
    if "error: 403" in said or "permission to" in said:
        return NotAllowed(f"The token may not do this on {url}.", "It needs `contents: write` there.", "git-permission")
    if "not found" in said or "does not appear to be a git repository" in said or "does not exist" in said:
        return NotFound(f"There is no repository at {url}, or the token cannot see it.", "Check the name.")
    if "stale info" in said or "fetch first" in said or "non-fast-forward" in said:
        return CallerError(
            "The branch was moved by somebody else in the meantime.", "Run again from its new state.", "branch-moved"
        )
    if "protected branch" in said or "pre-receive hook declined" in said or "remote rejected" in said:
        return NotAllowed(f"{url} refused the push: {_last_line(words.encode())}", "Check its rules.", "push-refused")
    return OutsideError(f"git could not reach {url}: {_last_line(words.encode())}", "Run again.", "git-unreachable")


def _configuration(values: Mapping[str, str], first: int) -> dict[str, str]:
    """git's configuration as environment (git-config: GIT_CONFIG_COUNT); `first` numbers entries after ours."""
    variables = {"GIT_CONFIG_COUNT": str(first + len(values))}
    for number, (key, value) in enumerate(values.items(), start=first):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _verb(arguments: Sequence[str]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")


def _last_line(output: bytes) -> str:
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
