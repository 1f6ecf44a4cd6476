"""The report as GitHub shows it: the step summary, and the pull request's title and body."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping

from action.gate.render import escape_markdown, verdict_markdown
from action.publish.places import link_to, where
from action.publish.trends import compared_with, find_trends
from action.publish.wording import block, code, duration, percent
from controlplane.report import Report
from controlplane.states import Result

MAX_BODY = 65_000  # GitHub refuses a body of more than 65,536 characters
MAX_TITLE = 200
MAX_CRITERIA = 30_000
MAX_SPOTS = 20
MAX_NOTES = 20
SAID = {"better": " (better)", "worse": " (worse)"}


def write_report(report: Report, trace: Mapping[str, tuple[str, ...]]) -> str:
    """report.md. `trace` is acceptance id → tests that name it."""
    parts = [_headline(report), _criteria(report), spots_markdown(report), trends_markdown(report)]
    parts += [
        _acceptance(report, trace),
        _tests(report),
        _coverage(report),
        _attempts(report),
        _files(report),
        _facts(report),
    ]
    return "\n".join(part for part in parts if part)


def write_title(report: Report) -> str:
    """At most MAX_TITLE characters; a title is plain text, but mentions in it still notify."""
    goal = report.sprint.goals[0] if report.sprint.goals else report.title
    plain = " ".join(f"{report.sprint.label}: {goal}".split()).replace("@", "@\u200b").replace("#", "#\u200b")
    marked = plain if report.result is Result.PASSED else f"[not done] {plain}"
    return marked if len(marked) <= MAX_TITLE else marked[: MAX_TITLE - 1] + "…"


def write_body(report: Report, trace: Mapping[str, tuple[str, ...]]) -> str:
    """The pull request's description; its parts are left out from the end until it fits."""
    parts = [
        marker(report),
        _headline(report),
        _criteria(report),
        spots_markdown(report),
        trends_markdown(report),
        _acceptance(report, trace),
        _evidence_note(report),
        _reproduce(report),
        _coverage(report),
    ]
    kept = [part for part in parts if part]
    while len("\n".join(kept)) > MAX_BODY and len(kept) > 2:
        kept.pop()
    return "\n".join(kept)[:MAX_BODY]


def marker(report: Report) -> str:
    """By this line we know a pull request as ours."""
    return f"<!-- aicd spec={report.spec_id} sprint={report.sprint.label} -->"


def _headline(report: Report) -> str:
    if report.result is Result.PASSED:
        met = len(report.verdict.criteria) if report.verdict else 0
        said = f"## ✅ The Definition of Done is met\n\nAll {met} criteria passed, measured from a clean checkout."
    elif report.failing is not None:
        said = f"## ❌ This run failed in {report.failing.phase}\n\n{escape_markdown(report.failing.message, 1000)}"
        said += f"\n\n**What to do:** {escape_markdown(report.failing.fix, 1000)}" if report.failing.fix else ""
    else:
        missing = len(report.verdict.failing()) if report.verdict else 0
        total = len(report.verdict.criteria) if report.verdict else 0
        said = f"## ❌ The Definition of Done is not met\n\n{missing} of {total} criteria did not pass."
    return said + "\n"


def _criteria(report: Report, limit: int = MAX_CRITERIA) -> str:
    return verdict_markdown(report.verdict, limit) if report.verdict else ""


def _acceptance(report: Report, trace: Mapping[str, tuple[str, ...]]) -> str:
    if not report.sprint.stories:
        return ""
    lines = ["### What was asked", ""]
    for story in report.sprint.stories:
        lines.append(f"**{escape_markdown(story.id)}**: {escape_markdown(story.want or story.id, 500)}")
        for line in story.acceptance:
            tests = trace.get(line.id, ())
            proof = f" — proven by {', '.join(code(test, 160) for test in tests[:3])}" if tests else ""
            lines.append(f"- {'✅' if tests else '◻️'} {code(line.id)} {escape_markdown(line.text, 500)}{proof}")
        lines.append("")
    return "\n".join(lines)


def spots_markdown(report: Report, most: int = MAX_SPOTS) -> str:
    """What to look at, each with its place; a link where the place can be seen at GitHub."""
    if not report.spots:
        return ""
    lines = ["### Where to look", ""]
    for spot in report.spots[:most]:
        link, place = link_to(report, spot), code(where(spot), 200)
        said = f"{escape_markdown(spot.title, 160)}: {escape_markdown(spot.message, 200)}"
        lines.append(f"- {'❌' if spot.level == 'error' else '⚠️'} {f'[{place}]({link})' if link else place} {said}")
    lines += [f"- … and {len(report.spots) - most} more"] if len(report.spots) > most else []
    return "\n".join([*lines, ""])


