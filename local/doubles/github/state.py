"""The GitHub double's memory: repositories with their git folders, tokens, and everything that hangs on them."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import shutil
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from local.doubles.github.git import Git
from local.doubles.github.nouns import (
    EVERYTHING,
    App,
    CheckRun,
    Comment,
    Installation,
    Label,
    Level,
    Pull,
    Repository,
    Run,
    Secret,
    Status,
    Token,
)
from local.doubles.journal import Collection, Journal

OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,100}")


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def node_id(kind: str, number: int | str) -> str:
    return base64.b64encode(f"{kind}:{number}".encode()).decode("ascii")


def stable_id(text: str) -> int:
    """A number that is the same for the same text, for things that need no record of their own."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:7], 16) + 1


class InvalidNameError(Exception):
    """No GitHub repository can have this name."""


class GitHubState:
    """Every collection, and the folders of the bare repositories."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        self.journal = journal
        self.folder = folder
        self.repositories: Collection[Repository] = journal.collection("repositories", Repository)
        self.tokens: Collection[Token] = journal.collection("tokens", Token)
        self.apps: Collection[App] = journal.collection("apps", App)
        self.installations: Collection[Installation] = journal.collection("installations", Installation)
        self.pulls: Collection[Pull] = journal.collection("pulls", Pull)
        self.comments: Collection[Comment] = journal.collection("comments", Comment)
        self.labels: Collection[Label] = journal.collection("labels", Label)
        self.checks: Collection[CheckRun] = journal.collection("checks", CheckRun)
        self.statuses: Collection[Status] = journal.collection("statuses", Status)
        self.runs: Collection[Run] = journal.collection("runs", Run)
        self.secrets: Collection[Secret] = journal.collection("secrets", Secret)
        self._making = threading.Lock()
        self._following = threading.Lock()
        (folder / "repos").mkdir(parents=True, exist_ok=True)

    def repository(self, owner: str, name: str) -> Repository | None:
        """Names are compared without case, as GitHub does."""
        return self.repositories.get(f"{owner}/{name}".lower())

    def git(self, repository: Repository) -> Git:
        return Git(self.folder / "repos" / repository.owner / f"{repository.name}.git")

    def create_repository(
        self, owner: str, name: str, files: Mapping[str, bytes], default_branch: str, *, private: bool
    ) -> tuple[Repository, bool]:
        """The repository, and whether it was made now. Safe against twins; a half-made folder is made anew."""
        if not OWNER.fullmatch(owner) or not NAME.fullmatch(name):
            raise InvalidNameError(f"{owner}/{name} cannot be the name of a GitHub repository")
        with self._making:
            found = self.repository(owner, name)
            if found is not None:
                return found, False
            self._make_folder(owner, name, files, default_branch)
            with self.journal.transaction():
                repository = Repository(
                    id=self.journal.next_number("repository", first=700_000_001, step=7),
                    owner=owner,
                    owner_id=stable_id(f"owner {owner.lower()}"),
                    name=name,
                    default_branch=default_branch,
                    private=private,
                    created_at=now(),
                )
                return self.repositories.put(repository.full_name.lower(), repository), True

    def create_token(
        self,
        token: str | None,
        permissions: dict[str, Level] | None,
        repositories: tuple[str, ...] | None,
        login: str = "aicd-bot[bot]",
        ends_at: str | None = None,
        owner: str | None = None,
    ) -> Token:
        fresh = Token(
            token=token or f"ghs_{secrets.token_hex(18)}",
            login=login,
            permissions=EVERYTHING if permissions is None else permissions,
            repositories=repositories,
            ends_at=ends_at,
            owner=owner,
        )
        with self.journal.transaction():
            return self.tokens.put(fresh.token, fresh)

    def pulls_of(self, repository: Repository) -> list[Pull]:
        """Newest first."""
        found = [pull for pull in self.pulls.values() if pull.repository == repository.full_name]
        return sorted(found, key=lambda pull: -pull.number)

    def runs_of(self, repository: Repository) -> list[Run]:
        """Newest first."""
        found = [run for run in self.runs.values() if run.repository == repository.full_name]
        return sorted(found, key=lambda run: -run.id)

    def follow_pushes(self, repository: Repository) -> None:
        """Keeps refs/pull/N/head of open pull requests at their branches, as GitHub does after each push."""
        git = self.git(repository)
        with self._following:
            for pull in self.pulls_of(repository):
                head = git.ref(f"refs/heads/{pull.head}") if pull.state == "open" else None
                if head and head != git.ref(f"refs/pull/{pull.number}/head"):
                    git.move(f"refs/pull/{pull.number}/head", head)

    def _make_folder(self, owner: str, name: str, files: Mapping[str, bytes], default_branch: str) -> None:
        final = self.folder / "repos" / owner / f"{name}.git"
        fresh = final.with_name(f".{name}.{secrets.token_hex(4)}.new")
        try:
            git = Git(fresh)
            git.initialise(default_branch)
            if files:
                git.commit_files(default_branch, files, "Initial commit")
            shutil.rmtree(final, ignore_errors=True)
            fresh.rename(final)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
