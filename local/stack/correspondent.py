"""Makes a mail's sender and the repository that its specification names known to a running stack.

In the cloud an operator does this once for each project; `aicd send` does it for whatever mail it is given.
"""

from __future__ import annotations

from pathlib import Path

from controlplane.specfile import check_spec
from functions._shared.mail import read_message
from local.administration import Administration
from local.stack.double_setup import prepare_repository, repository_path
from local.stack.identity import StackIdentity

# Trying out is not to be stopped by a customer's usual limit.
LOCAL_SPECS_PER_DAY = 10_000


def prepare_correspondent(identity: StackIdentity, raw: bytes, *, stranger: bool) -> dict[str, Path]:
    """Allow (or, as a stranger, disallow) the claimed sender; → the bare repository of each repository named."""
    message = read_message(raw)
    checks = [check_spec(item.content, item.name) for item in message.specs]
    named = sorted({check.spec.repo for check in checks if check.spec and check.spec.repo})  # a letter may name none
    for repo in named:
        prepare_project(identity, repo)
    with Administration(identity.db_url) as operator:
        if message.sender:
            operator.disallow_sender(message.sender)
        if message.sender and not stranger:
            targets: list[str | None] = [*named] or [None]  # without a specification: any repository
            for target in targets:
                operator.allow_sender(message.sender, target, {"daily_limit": LOCAL_SPECS_PER_DAY})
    return {repo: repository_path(identity, repo) for repo in named}


def prepare_project(
    identity: StackIdentity, repo: str, *, files: dict[str, str] | None = None, secrets: dict[str, str] | None = None
) -> None:
    """A repository in the GitHub double and a project that is pinned to it. Again is fine.

    It is given no secret for the control plane: each job's identity is exchanged for a token, as in the cloud.
    """
    numbers = prepare_repository(identity, repo, files=files, secrets=secrets)
    with Administration(identity.db_url) as operator:
        operator.create_project({"repo": repo, "name": repo, "default_branch": "main", **numbers})
