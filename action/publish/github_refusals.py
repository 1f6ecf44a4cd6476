"""What GitHub's refusals mean for an extra: it is noted in the report, and never ends a run."""

from __future__ import annotations

from collections.abc import Callable

from controlplane.errors import AicdError


def try_extra(what: str, permission: str, action: Callable[[], object]) -> str:
    """Do it; empty when it is done, else one sentence that says why it is not, with the permission that is missing."""
    from github import GithubException
    from requests import RequestException

    try:
        action()
    except GithubException as error:
        if error.status in (401, 403, 404):
            return f"There is no {what}: this token may not ({error.status}). It needs `{permission}`."
        return f"There is no {what}, or not all of it: GitHub answered {error.status}."
    except RequestException:
        return f"There is no {what}, or not all of it: GitHub could not be reached."
    except AicdError as error:
        return f"There is no {what}: {error.message}"
    return ""
