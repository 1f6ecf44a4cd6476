"""The mails: safe headers, escaped text, and every fact that the database gave."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from controlplane.errors import NotFound
from functions._shared.bucket import read_bucket
from functions._shared.notices.compose import compose_mail
from functions._shared.notices.headers import reply_subject, thread_of
from functions._shared.notices.links import MOST_LINKS, Link, sign_links
from functions._shared.notices.mending import MAINTAINERS, say_why
from functions._shared.notices.notice import CANCELLED, Notice, read_notice
from functions._shared.settings import Environment, Misconfigured

DOMAIN = "notices.example"
ROOT = Path(__file__).parents[3]
EVIL = "<script>alert(1)</script>\r\nBcc: victim@example.org"


def description(**over: Any) -> dict[str, Any]:
    return {
        "template": "report",
        "mailbox_email": "specs@inbox.example",
        "recipient": "ada@example.org",
        "subject": "A greeting",
        "gmail_thread_id": "t1",
        "rfc_message_id": "<m1@example.org>",
        "references": "<m0@example.org>",
        "problems": [],
        "spec": {"id": "s-1", "repo": "o/r", "title": "Greeting", "sprints": [{"label": "S1"}, {"label": "S2"}]},
        "sprint": {"label": "S1"},
        "run": {
            "id": "r-1",
            "result": "FAILED",
            "branch": "aicd/12/S1",
            "commit": "0123456789abcdef",
            "pull_request": {"url": "https://github.example/o/r/pull/1"},
            "summary_json": {
                "cost_usd": 0.5,
                "duration_seconds": 75,
                "iterations": 2,
                "isolation": ["The tests ran as the runner's own user."],
                "verdict": {
                    "criteria": [
                        {"id": "unit_pass", "required": True, "actual": True, "status": "passed", "reason": "all pass"},
                        {"id": "coverage_min", "required": 0.8, "actual": 0.5, "status": "failed", "reason": "too low"},
                        {"id": "e2e_pass", "required": True, "status": "not_measured", "reason": "no report"},
                    ]
                },
            },
        },
        "artifacts": [
            {"id": "a", "name": "summary.json", "size": 900, "storage_path": "r-1/a"},
            {"id": "b", "name": "report.html", "size": 12_345, "storage_path": "r-1/b"},
            {"id": "c", "name": "gone.txt", "size": 1, "storage_path": "r-1/c"},
        ],
    } | over  # fmt: skip


def notice(**over: Any) -> Notice:
    found = read_notice("5d0c7d1e-0000-4000-8000-000000000001", description(**over))
    assert found is not None
    return found


def parsed(mail: EmailMessage) -> EmailMessage:
    return email.message_from_bytes(bytes(mail), policy=email.policy.default)


def body(mail: EmailMessage, kind: str) -> str:
    part = parsed(mail).get_body((kind,))
    assert part is not None
    return str(part.get_content())


class Signer:
    def sign_artifact(self, path: str, seconds: int, download_name: str) -> str:
        if path.endswith("/c"):
            raise NotFound("deleted")
        return f"https://storage.example/{path}?token=x&s={seconds}&download={download_name}"


def test_reply_stays_in_its_thread_and_says_that_a_machine_wrote_it() -> None:
    mail = parsed(compose_mail(notice(), (), DOMAIN))
    assert mail["From"] == "specs@inbox.example"
    assert mail["To"] == "ada@example.org"
    assert mail["Subject"] == "Re: A greeting"
    assert mail["In-Reply-To"] == "<m1@example.org>"
    assert mail["References"] == "<m0@example.org> <m1@example.org>"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-Aicd-Notice"] == "5d0c7d1e-0000-4000-8000-000000000001"
    assert mail["Message-ID"] == "<5d0c7d1e-0000-4000-8000-000000000001@notices.example>"


def test_same_row_gives_the_same_message_id() -> None:
    assert compose_mail(notice(), (), DOMAIN)["Message-ID"] == compose_mail(notice(), (), DOMAIN)["Message-ID"]


def test_no_senders_text_breaks_out_of_a_header() -> None:
    evil = {"subject": f"Hello{EVIL}", "rfc_message_id": f"<m1@x>{EVIL}", "references": f"{EVIL} <a@b>\r\nCc: x@y"}
    mail = parsed(compose_mail(notice(**evil), (), DOMAIN))
    wanted = {"From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
              "X-Auto-Response-Suppress", "X-Aicd-Notice", "MIME-Version", "Content-Type"}  # fmt: skip
    assert set(mail.keys()) == wanted
    assert len(mail.keys()) == len(wanted)


@pytest.mark.parametrize(
    "recipient",
    [None, "", "no-address", "a@b, c@d", "a@b\r\nBcc: c@d", "<a@b>", "a b@c.d", "specs@INBOX.example", "a@b@c"],
)
def test_mail_goes_to_one_plain_address_that_is_not_our_own_or_to_nobody(recipient: str | None) -> None:
    assert read_notice("1", description(recipient=recipient)) is None


def test_text_from_outside_is_escaped_in_html() -> None:
    evil = description(
        template="spec_invalid",
        problems=[{"attachment": EVIL, "path": EVIL, "line": 3, "column": 1, "message": EVIL}],
    )
    mail = compose_mail(notice(**evil), (), DOMAIN)
    assert "<script>alert" not in body(mail, "html")
    assert "&lt;script&gt;" in body(mail, "html")


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", 'https://x" onload="y', "//x", "https://a b"]
)
def test_only_web_addresses_become_links(address: str) -> None:
    run = {"result": "PASSED", "summary_json": {"pull_request_url": address}}
    assert "Open the pull request" not in body(compose_mail(notice(run=run), (), DOMAIN), "html")


@pytest.mark.parametrize("template", ["spec_received", "spec_invalid", "needs_input", "needs_approval", "report"])
def test_html_needs_nothing_from_outside_and_knows_dark_screens(template: str) -> None:
    html = body(compose_mail(notice(template=template), (), DOMAIN), "html")
    assert "prefers-color-scheme: dark" in html
    assert not any(word in html for word in ("src=", "<link", "@import", "url(", "<script"))


@pytest.mark.parametrize("kind", ["html", "plain"])
def test_report_has_the_verdict_the_reasons_the_links_the_cost_and_the_time(kind: str) -> None:
    facts = notice()
    text = body(compose_mail(facts, sign_links(facts, Signer()), DOMAIN), kind)  # type: ignore[arg-type]
    for wanted in (
        "Unit tests pass", "ran as the runner",
        "unit_pass", "coverage_min", "too low", "e2e_pass", "no report", "2 of 3 criteria", "not measured", "0.8",
        "0.5", "https://github.example/o/r/pull/1", "report.html", "summary.json", "1 min 15 s", "US$ 0.50",
        "0123456789ab", "aicd/12/S1", "o/r",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert "gone.txt" not in text


def test_report_comes_first_among_the_links_and_lives_seven_days() -> None:
    links = sign_links(notice(), Signer())  # type: ignore[arg-type]
    assert [link.name for link in links] == ["report.html", "summary.json"]
    assert "s=604800" in links[0].url


def test_of_a_thousand_files_those_are_linked_that_people_ask_for() -> None:
    logs = [{"name": f"logs/{n}.log", "kind": "log", "storage_path": f"r-1/{n}"} for n in range(1000)]
    asked = [
        {"name": f"{kind}.x", "kind": kind, "storage_path": f"r-1/{kind}"} for kind in ("junit", "bundle", "verdict")
    ]
    page = {"name": "report.html", "kind": "report", "storage_path": "r-1/p"}
    links = sign_links(notice(artifacts=[*logs, *asked, page]), Signer())  # type: ignore[arg-type]
    assert [link.name for link in links[:5]] == ["report.html", "verdict.x", "bundle.x", "junit.x", "logs/0.log"]
    assert len(links) == MOST_LINKS


BUCKET = {
    "AICD_ARTIFACT_STORE": "s3://reports/team-1",
    "AICD_S3_REGION": "eu-central-1",
    "AICD_S3_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AICD_S3_SECRET_ACCESS_KEY": "secret-canary-0123456789",
}


def kept_in(store: str) -> Notice:
    page = {"id": "b", "name": "report.html", "storage_path": "r-1/b", "store": store}
    log = {"id": "l", "name": "logs/ä.log", "storage_path": "r-1/l", "store": store, "encoding": "gzip"}
    return notice(artifacts=[log, page])


def test_links_to_a_bucket_are_signed_by_its_own_key_for_seven_days() -> None:
    bucket = read_bucket(Environment(BUCKET))
    page, log = sign_links(kept_in("s3://reports/team-1"), Signer(), bucket)  # type: ignore[arg-type]
    assert page.url.startswith("https://reports.s3.eu-central-1.amazonaws.com/team-1/r-1/b?")
    assert {
        "X-Amz-Expires=604800",
        "response-content-disposition=inline%3B%20filename%2A%3DUTF-8%27%27report.html",
    } <= {*page.url.partition("?")[2].split("&")}
    assert log.name == "logs/ä.log"
    assert "=attachment%3B%20filename%2A%3DUTF-8%27%27%25C3%25A4.log&" in log.url
    assert "canary" not in page.url


@pytest.mark.parametrize("store", ["s3://reports", "s3://reports/team-10", "s3://other/team-1"])
def test_key_of_the_functions_opens_no_other_place_that_a_row_names(store: str) -> None:
    bucket = read_bucket(Environment(BUCKET))
    assert sign_links(kept_in(store), Signer(), bucket) == ()  # type: ignore[arg-type]
    assert sign_links(kept_in(store), Signer()) == ()  # type: ignore[arg-type]


def test_packed_object_of_storage_is_saved_as_a_gzip_file() -> None:
    [link] = sign_links(
        notice(artifacts=[{"id": "l", "name": "a.log", "storage_path": "r-1/l", "encoding": "gzip"}]),
        Signer(),  # type: ignore[arg-type]
    )
    assert link.name == "a.log.gz"
    assert "download=a.log.gz" in link.url


def test_bucket_without_its_keys_is_a_misconfigured_function() -> None:
    environment = Environment({"AICD_ARTIFACT_STORE": "s3://reports"})
    read_bucket(environment)
    with pytest.raises(Misconfigured, match=r"AICD_S3_ACCESS_KEY_ID.*AICD_S3_SECRET_ACCESS_KEY"):
        environment.check()


def test_place_that_is_none_is_told_among_the_other_problems() -> None:
    environment = Environment(BUCKET | {"AICD_ARTIFACT_STORE": "reports"})
    assert read_bucket(environment) is None
    with pytest.raises(Misconfigured, match="AICD_ARTIFACT_STORE"):
        environment.check()


def test_run_that_never_began_says_why() -> None:
    run = {
        "result": "FAILED",
        "summary_json": {"error": {"code": "workflow-not-found", "message": "No workflow there."}},
    }
    text = body(compose_mail(notice(run=run), (), DOMAIN), "plain")
    assert "before the change could be judged" in text
    assert "No workflow there." in text


NO_AGENT = {
    "code": "no-agent",
    "message": "No agent is configured.",
    "fix": "Set `anthropic-api-key`; docs/agents.md says how to do without one.",
}


@pytest.mark.parametrize("kind", ["html", "plain"])
def test_what_only_a_maintainer_can_mend_is_not_asked_of_the_requester(kind: str) -> None:
    run = {"result": "FAILED", "branch": "aicd/12/S1", "summary_json": {"failure": NO_AGENT}}
    text = " ".join(body(compose_mail(notice(run=run), (), DOMAIN), kind).split())
    assert "No agent is configured. The maintainer of o/r has to mend this; send it again after that." in text
    assert "What has to be done: Set `anthropic-api-key`." in text
    assert "docs/" not in text
    assert "aicd/12/S1" not in text, "nothing was pushed there"


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("planning-off", "No. Fix: Send sprints: docs/writing-a-specification.md shows how.", "No. Send sprints."),
        ("workflow-refused", "No. Fix: Start (docs/x.md) it.",
         "No. The maintainer of o/r has to mend this; send it again after that. What has to be done: Start it."),
        ("no-agent", "No.", "No. The maintainer of o/r has to mend this; send it again after that."),
        ("cancelled", "It was cancelled.", "It was cancelled."),
    ],
)  # fmt: skip
def test_remedy_is_told_to_whom_it_is_for(code: str, message: str, told: str) -> None:
    assert say_why({"error": {"code": code, "message": message}}, "o/r") == told


def test_every_code_that_is_a_maintainers_is_one_that_is_raised() -> None:
    sources = [path.read_text() for room in ("action", "functions") for path in (ROOT / room).rglob("*.py")
               if path.name != "mending.py" or path.parent.name == "action"]  # fmt: skip
    assert [code for code in MAINTAINERS if not any(f'"{code}"' in source for source in sources)] == []


@pytest.mark.parametrize("kind", ["html", "plain"])
def test_broken_specification_is_answered_with_each_place_and_an_example(kind: str) -> None:
    problems = [
        {"attachment": "spec.yaml", "path": "planning", "line": 3, "column": 7, "message": "A sprint is missing."},
        {"attachment": "", "path": "", "line": None, "column": None, "message": "Second thing."},
    ]
    text = body(compose_mail(notice(template="spec_invalid", problems=problems), (), DOMAIN), kind)
    assert "spec.yaml, line 3, column 7" in text
    assert "A sprint is missing." in text
    assert "Second thing." in text
    assert "coverage_min: 0.8" in text


@pytest.mark.parametrize("kind", ["html", "plain"])
def test_letter_without_a_repository_is_answered_with_a_letter_that_names_one(kind: str) -> None:
    problems = [{"path": "repository", "message": "Write 'repository: acme/shop'. You may have: acme/shop, acme/x."}]
    text = body(
        compose_mail(notice(template="spec_invalid", reason="repository-missing", problems=problems), (), DOMAIN), kind
    )
    assert "repository: acme/shop\r\n\r\nHello," in text
    assert "coverage_min" not in text


def test_sender_of_no_repository_is_shown_no_example_that_he_could_not_send() -> None:
    problems = [{"path": "repository", "message": "None is set up for you yet."}]
    told = notice(template="spec_invalid", reason="repository-missing", problems=problems)
    for kind in ("html", "plain"):
        text = body(compose_mail(told, (), DOMAIN), kind)
        assert "None is set up" in text
        assert "What to do" not in text


@pytest.mark.parametrize("kind", ["html", "plain"])
def test_lines_that_an_unmet_criterion_means_are_named_below_it(kind: str) -> None:
    said = "1 of 1 tests did not pass; the first is test_a: no."
    unmet = {"id": "lint_pass", "required": True, "actual": False, "status": "failed", "reason": "See below."}
    places = ["ruff: src/a.py:3: F401\nunused", EVIL, "no place", *(f"src/{n}.py:1: E501" for n in range(9))]
    criteria = [
        unmet | {"evidence": [{"not": "text"}, *places]},
        {"id": "unit_pass", "status": "failed", "reason": said, "evidence": ["test_a: no"]},
        {"id": "type_check", "status": "passed", "reason": "fine", "evidence": ["reports/mypy.json"]},
    ]
    run = {"result": "FAILED", "summary_json": {"verdict": {"criteria": criteria}}}
    text = body(compose_mail(notice(run=run), (), DOMAIN), kind)
    assert "ruff: src/a.py:3: F401 unused" in text
    assert "<script>alert" not in text if kind == "html" else "<script>alert(1)</script> Bcc" in text
    assert "src/0.py:1: E501" in text
    assert "src/8.py:1: E501" not in text
    assert text.count("test_a: no") == 1
    assert "reports/mypy.json" not in text


@pytest.mark.parametrize("kind", ["html", "plain"])
@pytest.mark.parametrize(("reason", "corrects"), [("planning-off", False), ("specification-invalid", True)])
def test_letter_that_nobody_plans_is_not_told_to_correct_a_file(reason: str, corrects: bool, kind: str) -> None:
    problems = [{"attachment": "mail text", "path": "", "message": "Nobody plans that for you here."}]
    told = notice(template="spec_invalid", reason=reason, problems=problems)
    text = body(compose_mail(told, (), DOMAIN), kind).lower()
    assert ("correct this" in text) is corrects
    assert ("put your own words" in " ".join(text.split())) is not corrects
    assert "coverage_min: 0.8" in text


@pytest.mark.parametrize("kind", ["html", "plain"])
def test_example_is_for_the_repository_that_the_letter_named(kind: str) -> None:
    problems = [{"attachment": "mail text", "message": "Attach one with 'repo: acme/shop'."}]
    text = body(
        compose_mail(notice(template="spec_invalid", reason="planning-off", problems=problems), (), DOMAIN), kind
    )
    assert "repo: acme/shop\r\nplanning:" in text or "repo: acme/shop\nplanning:" in text


QUESTIONS = [
    {"id": "Q3", "text": f"Which currency? {EVIL}", "blocking": True},
    {"id": "Q4", "text": "Round\nup?", "blocking": False},
]
PLAN = {
    "sprints": [
        {
            "label": "subtract",
            "goals": ["The calculator subtracts"],
            "stories": [{"id": "US1", "want": f"minus {EVIL}", "acceptance": [{"id": "US1.1", "text": "2 - 1 is 1"}]}],
            "dod": {"coverage_min": 0.8, "unit_pass": True, "lint_pass": None, "custom": []},
        }
    ],
    "confidence": 0.87,
    "estimate": {"cost_usd": 1.5, "minutes": 12},
    "questions": [{"id": "Q1", "text": "Blue or red?", "blocking": False}],
}
WAITING = {"id": "s-1", "repo": "o/r", "sprints": [{"id": "7e3a", "label": "subtract", "state": "NEEDS_APPROVAL"},
                                                   {"id": "9b1c", "label": "later", "state": "PLANNED"}]}  # fmt: skip


@pytest.mark.parametrize("kind", ["html", "plain"])
def test_questions_are_numbered_as_they_were_asked_and_say_how_to_answer(kind: str) -> None:
    text = body(compose_mail(notice(template="needs_input", questions=QUESTIONS), (), DOMAIN), kind)
    assert "3." in text
    assert "Round up? " in text
    assert "only if it matters" in text
    assert "Reply to this mail" in text.replace("reply to", "Reply to")
    if kind == "html":
        assert "<script>alert" not in text


@pytest.mark.parametrize("kind", ["html", "plain"])
def test_plan_that_waits_is_shown_with_its_price_and_the_command_that_approves_it(kind: str) -> None:
    told = notice(template="needs_approval", planning=PLAN, spec=WAITING)
    text = body(compose_mail(told, (), DOMAIN), kind)
    for wanted in ("US$ 1.50", "12 min", "87 %", "subtract", "2 - 1 is 1", "coverage_min 0.8", "unit_pass yes",
                   "Blue or red?", "aicd sprint approve 7e3a"):  # fmt: skip
        assert wanted in text, wanted
    assert "9b1c" not in text
    assert "lint_pass" not in text
    if kind == "html":
        assert "<script>alert" not in text


@pytest.mark.parametrize("kind", ["html", "plain"])
def test_plan_that_was_brought_is_shown_without_a_price_and_is_no_letter_to_be_sent_anew(kind: str) -> None:
    told = notice(template="needs_approval", planning={"sprints": PLAN["sprints"]}, spec=WAITING, run=None, sprint=None)
    text = " ".join(body(compose_mail(told, (), DOMAIN), kind).split())
    assert "specification was received" in text.lower()
    assert "aicd sprint approve 7e3a" in text
    for false in ("Estimate", "Confidence", "new letter", "work has begun"):
        assert false not in text, false


@pytest.mark.parametrize("kind", ["html", "plain"])
@pytest.mark.parametrize("planning", [PLAN, {"sprints": PLAN["sprints"]}], ids=["made", "brought"])
def test_mail_in_place_of_a_receipt_says_how_the_mail_was_read(kind: str, planning: dict[str, Any]) -> None:
    left_out = {"message": f"'plan.pdf' was not read. {EVIL}", "note": True}
    told = notice(template="needs_approval", planning=planning, spec=WAITING, problems=[left_out])
    text = " ".join(body(compose_mail(told, (), DOMAIN), kind).split())
    assert "plan.pdf" in text
    assert "send it again" in text
    assert text.count("need not do anything") == 1
    if kind == "html":
        assert "<script>alert" not in text


def test_address_that_is_not_ascii_is_written_as_it_is() -> None:
    """RFC 6532; an encoded word in an address is nobody's (RFC 2047, section 5)."""
    mail = bytes(compose_mail(notice(recipient="jörg@example.org", subject="Grüße"), (), DOMAIN))
    assert "\r\nTo: jörg@example.org\r\n".encode() in mail
    read = email.message_from_bytes(mail, policy=email.policy.SMTPUTF8)
    assert (read["To"], read["Subject"]) == ("jörg@example.org", "Re: Grüße")
    assert bytes(compose_mail(notice(subject="Grüße"), (), DOMAIN)).isascii()


