"""A notice → the mail: text for those who read text, HTML that needs nothing from outside."""

from __future__ import annotations

import functools
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path
from typing import TYPE_CHECKING, Any

from functions._shared.notices.example import example_letter, example_specification
from functions._shared.notices.headers import set_headers
from functions._shared.notices.links import REPORT, Link
from functions._shared.notices.notice import Notice

if TYPE_CHECKING:
    import jinja2

# The Definition of Done's keys as a person says them; a key that is not here is shown as it is.
CRITERIA = {
    "unit_pass": "Unit tests pass",
    "e2e_pass": "End-to-end tests pass",
    "coverage_min": "Line coverage",
    "diff_coverage_min": "Line coverage of the change",
    "lint_pass": "Linter finds nothing",
    "type_check": "Type checker finds nothing",
    "lighthouse_min": "Lighthouse performance",
    "security_max": "Worst security finding",
    "tests_min": "Number of passing tests",
    "skipped_max": "Number of skipped tests",
    "duration_max_seconds": "Seconds of testing",
    "acceptance_traced": "Every acceptance line proven by a test",
    "integrity": "No test or check was weakened",
    "mutation_min": "Share of mutants caught",
}
# Refusals of a mail in which there is nothing yet to correct: its sender has to write a specification first.
UNWRITTEN = ("no-specification", "planning-off", "attachment-unread")
# A signed link is as long as a paragraph: the text has the report's and so many others, HTML hides them behind names.
MOST_TOLD_LINKS = 3
TEMPLATES = Path(__file__).parent / "templates"


def compose_mail(notice: Notice, links: tuple[Link, ...], domain: str) -> EmailMessage:
    """The whole mail, ready to send."""
    report = next((link for link in links if link.name == REPORT), None)
    facts = {
        "notice": notice,
        "run": notice.run,
        "report": report,
        "links": links,
        "told_links": links[: MOST_TOLD_LINKS + (report is not None)],
        "example": example_specification(notice.problems[0].message if notice.problems else ""),
        "unwritten": notice.reason in UNWRITTEN,
        "letter": example_letter(notice.problems[0].message) if notice.reason == "repository-missing" else "",
    }
    # An address that is not ASCII can only be written as it is (RFC 6532): an encoded word in one is nobody's address.
    is_plain = (notice.mailbox + notice.recipient).isascii()
    mail = EmailMessage(policy=SMTP if is_plain else SMTPUTF8)
    set_headers(mail, notice, domain)
    mail.set_content(_render(f"{notice.template}.txt", facts), cte="quoted-printable")
    mail.add_alternative(_render(f"{notice.template}.html", facts), subtype="html", cte="quoted-printable")
    return mail


def _render(name: str, facts: dict[str, Any]) -> str:
    return _environment().get_template(name).render(facts)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html"], default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "money": money,
        "duration": duration,
        "bytesize": _bytesize,
        "status_word": status_word,
        "criterion": criterion,
    }
    return environment


def money(amount: float) -> str:
    return f"US$ {amount:.2f}"


def duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _bytesize(size: int | None) -> str:
    if size is None:
        return ""
    return f"{size} B" if size < 1_000 else f"{size / 1_000:.0f} kB" if size < 1_000_000 else f"{size / 1e6:.1f} MB"


def criterion(name: str) -> str:
    return CRITERIA.get(name, name)


def status_word(status: str) -> str:
    return {"passed": "met", "failed": "not met", "not_measured": "not measured"}.get(status, status)
