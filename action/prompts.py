"""A project's own words to the models that work for it: files of its repository, from a commit that its maintainers let
in. Neither a letter's sender nor an agent can change them there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from action.gitrepo.git import git
from controlplane.change import EMPTY_TREE
from controlplane.errors import CallerError
from controlplane.noun import Noun

FOLDER = ".aicd/prompts"
MOST_PROMPT_BYTES = 64_000


class Prompt(Noun):
    """`origin` says whose it is: `aicd` or the project's path."""

    text: str
    origin: str = "aicd"

    @property
    def sha256(self) -> str:
        return prompt_hash(self.text)


def prompt_hash(text: str) -> str:
    """The SHA-256 of a prompt, as it is recorded."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_own_prompt(repository: Path, commit: str, name: str) -> Prompt | None:
    """The project's `NAME` at the commit; None where it holds none, or a blank one. Raises CallerError for one that is
    no text or too long."""
    path = f"{FOLDER}/{name}"
    if commit == EMPTY_TREE or git(repository, "cat-file", "-e", f"{commit}:{path}", check=False).returncode:
        return None
    size = git(repository, "cat-file", "-s", f"{commit}:{path}").stdout.strip()
    try:
        if int(size) > MOST_PROMPT_BYTES:
            raise ValueError
        text = git(repository, "cat-file", "blob", f"{commit}:{path}").stdout.decode("utf-8")
    except ValueError as error:
        raise CallerError(
            f"{path} is no UTF-8 text of at most {MOST_PROMPT_BYTES // 1000} kB.",
            "Shorten it, or delete it to work with our own words alone.",
            "prompt-unusable",
        ) from error
    return Prompt(text=text, origin=path) if text.strip() else None


def reviewed_commit(repository: Path, target: str, base: str) -> str:
    """Where the project's own prompts count: the branch that pull requests go to. Work may begin on another one, on
    which an agent has written before and nobody has looked at it."""
    name = f"refs/remotes/origin/{target}^{{commit}}"
    found = git(repository, "rev-parse", "--verify", "--quiet", name, check=False)
    return found.stdout.decode().strip() or base