def test_mail_that_asks_stays_in_its_thread_so_that_the_reply_finds_back() -> None:
    mail = parsed(compose_mail(notice(template="needs_input", questions=QUESTIONS), (), DOMAIN))
    assert mail["In-Reply-To"] == "<m1@example.org>"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["Subject"] == "Re: A greeting"


def test_receipt_of_a_letter_says_that_it_is_planned_first() -> None:
    letter = {"id": "s-1", "repo": "o/r", "sprints": [{"label": "planning"}]}
    text = body(compose_mail(notice(template="spec_received", spec=letter, run=None), (), DOMAIN), "plain")
    assert "Your letter was received" in text
    assert "Sprint:" not in text


def test_receipt_names_the_sprints() -> None:
    text = body(compose_mail(notice(template="spec_received", run=None, sprint=None), (), DOMAIN), "plain")
    assert "S1, S2" in text
    assert "s-1" in text


@pytest.mark.parametrize(
    "broken",
    [
        {"run": None, "spec": None, "sprint": None, "artifacts": None, "problems": None},
        {"run": {"summary_json": "text"}, "problems": "text", "artifacts": [1, None]},
        {"run": {"summary_json": {"verdict": {"criteria": [None, {}]}, "cost_usd": "much", "duration_seconds": True}}},
        {"problems": [{"line": "3", "column": 2.5, "message": None}] * 200},
        {"questions": "text", "planning": [1], "spec": {"sprints": 7}},
        {"questions": [None, {"id": None, "text": None}, {"text": "x" * 9_999}] * 50, "planning": {"sprints": [None]}},
        {"planning": {"sprints": [{"dod": [], "stories": [{"acceptance": ["x"]}]}], "estimate": {"cost_usd": "much"}}},
    ],
)
@pytest.mark.parametrize("template", ["spec_received", "spec_invalid", "needs_input", "needs_approval", "report"])
def test_description_with_holes_still_makes_a_mail(template: str, broken: dict[str, Any]) -> None:
    assert len(bytes(compose_mail(notice(template=template, **broken), (Link("x", "https://x"),), DOMAIN))) > 500


