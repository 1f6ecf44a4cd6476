"""A notice → the message for a channel, in the shape and within the limits that Slack publishes (docs.slack.dev).

What people wrote is put into `plain_text` objects, which know neither links nor mentions, and never into `text`: that
is all that other systems show, and some of them find mentions in it. `&`, `<` and `>` are escaped everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from functions._shared.notices.bounds import line
from functions._shared.notices.compose import criterion, duration, money, status_word
from functions._shared.notices.notice import CriterionLine, Notice, RunFacts

# What is told. A mail that could not be understood is between its sender and us.
TOLD = frozenset({"spec_received", "needs_input", "needs_approval", "report", "spec_cancelled"})
MOST_HEADER, MOST_SECTION, MOST_TEXT = 150, 3_000, 3_000
PASSED = "passed"

Block = dict[str, Any]


def compose_message(notice: Notice) -> dict[str, Any]:
    """The body of one request to an incoming webhook."""
    headline = f"{_headline(notice)}: {line(notice.repo, 100) or 'a specification'}"
    parts = (headline, *(f"{name}: {url}" for name, url in _links(notice.run)))
    blocks: list[Block] = [{"type": "header", "text": _plain(headline, MOST_HEADER)}]
    blocks += [{"type": "section", "text": _plain(words, MOST_SECTION)} for words in _sections(notice) if words.strip()]
    blocks += _link_block(notice.run)
    facts = " · ".join(_facts(notice))
    blocks += [{"type": "context", "elements": [_plain(facts, MOST_SECTION)]}] if facts else []
    text = bounded("\n".join(parts), MOST_TEXT)
    return {"text": text, "mrkdwn": False, "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def bounded(words: str, most: int) -> str:
    """Escaped, and cut to so many UTF-16 units, the strictest way to count characters; never inside an entity."""
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    units = escaped.encode("utf-16-le")
    if len(units) <= 2 * most:
        return escaped
    kept = units[: 2 * (most - 1)].decode("utf-16-le", "ignore")
    return re.sub(r"&[a-z]{0,3}\Z", "", kept) + "…"


def _headline(notice: Notice) -> str:
    asked, open_ones = len(notice.questions), len(_unmet(notice.run))
    if notice.template == "report" and notice.run.result != "PASSED":
        return f"Not done, {open_ones} of {len(notice.run.criteria)} criteria open" if open_ones else "Not done"
    return {
        "report": "Done, every criterion met",
        "spec_received": "Received, the work has begun",
        "needs_input": "Waits for an answer to " + ("a question" if asked == 1 else f"{asked} questions"),
        "needs_approval": "A plan waits for a maintainer's approval",
        "spec_cancelled": "Cancelled",
    }[notice.template]


def _sections(notice: Notice) -> Iterator[str]:
    """Each becomes a block of its own; empty ones are left out."""
    yield line(notice.title, 200)
    if notice.template in ("report", "spec_cancelled"):
        yield notice.run.reason if notice.template == "report" else notice.reason
        yield "\n".join(_criterion_line(one, why=True) for one in _unmet(notice.run))
        yield "\n".join(_criterion_line(one, why=False) for one in notice.run.criteria if one.status == PASSED)
    if notice.template == "needs_input":
        yield "\n".join(f"{asked.number}. {asked.text}" for asked in notice.questions)
    if notice.template == "needs_approval":
        yield "\n".join(f"{sprint.label}: {'; '.join(sprint.goals)}".rstrip(": ") for sprint in notice.plan.sprints)
        yield "\n".join(f"aicd sprint approve {waiting}" for waiting in notice.plan.waiting)


def _unmet(run: RunFacts) -> list[CriterionLine]:
    return [one for one in run.criteria if one.status != PASSED]


def _criterion_line(one: CriterionLine, *, why: bool) -> str:
    told = f"[{'x' if one.status == PASSED else ' '}] {criterion(one.id)}: {status_word(one.status)}"
    told += f" (required {one.required}, measured {one.actual or 'nothing'})"
    return f"{told}\n      {line(one.reason, 300)}" if why and one.reason else told


def _links(run: RunFacts) -> Iterable[tuple[str, str]]:
    """Ours, and checked to be http(s) without blanks and brackets when the notice was read."""
    return [(name, url) for name, url in (("Pull request", run.pull_request_url), ("Log", run.ci_url)) if url]


def _link_block(run: RunFacts) -> list[Block]:
    # A bar would end the address.
    links = [f"<{bounded(url.replace('|', '%7C'), 1_200)}|{name}>" for name, url in _links(run) if len(url) < 1_000]
    words = {"type": "mrkdwn", "text": "  ".join(links), "verbatim": True}
    return [{"type": "section", "text": words}] if links else []


def _facts(notice: Notice) -> Iterator[str]:
    """One line of what is known beside the verdict."""
    run, plan = notice.run, notice.plan
    if notice.sprint:
        yield f"Sprint {line(notice.sprint, 100)}"
    if run.branch:
        yield f"Branch {line(run.branch, 200)}"
    if run.duration_seconds is not None:
        yield f"Time {duration(run.duration_seconds)}"
    if run.cost_usd is not None:
        yield f"Cost {money(run.cost_usd)}"
    if notice.template == "needs_approval" and plan.cost_usd is not None:
        yield f"Estimate {money(plan.cost_usd)}"
    if notice.spec_id:
        yield f"Specification {line(notice.spec_id, 64)}"


def _plain(words: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": bounded(words, most), "emoji": False}
