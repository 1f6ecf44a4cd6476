"""The demo: the main job on one machine, with a mail, a repository, and a recorded agent of ours or Claude.

Everything but the mailbox, GitHub and, without a key, the agent's thinking is the product itself; the output says what
is not.
"""

from __future__ import annotations

import email
import email.policy
import html
import re
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from controlplane.errors import BrokenPromise
from local.demo_agent import MATERIAL, DemoAgent
from local.stack.correspondent import prepare_project
from local.stack.double_setup import repository_path
from local.stack.journey import Journey, follow, hand_in
from local.stack.observation import SeenEvent, SeenRun
from local.stack.places import make_private
from local.stack.supervisor import Stack, StackOptions

REPOSITORY = "customer/fairsplit"
SENDER = "ada@customer.example"
KEPT_DEMOS = 5


@dataclass(frozen=True)
class DemoResult:
    """What a demo leaves on disk, below `folder`."""

    journey: Journey
    run: SeenRun
    folder: Path
    repository: Path
    report_mail: Path
    report_page: Path
    evidence: Path
    runner: str
    duration_seconds: float

    def as_json(self) -> dict[str, Any]:
        """The contract's shape for `aicd demo --json`."""
        summary = self.run.summary or {}
        return {
            "result": self.run.result.value if self.run.result else None,
            "spec_id": self.journey.observation.specs[0].spec_id,
            "run_id": self.run.run_id,
            "pull_request_url": self.run.pull_request_url,
            "repository": str(self.repository),
            "branch": self.run.branch,
            "commit": self.run.commit,
            "report_mail": str(self.report_mail),
            "verdict": summary.get("verdict"),
            "iterations": summary.get("iterations"),
            "duration_seconds": round(self.duration_seconds, 2),
        }


def run_demo(
    home: Path,
    choose_agent: Callable[[Path], DemoAgent],
    *,
    pg_bin: Path | None = None,
    timeout_seconds: float = 300.0,
    say: Callable[[str], None],
    on_event: Callable[[SeenEvent], None],
) -> DemoResult:
    """Start a stack of its own, send the mail, follow it to its end, keep the results, stop the stack.

    `choose_agent` is told the folder in which its agent may install itself.
    """
    started = time.monotonic()
    name = f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
    results = make_private(make_private(home, traversable=True) / "demos" / name)
    _forget_old_demos(results.parent)
    agent = choose_agent(home / name / "agent")
    options = StackOptions(
        data=home / name,
        ephemeral=True,
        fixed_ports=False,
        pg_bin=pg_bin,
        variables=agent.variables,
        runner_environment=agent.runner_environment,
        planner=agent.plans,
        messages_double=agent.uses_double,
    )
    say("starting the embedded stack: Postgres, Supabase gateway, functions, doubles of Gmail and GitHub")
    with Stack(options) as stack:
        identity = stack.identity
        say(f"the stack is up after {time.monotonic() - started:.1f} s; jobs are run by {identity.runner}")
        agent.install(options.data / "agent")
        prepare_demo_project(stack, agent.secrets)
        say(f"{SENDER} sends a mail for {REPOSITORY}")
        for line in agent.said:
            say(line)
        handed = hand_in(identity, agent.mail.read_bytes(), authenticated=True)
        journey = follow(
            identity,
            handed,
            timeout_seconds=timeout_seconds,
            replies_folder=results / "mails",
            on_event=on_event,
            check=stack.check,
        )
        if problems := stack.problems():
            raise BrokenPromise("A double saw what a published schema does not allow: " + "; ".join(problems[:5]))
        run = _only_run(journey)
        evidence = _fetch_evidence(_report_page(journey), identity.url("api"), results / "evidence")
        repository = results / "repository.git"
        shutil.copytree(repository_path(identity, REPOSITORY), repository)
        runner = identity.runner
    report_mail = _report_mail(journey)
    return DemoResult(
        journey=journey,
        run=run,
        folder=results,
        repository=repository,
        report_mail=report_mail,
        report_page=_report_page(journey),
        evidence=evidence,
        runner=runner,
        duration_seconds=time.monotonic() - started,
    )


def prepare_demo_project(stack: Stack, secrets: dict[str, str] | None = None) -> None:
    """The customer's repository with its first package, and the sender on the allow-list."""
    from local.administration import Administration

    source = MATERIAL / "repository"
    files = {
        str(path.relative_to(source)): path.read_text()
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    prepare_project(stack.identity, REPOSITORY, files=files, secrets=secrets)
    with Administration(stack.identity.db_url) as operator:
        operator.allow_sender(SENDER, REPOSITORY)


def _only_run(journey: Journey) -> SeenRun:
    runs = [run for spec in journey.observation.specs for sprint in spec.sprints for run in sprint.runs]
    if len(runs) != 1:
        reason = f"{journey.observation.state}: {journey.observation.reason}"
        raise BrokenPromise(f"The demo's mail should make one run; it made {len(runs)} ({reason}).")
    return runs[0]


def _report_mail(journey: Journey) -> Path:
    if not journey.replies:
        raise BrokenPromise("No report mail came back.")
    return journey.replies[-1]


def _report_page(journey: Journey) -> Path:
    """The report mail's HTML part, saved beside it for a browser."""
    report_mail = _report_mail(journey)
    page = report_mail.with_suffix(".html")
    if not page.exists():
        message = email.message_from_bytes(report_mail.read_bytes(), policy=email.policy.default)
        body = message.get_body(("html", "plain"))
        page.write_text(body.get_content() if body else "")
    return page


def _fetch_evidence(page: Path, api: str, folder: Path) -> Path:
    """Follow the mail's signed links while the stack still answers, as its reader would. Raises BrokenPromise."""
    links = re.findall(r'href="([^"]+)"[^>]*>([^<]+)<', page.read_text())
    for link, name in ((html.unescape(link), html.unescape(name)) for link, name in links if link.startswith(api)):
        answer = httpx.get(link, timeout=30)
        target = (folder / name).resolve()
        if answer.is_error or not target.is_relative_to(folder.resolve()):
            raise BrokenPromise(f"The report mail's link to {name} does not work (HTTP {answer.status_code}).")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(answer.content)
    if not (folder / "report.html").exists():
        raise BrokenPromise("The report mail has no link to the report.")
    return folder


def _forget_old_demos(folder: Path) -> None:
    for old in sorted(folder.iterdir())[:-KEPT_DEMOS]:
        shutil.rmtree(old, ignore_errors=True)