@pytest.mark.parametrize(
    ("subject", "reply"),
    [
        ("Hello", "Re: Hello"),
        ("RE: Hello", "RE: Hello"),
        ("AW: Hallo", "AW: Hallo"),
        ("", "Re: your specification"),
        ("a\r\nBcc: x", "Re: a Bcc: x"),
        ("x" * 999, "Re: " + "x" * 200),
    ],
)
def test_subject_gets_one_re_on_one_line(subject: str, reply: str) -> None:
    assert reply_subject(subject) == reply


def test_long_thread_keeps_its_root_and_its_end() -> None:
    references = " ".join(f"<m{number}@x>" for number in range(500))
    kept = thread_of(references, "<m499@x>")
    assert len(kept) == 20
    assert (kept[0], kept[-2], kept[-1]) == ("<m0@x>", "<m498@x>", "<m499@x>")


def test_cancelled_specification_is_told_with_the_reason_and_without_a_run() -> None:
    told = notice(template="spec_cancelled", run=None, sprint=None, artifacts=[], reason=f"Not needed. {EVIL}")
    mail = compose_mail(told, (), DOMAIN)
    assert body(mail, "plain").startswith("CANCELLED")
    for kind in ("plain", "html"):
        assert "Reason: Not needed." in body(mail, kind)
    assert "<script>" not in body(mail, "html")
    assert mail["Bcc"] is None


