"""publish: the branch, the pull request, the report in its forms, and the artifacts to Storage.

It runs also after a failure, so that the requester gets a report whatever happened. What cannot be published is noted
as a failure, and the rest goes on; the first trouble is raised at the end.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from action.context import Context
from action.costs import spent_usd
from action.gitrepo.git import Remote, git
from action.gitrepo.push import push_branch
from action.publish.annotations import Annotation, annotate
from action.publish.announce import announce
from action.publish.artifacts import Artifact, artifact_of, collect_files, redact
from action.publish.automerge import ask_to_merge, take_back_merge
from action.publish.bundle import NAME as BUNDLE_NAME
from action.publish.bundle import pack_bundle
from action.publish.compose import compose_report
from action.publish.markdown import marker, write_body, write_report, write_title
from action.publish.page import write_page
from action.publish.pullrequest import Opened, Wanted, connect, open_pull_request
from action.publish.sarif import write_sarif
from action.publish.screenshots import find_screenshots
from action.publish.shelves import open_shelf
from action.publish.signing import Signer, load_signer
from action.publish.trace import trace_acceptance
from action.publish.upload import upload
from action.run import BuildOutcome, Failure, Published, Run
from controlplane.change import EMPTY_TREE, Change
from controlplane.errors import AicdError, NotAllowed
from controlplane.evidence import Evidence
from controlplane.plan import Sprint
from controlplane.report import ArtifactNote, Earlier, Report, summarise
from controlplane.states import Result
from controlplane.verdict import Verdict
from controlplane.version import installed_version

if TYPE_CHECKING:
    from github.Repository import Repository

MAX_PATCH = 5 * 2**20


def run(context: Context) -> int:
    started = context.run()
    context.keep_interruption()
    report = compose(context, started)
    published, trouble = _deliver(context, started, report)
    if trouble is not None:
        context.keep_failure(trouble)
        report = compose(context, started)
    report = with_places(context, started, report, published)
    if published.note:
        report = report.model_copy(update={"notes": (*report.notes, published.note)})
    report = report.model_copy(update={"notes": (*report.notes, *_announce(context, started, report, published))})
    artifacts = write_reports(context, report)
    context.folder.save("published", published)
    late = keep_artifacts(context, started, artifacts)
    if late is None:
        context.folder.save("published", published.model_copy(update={"kept": True}))
    else:
        context.keep_failure(late)
    _tell(context, report)
    if first := trouble or late:
        raise first
    return 0


def compose(context: Context, started: Run) -> Report:
    """The report of what the run folder holds by now."""
    load = context.folder.load
    return compose_report(
        started,
        load("sprint", Sprint) or Sprint(label=started.sprint_label),
        change=load("change", Change),
        outcome=load("build", BuildOutcome),
        evidence=load("evidence", Evidence),
        verdict=load("verdict", Verdict),
        failure=load("failure", Failure),
        ended_at=datetime.datetime.now(datetime.UTC),
        earlier=_earlier(context, started),
        cost_usd=spent_usd(context),
    )


def with_places(context: Context, started: Run, report: Report, published: Published) -> Report:
    """The report with what its links lead to: nothing where the commit cannot be seen in a browser."""
    is_seen = published.pushed and _is_web(started.remote_url)
    page = f"{context.settings.github.server_url}/{started.repository}" if is_seen else ""
    return report.model_copy(update={"pull_request_url": published.pull_request_url, "web_url": page})


def _earlier(context: Context, started: Run) -> Earlier | None:
    """The figures to compare with, asked for once. A report without them is a report."""
    if context.store is None or not started.controlled:
        return None
    known = context.folder.load("earlier", Earlier)
    if known is None:
        try:
            known = Earlier.model_validate(context.store.describe_earlier_run(started.run_id, started.base) or {})
        except (AicdError, ValidationError) as error:
            context.console.warning(f"There are no earlier figures: {error}", title="earlier-run")
            return None
        context.folder.save("earlier", known)
    return known if known.commit else None


def _is_web(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def write_reports(context: Context, report: Report) -> list[Artifact]:
    """Write report/ and return everything that is to be kept, the report's own files first."""
    secrets = context.settings.secrets()
    trace = trace_acceptance(report.sprint, report.cases)
    markdown = redact(write_report(report, trace).encode(), secrets)
    evidence = _evidence(context, secrets)
    evidence += _bundle(context, report, evidence)
    found = [artifact.note(report.run_id) for artifact in evidence]
    page = redact(write_page(report, trace, find_screenshots(evidence), found).encode(), secrets)
    kept = [artifact_of("report", "report.html", page), artifact_of("report", "report.md", markdown), *evidence]
    notes = tuple(artifact.note(report.run_id) for artifact in kept)
    own = ArtifactNote(kind="summary", name="summary.json", content_type="application/json")
    summary = json.dumps(summarise(report.model_copy(update={"artifacts": (*notes, own)})), indent=2) + "\n"
    kept.insert(0, artifact_of("summary", "summary.json", redact(summary.encode(), secrets)))
    for artifact in kept:
        if artifact.name in ("summary.json", "report.html", "report.md", "verdict.sarif"):
            context.folder.save_text(f"report/{artifact.name}", artifact.read().decode())
    return kept


