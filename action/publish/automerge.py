"""GitHub's auto-merge for a change that met its Definition of Done, and its end for a branch whose new work did not.

GitHub merges when all is there that the target branch requires; we never merge. What it refuses is a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from action.publish.pullrequest import list_open, translated, words_of

if TYPE_CHECKING:
    from github.Repository import Repository

WAITS = "It merges by itself as soon as everything is there that its target branch requires (`auto-merge`)."


def ask_to_merge(repository: Repository, number: int, commit: str) -> str:
    """Ask for this very commit; one sentence for the report, whatever comes of it."""
    from github import GithubException
    from requests import RequestException

    try:
        repository.get_pull(number).enable_automerge(merge_method=_method(repository), expected_head_oid=commit)
    except GithubException as error:
        needs = (
            " `github-token` needs `contents: write` and `pull-requests: write`." if error.status in (401, 403) else ""
        )
        return f"It does not merge by itself: GitHub refused it ({words_of(error.data)}).{needs}"
    except RequestException:
        return "It does not merge by itself: GitHub could not be reached to ask for it."
    return WAITS


def take_back_merge(repository: Repository, name: str, branch: str) -> bool:
    """Before a change that failed is pushed over one that passed; whoever asked for the merge, and into which branch.
    Raises our errors: then it must not be pushed."""
    with translated(name, "look at the pull requests of"):
        merging = [one for one in list_open(repository, name.split("/")[0], branch) if one.auto_merge]
        for one in merging:
            one.disable_automerge()
    return bool(merging)


def _method(repository: Repository) -> str:
    """A merge keeps our commits with their trailers; else what the repository allows."""
    allowed = {"MERGE": repository.allow_merge_commit, "SQUASH": repository.allow_squash_merge}
    return next((name for name, is_allowed in allowed.items() if is_allowed is not False), "REBASE")