@pytest.mark.parametrize("kind", ["plain", "html"])
@pytest.mark.parametrize(
    ("stored", "told"), [("The specification was cancelled. not needed", "not needed"), (CANCELLED, "")]
)
def test_reason_of_a_cancelled_specification_stands_apart(stored: str, told: str, kind: str) -> None:
    mail = compose_mail(notice(template="spec_cancelled", reason=stored), (), DOMAIN)
    assert CANCELLED not in body(mail, kind)
    assert ("Reason:" in body(mail, kind)) is bool(told)
    assert f"Reason: {told}".strip() in body(mail, kind) or not told


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_passed_run_says_what_comes_next(kind: str) -> None:
    run = notice().run
    for result, told in (("PASSED", True), ("FAILED", False)):
        facts = notice().model_copy(update={"run": run.model_copy(update={"result": result})})
        assert ("eview the pull request and merge it." in body(compose_mail(facts, (), DOMAIN), kind)) is told


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_operators_notes_are_left_to_the_report(kind: str) -> None:
    said = ["Control plane: a token for every run: reduced", "Runner: shared: reduced", "Tests: as a user of their own"]
    run = {"result": "PASSED", "summary_json": {"isolation": said}}
    text = body(compose_mail(notice(run=run), (), DOMAIN), kind)
    assert "as a user of their own" in text
    assert "reduced" not in text