def _bundle(context: Context, report: Report, kept: list[Artifact]) -> list[Artifact]:
    """The evidence bundle, also beside the report; nothing where there is no verdict."""
    patch = next((artifact.read() for artifact in kept if artifact.name == "change.patch"), None)
    secrets = context.settings.secrets()
    packed = pack_bundle(context.folder, report, patch, _signer(context), secrets)
    if packed is None:
        return []
    (context.folder.report / BUNDLE_NAME).write_bytes(packed)
    return [artifact_of("bundle", BUNDLE_NAME, packed)]


def tell_bundle(context: Context) -> None:
    """Say where the bundle lies and which hash it has, for whoever attests it; nothing where there is none."""
    path = context.folder.report / BUNDLE_NAME
    if path.exists():
        context.console.set_output("bundle-path", str(path))
        context.console.set_output("bundle-sha256", hashlib.sha256(path.read_bytes()).hexdigest())


def _signer(context: Context) -> Signer | None:
    """None without a key, and with one that cannot be used: the bundle then says that it is unsigned."""
    key = context.settings.target.signing_key.get_secret_value()
    try:
        return load_signer(key) if key else None
    except AicdError as error:
        context.console.warning(f"The evidence bundle is unsigned: {error}", title="signing-key")
        return None


def _evidence(context: Context, secrets: tuple[str, ...]) -> list[Artifact]:
    """verdict.json, the patch, what verify measured, and the logs."""
    folder = context.folder
    found = []
    verdict = folder.load("verdict", Verdict)
    if verdict is not None:
        text = json.dumps(verdict.as_json(), indent=2, ensure_ascii=False) + "\n"
        found.append(artifact_of("verdict", "verdict.json", redact(text.encode(), secrets)))
        sarif = write_sarif(verdict, _annotations(context), installed_version())
        found.append(artifact_of("sarif", "verdict.sarif", redact(sarif.encode(), secrets)))
    change = folder.load("change", Change)
    if change is not None:
        diff = git(change.repository, "diff", "--binary", "--no-renames", change.base, change.head).stdout
        if len(diff) <= MAX_PATCH:
            found.append(artifact_of("patch", "change.patch", redact(diff, secrets)))
    places = (("", folder.path / "reports"), ("logs/", folder.path / "logs"), ("logs/", folder.agent_logs))
    return [*found, *collect_files(places, secrets)]


def _deliver(context: Context, started: Run, report: Report) -> tuple[Published, AicdError | None]:
    """Push and open the pull request, where there is a verdict and nothing failed before."""
    change, verdict = context.folder.load("change", Change), report.verdict
    if change is None or verdict is None or report.failing is not None:
        return Published(note="Nothing was pushed, because the run did not get as far as a verdict."), None
    refusals = context.folder.require("build", BuildOutcome, "build").refusals
    if refusals:
        return Published(note=f"Nothing was pushed: {refusals[0].path or 'the change'}: {refusals[0].reason}."), None
    try:
        _take_back_merge(context, started, report)
        _push(context, started, change)
    except AicdError as error:
        return Published(note="The branch could not be pushed."), error
    try:
        published = _open(context, started, report)
        _record(context, started, change, published)
    except AicdError as error:
        return Published(pushed=True, note="The branch was pushed; its pull request could not be opened."), error
    return published, None


def _push(context: Context, started: Run, change: Change) -> None:
    remote = Remote(started.remote_url, context.settings.target.github_token)
    limit = context.settings.target.max_changed_lines
    push_branch(
        remote, context.folder.repository, change.head, started.branch, started.base, started.remote_head, limit,
        context.kept_out(),
    )  # fmt: skip
    context.console.say(f"Pushed {change.head[:12]} as {started.branch}")


def _take_back_merge(context: Context, started: Run, report: Report) -> None:
    """Work that failed is never pushed into a pull request that would merge it, whatever this run was told: an earlier
    one may have been told otherwise, and a reviewer may have asked for it by hand."""
    target = context.settings.target
    token = target.github_token.get_secret_value()
    if report.result is Result.PASSED or not (token and _is_web(started.remote_url)):
        return
    repository = connect(context.settings.github.api_url, token, started.repository)
    try:
        if take_back_merge(repository, started.repository, started.branch):
            context.console.say("Its pull request does not merge by itself any more.")
    except NotAllowed as error:
        if target.pull_request != "none":
            raise
        # A token that is only to push may not be able to look.
        context.console.warning(f"Whether a pull request of the branch merges by itself cannot be seen: {error}")


