"""The database's refusals in an operator's words: what is wrong with what he gave, and by which command it is right."""

from __future__ import annotations

from controlplane.errors import AicdError, CallerError, NotFound

# A rule of a table → what is wrong, and the fix.
RULES: dict[str, tuple[str, str]] = {
    "senders_pattern_check": (
        "The sender is neither an address nor everybody of a domain.",
        "Write bob@example.com or *@example.com, for example: aicd sender allow bob@example.com.",
    ),
    "projects_repo_check": (
        "The repository is not written as GitHub writes it, OWNER/NAME.",
        "Name both, for example: aicd project add acme/shop.",
    ),
    "projects_workflow_check": ("The workflow's file has no name, or too long a one.", "Give --workflow aicd.yml."),
    "projects_default_branch_check": ("The branch has no name, or too long a one.", "Give --default-branch main."),
    "organisations_name_check": ("The organisation's name is empty or longer than 100.", "Give --organisation NAME."),
    "mailboxes_email_check": ("The mailbox is not an address.", "Write it as aicd@example.com."),
    "mailboxes_authserv_id_check": ("That is not the name of a mail server.", "Write it as mx.example.com."),
}


def explain_rule(verb: str, constraint: str) -> AicdError:
    """A value that breaks a rule of its table."""
    known = RULES.get(constraint)
    message = known[0] if known else f"The database refused {verb}: {constraint} does not hold."
    fix = known[1] if known else "Check the address, the repository (owner/name) or the number that was given."
    return CallerError(message, fix=fix, code="bad-value")


def explain_missing(error: AicdError, repo: str | None, organisation: str | None) -> AicdError:
    """A project or an organisation that is not there, with the command that makes it; any other error as it is."""
    if error.code == "project-not-found" and repo:
        made = f"Make it: aicd project add {repo}. Those that there are: aicd project list."
        return NotFound(f"There is no project for the repository {repo}.", made, error.code, error.details)
    if error.code == "organisation-not-found" and organisation:
        made = f"Make it with its first project: aicd project add OWNER/NAME --organisation {organisation}."
        return NotFound(f"There is no organisation {organisation}.", made, error.code, error.details)
    return error
