"""One comment on the pull request with the newest verdict: found by a hidden line, rewritten, never doubled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from action.gate.render import escape_markdown, verdict_markdown
from action.publish.markdown import spots_markdown, trends_markdown
from action.publish.wording import code
from controlplane.report import Report
from controlplane.states import Result

if TYPE_CHECKING:
    from github.IssueComment import IssueComment
    from github.Repository import Repository

MARKER = "<!-- aicd verdict -->"
MAX_COMMENT = 65_000  # GitHub refuses more than 65,536 characters
MAX_CRITERIA = 40_000


def write_comment(report: Report, notes: tuple[str, ...] = ()) -> str:
    """Markdown: the verdict first, its table, and what could not be done as asked."""
    met = report.result is Result.PASSED
    head = "### ✅ The Definition of Done is met" if met else "### ❌ The Definition of Done is not met"
    parts = [MARKER, head, "", f"Measured from a clean checkout of {code(report.commit[:12])}.", ""]
    if report.failing is not None:
        parts += [escape_markdown(report.failing.message, 1000), ""]
    if report.verdict is not None:
        parts += [verdict_markdown(report.verdict, MAX_CRITERIA), spots_markdown(report, 10), trends_markdown(report)]
    parts += [f"- {escape_markdown(note)}" for note in notes[:20]]
    parts += ["", f"Run {code(report.run_id)}. This comment is rewritten by every run."]
    return "\n".join(parts)[:MAX_COMMENT] + "\n"


def keep_comment(repository: Repository, number: int, body: str) -> int:
    """The comment's id: the one that is there, rewritten, else a new one."""
    issue = repository.get_issue(number)
    there = next((one for one in issue.get_comments() if _is_ours(one)), None)
    if there is None:
        return int(issue.create_comment(body).id)
    there.edit(body)
    return int(there.id)


def _is_ours(comment: IssueComment) -> bool:
    """It begins with the marker (a quotation begins with `>`), and a program or somebody who may write here wrote it.

    A stranger could alter his comment after we had put a verdict into it.
    """
    trusted = comment.user.type == "Bot" or comment.author_association in ("OWNER", "MEMBER", "COLLABORATOR")
    return trusted and (comment.body or "").startswith(MARKER)