def trends_markdown(report: Report) -> str:
    """Figures before and now; nothing where no verdict was reached."""
    if report.verdict is None:
        return ""
    trends = find_trends(report)
    rows = [f"| {one.name} | {one.before} | {one.now} | {one.change}{SAID.get(one.sign, '')} |" for one in trends]
    table = ["| | before | now | change |", "|---|---:|---:|---:|", *rows, ""] if rows else []
    return "\n".join(["### Since the run before", "", escape_markdown(compared_with(report.earlier), 300), "", *table])


def _tests(report: Report) -> str:
    broken = [case for case in report.cases if case.outcome in ("failed", "error")]
    if not broken:
        return ""
    lines = ["### Failing tests", ""]
    for case in broken[:20]:
        lines += [f"<details><summary>{code(case.node_id)}</summary>", "", block(case.message), "", "</details>", ""]
    lines += [f"… and {len(broken) - 20} more."] if len(broken) > 20 else []
    return "\n".join(lines)


def _coverage(report: Report) -> str:
    gaps = [one for one in report.covered if one.missing][:20]
    if not gaps:
        return ""
    rows = [f"| {code(one.path)} | {percent(one.ratio)} | {escape_markdown(ranges(one.missing))} |" for one in gaps]
    return "\n".join(["### Lines without a test", "", "| file | covered | missing lines |", "|---|---|---|", *rows, ""])


def _attempts(report: Report) -> str:
    if len(report.attempts) < 2:
        return ""
    lines = ["### Attempts", ""]
    for one in report.attempts:
        missed = f", missed {', '.join(code(name) for name in one.failing)}" if one.failing else ""
        lines.append(f"{one.number}. {one.verdict or 'judged at the end'}{missed} ({duration(one.duration_seconds)})")
    return "\n".join(lines) + "\n"


def _files(report: Report) -> str:
    if not report.files:
        return ""
    rows = [f"| {code(file.path)} | {_count(file.added)} | {_count(file.removed)} |" for file in report.files[:100]]
    more = [f"\n… and {len(report.files) - 100} more."] if len(report.files) > 100 else []
    return "\n".join(["### Files changed", "", "| file | added | removed |", "|---|---:|---:|", *rows, *more, ""])


def _facts(report: Report) -> str:
    facts = [
        ("repository", code(report.repository)),
        ("branch", code(report.branch)),
        ("commit", code(report.commit[:12]) if report.commit else "none"),
        ("agent", code(report.agent) if report.agent else "none"),
        ("cost", f"{report.cost_usd:.4f} USD" if report.cost_usd is not None else "not told"),
        ("time", duration(report.duration_seconds)),
        *(("isolation", escape_markdown(said, 400)) for said in report.isolation),
        *(("note", escape_markdown(note, 400)) for note in report.notes[:MAX_NOTES]),
    ]
    return "\n".join(["### The run", "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts), ""])


def _evidence_note(report: Report) -> str:
    where = f"The [workflow run]({report.ci_url}) holds the log. " if report.ci_url else ""
    return (
        f"### Evidence\n\n{where}The full report was sent to the requester; "
        f"run {code(report.run_id)}, commit {code(report.commit[:12])}, base {code(report.base[:12])}.\n"
    )


def _reproduce(report: Report) -> str:
    """Exact commands, of text that is ours alone: ids, and the Definition of Done as JSON."""
    dod = json.dumps(report.sprint.dod.model_dump(mode="json", exclude_none=True, exclude_defaults=True), indent=1)
    fetch = f"git fetch origin {shlex.quote(report.branch)}"
    measure = f"aicd verify --repo . --base {report.base} --head {report.commit} --dod dod.json"
    commands = f"{fetch}\n{measure}"
    return "\n".join(
        [
            "<details><summary>Measure it yourself</summary>",
            "",
            "Save this as `dod.json`:",
            "",
            block(dod, "json"),
            "",
            block(commands, "sh"),
            "",
            "</details>",
            "",
        ]
    )


def ranges(lines: Iterable[int]) -> str:
    """1, 2, 3, 7 → `1–3, 7`."""
    spans: list[list[int]] = []
    for line in sorted(lines):
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    shown = [str(first) if first == last else f"{first}–{last}" for first, last in spans]
    return ", ".join(shown[:12]) + (f" and {len(shown) - 12} more" if len(shown) > 12 else "")


def _count(number: int | None) -> str:
    return "binary" if number is None else str(number)
