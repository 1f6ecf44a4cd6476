"""How the action speaks to the runner: log lines, workflow commands, outputs and the step summary.

Everything that did not come from us passes through `foreign` or is escaped, because GitHub reads commands out of a
step's log: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import re
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TextIO

from action.settings import GitHubContext

SUMMARY_LIMIT_BYTES = 1024 * 1024  # per step; over it GitHub drops the whole summary
SUMMARY_WORTH_BYTES = 500  # less room than this holds nothing that helps
SHORTEST_SECRET = 8
COMMAND_START = re.compile(r"^(\s*)::|##\[", re.MULTILINE)


class Console:
    """One per process. `secrets` are replaced by *** in everything that passes here."""

    def __init__(self, github: GitHubContext, secrets: tuple[str, ...] = (), stream: TextIO | None = None) -> None:
        self._github = github
        self._secrets = tuple(sorted((s for s in secrets if len(s) >= SHORTEST_SECRET), key=len, reverse=True))
        self._stream = stream or sys.stdout
        # Tokens are renewed by several threads, and none of them may be lost here.
        self._keeping = threading.Lock()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is replaced by now; it may have become more since the start."""
        return self._secrets

    def say(self, line: str) -> None:
        """One line for a person. Text of others inside it cannot become a command."""
        self._write(_disarm(self.redact(line)))

    def error(self, message: str, title: str = "aicd") -> None:
        self._command("error", message, title)

    def warning(self, message: str, title: str = "aicd") -> None:
        self._command("warning", message, title)

    def annotate(
        self, level: Literal["error", "warning"], message: str, title: str, path: str, line: int, end: int
    ) -> None:
        """A message on lines of a file, as GitHub shows it in the change; without a path, one about the whole."""
        self._command(level, message, title, {"file": path, "line": str(line), "endLine": str(end)} if path else {})

    def keep_secret(self, secret: str) -> None:
        """A secret that was not there at the start: masked, and replaced in all that passes here from now on."""
        self.mask(secret)
        with self._keeping:
            if len(secret) >= SHORTEST_SECRET and secret not in self._secrets:
                self._secrets = tuple(sorted((*self._secrets, secret), key=len, reverse=True))

    def mask(self, secret: str) -> None:
        """Tell GitHub to hide it from here on. Outside a workflow this would print it, so there it does nothing."""
        if self._github.actions and secret:
            self._write(f"::add-mask::{escape_data(secret)}")

    def foreign(self, text: str) -> None:
        """Output of a program that is not ours: shown, never obeyed."""
        with self.commands_stopped():
            self._write(self.redact(text).rstrip("\n"))

    @contextmanager
    def commands_stopped(self) -> Iterator[None]:
        """Between the two lines GitHub obeys nothing; the word that ends it is random, so nobody can guess it."""
        if not self._github.actions:
            yield
            return
        word = uuid.uuid4().hex
        self._write(f"::stop-commands::{word}")
        try:
            yield
        finally:
            self._write(f"::{word}::")

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """A fold in GitHub's log, a plain heading elsewhere."""
        self._write(f"::group::{escape_data(_disarm(title))}" if self._github.actions else f"── {_disarm(title)}")
        try:
            yield
        finally:
            if self._github.actions:
                self._write("::endgroup::")

    def set_output(self, name: str, value: str) -> None:
        """Append to GITHUB_OUTPUT; outside a workflow nothing is written. Any text is safe as a value."""
        if self._github.output is None:
            return
        with self._github.output.open("a", encoding="utf-8") as file:
            file.write(_heredoc(name, self.redact(value)))

    def write_summary(self, markdown: str) -> None:
        """Append to the step summary, cut at a line's end below GitHub's limit."""
        if self._github.step_summary is None:
            return
        with self._github.step_summary.open("a", encoding="utf-8") as file:
            left = SUMMARY_LIMIT_BYTES - file.tell()  # the limit is the step's, which may have written before
            if left > SUMMARY_WORTH_BYTES:
                file.write(fit_summary(self.redact(markdown), left))

    def redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _command(self, name: str, message: str, title: str, place: Mapping[str, str] | None = None) -> None:
        message, place = self.redact(message), place or {}
        if self._github.actions:
            told = {**place, "title": title}
            properties = ",".join(f"{key}={escape_property(self.redact(value))}" for key, value in told.items())
            self._write(f"::{name} {properties}::{escape_data(message)}")
        else:
            where = f"{place['file']}:{place['line']}: " if place else ""
            self._write(_disarm(self.redact(f"{where}{title}: {message}")))

    def _write(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def fit_summary(markdown: str, limit: int = SUMMARY_LIMIT_BYTES) -> str:
    """The text, or its beginning and a sentence that says so; never more than `limit` bytes of UTF-8."""
    data = (markdown if markdown.endswith("\n") else markdown + "\n").encode()
    if len(data) <= limit:
        return data.decode()
    note = "\n\n_Cut here: the rest is in the full report._\n"
    kept = data[: limit - len(note.encode())].decode(errors="ignore")
    return kept[: kept.rfind("\n") + 1 or None] + note


def _heredoc(name: str, value: str) -> str:
    delimiter = f"aicd_{uuid.uuid4().hex}"
    while delimiter in value:
        delimiter = f"aicd_{uuid.uuid4().hex}"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def _disarm(text: str) -> str:
    """A command starts a line with two colons, or holds GitHub's older `##[` anywhere."""
    return COMMAND_START.sub(lambda found: "# #[" if found.group() == "##[" else f"{found.group(1)}: :", text)