def test_text_of_the_report_names_three_links_beside_the_report_and_counts_the_others() -> None:
    links = tuple(Link(name, f"https://storage.example/{name}") for name in ("report.html", *"abcdef"))
    text = body(compose_mail(notice(), links, DOMAIN), "plain")
    assert "https://storage.example/c" in text
    assert "https://storage.example/d" not in text
    assert "and 3 more, linked in the HTML part" in text
    assert "https://storage.example/f" in body(compose_mail(notice(), links, DOMAIN), "html")
    assert "and 3 more, linked" in body(compose_mail(notice(), links[1:], DOMAIN), "plain"), "without a report"
    assert "more, linked" not in body(compose_mail(notice(), links[:4], DOMAIN), "plain")


NOTES = [
    {"attachment": "", "path": "", "message": f"2 lines from '{EVIL}' on were not read.", "note": True},
    {"attachment": "spec.yaml", "path": "", "message": "'sprnts' is not a key we know.", "note": True},
    {"attachment": "other.yaml", "path": "", "message": "Of another specification.", "note": True},
]
SPEC = {"id": "s-1", "repo": "o/r", "title": "T", "name": "spec.yaml", "sprints": [{"label": "S1"}]}


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_receipt_tells_how_the_mail_was_read(kind: str) -> None:
    mail = compose_mail(notice(template="spec_received", problems=NOTES, spec=SPEC), (), DOMAIN)
    text = body(mail, kind)
    assert "How your mail was read" in text
    assert "sprnts" in text
    assert "another specification" not in text
    assert "Was something of it meant to be built?" in text
    assert ("<script>" in text) is (kind == "plain")
    assert "\nBcc:" not in text