def _ask_to_merge(context: Context, report: Report, repository: Repository, opened: Opened) -> str:
    """What became of `auto-merge`, for the report; empty where it was not asked for."""
    if not context.settings.target.auto_merge or report.result is not Result.PASSED or not opened.is_ours:
        return ""
    if opened.draft:
        return "It does not merge by itself, because it is a draft."
    return ask_to_merge(repository, opened.number, report.commit)


def _open(context: Context, started: Run, report: Report) -> Published:
    reason = _why_no_pull_request(context, started)
    if reason:
        return Published(pushed=True, note=reason)
    report = with_places(context, started, report, Published(pushed=True))
    trace = trace_acceptance(report.sprint, report.cases)
    wanted = Wanted(
        head=started.branch,
        base=started.target,
        title=context.console.redact(write_title(report)),
        body=context.console.redact(write_body(report, trace)),
        # A change that does not meet its Definition of Done is never offered as ready.
        draft=report.result is Result.FAILED or context.settings.target.pull_request == "draft",
        marker=marker(report),
    )
    token = context.settings.target.github_token.get_secret_value()
    repository = connect(context.settings.github.api_url, token, started.repository)
    opened: Opened = open_pull_request(repository, started.repository, wanted)
    context.console.say(f"Pull request: {opened.url}{' (draft)' if opened.draft else ''}")
    merging = _ask_to_merge(context, report, repository, opened)
    return Published(
        pushed=True,
        pull_request_url=opened.url,
        pull_request_number=opened.number,
        draft=opened.draft,
        note=" ".join(part for part in (opened.note, merging) if part),
    )


def _announce(context: Context, started: Run, report: Report, published: Published) -> tuple[str, ...]:
    """The check run and the comment, where the commit is at GitHub; notes of what could not be done."""
    token = context.settings.target.github_token.get_secret_value()
    if not (published.pushed and token and _is_web(started.remote_url)):
        return ()
    repository = connect(context.settings.github.api_url, token, started.repository)
    number = published.pull_request_number
    return announce(repository, report, _annotations(context), number, context.console.redact)


def _annotations(context: Context) -> tuple[Annotation, ...]:
    evidence, verdict = context.folder.load("evidence", Evidence), context.folder.load("verdict", Verdict)
    return annotate(evidence, verdict) if evidence is not None and verdict is not None else ()


def _why_no_pull_request(context: Context, started: Run) -> str:
    """Empty when one is to be opened."""
    if context.settings.target.pull_request == "none":
        return "No pull request was asked for (`pull-request: none`)."
    if started.base == EMPTY_TREE:
        return "The repository was empty, so there is nothing that a pull request could target."
    if not _is_web(started.remote_url):
        return "The target is a folder of this machine: the branch is there, a pull request cannot be."
    if not context.settings.target.github_token.get_secret_value():
        return "There is no `github-token`, so no pull request was opened."
    return ""


def _record(context: Context, started: Run, change: Change, published: Published) -> None:
    if context.store is None or not started.controlled:
        return
    noted = {"branch": started.branch, "commit": change.head, "draft": published.draft}
    if published.pull_request_url:
        noted |= {"url": published.pull_request_url, "number": published.pull_request_number}
    context.store.record_pull_request(started.run_id, noted)


def keep_artifacts(context: Context, started: Run, artifacts: list[Artifact]) -> AicdError | None:
    """Send everything to where artifacts are kept; the error that stopped it, if one did. Sending it again changes
    nothing."""
    ledger = context.store if started.controlled else None
    try:
        with open_shelf(context.settings, ledger) as shelf:
            if shelf is None:
                return None
            upload(shelf, ledger, started.run_id, artifacts)
    except AicdError as error:
        return error
    context.console.say(f"{len(artifacts)} artifacts are kept{f' in {shelf.store}' if shelf.store else ''}")
    return None


def _tell(context: Context, report: Report) -> None:
    context.console.write_summary((context.folder.report / "report.md").read_text(encoding="utf-8"))
    outputs = {
        "pull-request-url": report.pull_request_url,
        "cost-usd": "" if report.cost_usd is None else f"{report.cost_usd:g}",
        "summary-path": str(context.folder.report / "summary.json"),
        "report-path": str(context.folder.report / "report.html"),
    }
    for name, value in outputs.items():
        context.console.set_output(name, value)
    tell_bundle(context)