@pytest.mark.parametrize("kind", ["plain", "html"])
@pytest.mark.parametrize(("note", "again", "correct"), [(NOTES[0], True, False), (NOTES[1], False, True)])
def test_receipt_advises_what_helps_with_what_it_notes(
    note: dict[str, Any], again: bool, correct: bool, kind: str
) -> None:
    mail = compose_mail(notice(template="spec_received", problems=[note], spec=SPEC), (), DOMAIN)
    text = " ".join(body(mail, kind).split())
    assert ("in the words of the mail itself" in text) is again
    assert ("Correct the line and send it again, if it was meant." in text) is correct
    assert "Otherwise you need not do anything." in text


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_receipt_of_a_mail_that_was_read_whole_says_nothing_of_reading(kind: str) -> None:
    text = body(compose_mail(notice(template="spec_received", spec=SPEC), (), DOMAIN), kind)
    assert "How your mail was read" not in text
    assert "You need not do anything." in text


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_refusal_tells_how_the_mail_was_read_apart_from_what_is_wrong(kind: str) -> None:
    problems = [{"attachment": "spec.yaml", "path": "meta", "line": 1, "message": "'meta' is missing."}, NOTES[0]]
    text = body(compose_mail(notice(template="spec_invalid", problems=problems, spec=None), (), DOMAIN), kind)
    assert "One thing has to be put right" in text
    assert "How your mail was read" in text


def test_notes_of_a_hostile_number_and_length_are_bounded() -> None:
    many = [{"attachment": "a" * 999, "message": "m" * 9_999, "note": True}] * 40
    found = notice(template="spec_received", problems=many, spec=SPEC | {"name": ""}).notes
    assert len(found) == 15
    assert max(len(one.message) for one in found) == 400
