"""Packing the evidence bundle: what was measured, what was asked for, the verdict, and one manifest over all of it.

One zip without compression and without clock times, so that the same evidence gives the same bytes but for `times`.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from action.publish.artifacts import redact
from action.publish.signing import Signer
from action.run import BuildOutcome
from action.runfolder import RunFolder, to_plain
from controlplane.bundle import ENVELOPE, BundleFile, BundleManifest, canonical, envelope_of, signed_bytes, statement_of
from controlplane.evidence import Evidence
from controlplane.plan import Sprint
from controlplane.report import Report
from controlplane.verdict import Verdict
from controlplane.version import installed_version

NAME = "evidence-bundle.zip"
MAX_FILE_BYTES = 20 * 2**20
MAX_TOTAL_BYTES = 60 * 2**20  # the bucket's limit is 100 MiB
MAX_FILES = 1000
NAME_FORM = re.compile(r"[^/\\\x00-\x1f][^\\\x00-\x1f]{0,499}")  # others are no names for a manifest
VERSION_FORM = re.compile(r"[\w.+() -]{1,60}")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip can name


def pack_bundle(
    folder: RunFolder, report: Report, patch: bytes | None, signer: Signer | None, secrets: Sequence[str]
) -> bytes | None:
    """The zip's bytes; None where there is no verdict to vouch for. Secrets are cut out before anything is hashed."""
    files = _nouns(folder)
    if files is None or report.verdict is None:
        return None
    if patch is not None:
        files["change.patch"] = patch
    files = {name: redact(data, tuple(secrets)) for name, data in files.items()}
    left_out = _add_reports(files, folder.path / "reports", tuple(secrets))
    manifest = BundleManifest(
        repository=report.repository,
        branch=report.branch,
        base=report.base,
        head=report.commit,
        spec_id=report.spec_id,
        spec_sha256=report.spec_sha256,
        plan_sha256=hashlib.sha256(files["sprint.json"]).hexdigest(),
        run_id=report.run_id,
        ci_url=report.ci_url,
        result=report.verdict.result,
        cost_usd=report.cost_usd,
        isolation=report.isolation,
        tools=_tools(folder),
        times={"started_at": report.started_at, "duration_seconds": report.duration_seconds},
        files=tuple(describe(name, files[name]) for name in sorted(files)),
        left_out=left_out,
    )
    return zip_files({ENVELOPE: seal(manifest, signer), **files})


def seal(manifest: BundleManifest, signer: Signer | None) -> bytes:
    """The envelope around the manifest; unsigned without a signer, and then it says so."""
    if signer is None:
        return envelope_of(canonical(statement_of(manifest.model_copy(update={"public_key": ""}))))
    payload = canonical(statement_of(manifest.model_copy(update={"public_key": signer.public_key})))
    return envelope_of(payload, signer.key_id, signer.sign(signed_bytes(payload)))


def describe(name: str, data: bytes) -> BundleFile:
    return BundleFile(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def write_verdict(verdict: Verdict) -> bytes:
    """verdict.json as it is everywhere: what `gate --json` prints."""
    return (json.dumps(verdict.as_json(), indent=2, ensure_ascii=False) + "\n").encode()


def zip_files(files: Mapping[str, bytes]) -> bytes:
    """The same files give the same bytes: sorted, stored, and with nothing of the machine in it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name])
    return target.getvalue()


def _tools(folder: RunFolder) -> dict[str, str]:
    """What judged, what measured, and Claude Code where it built. `python` is the tests' own where that is known."""
    evidence = folder.load("evidence", Evidence) or Evidence()
    judged = {"aicd": installed_version(), "python": platform.python_version()}
    judged |= {"judge-python": platform.python_version()} if "python" in evidence.tools else {}
    claude = _claude_version(folder.path / "executions.jsonl")
    return {**judged, **evidence.tools, **({"claude": claude} if claude else {})}


def _claude_version(executions: Path) -> str:
    """Of the last attempt; empty where another agent built. The file may come from the job that ran the agent."""
    try:
        *_, last = executions.read_text(encoding="utf-8").splitlines()
        told = json.loads(last)["metadata"]["claude_code"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return told if isinstance(told, str) and VERSION_FORM.fullmatch(told) else ""


def _nouns(folder: RunFolder) -> dict[str, bytes] | None:
    """Everything that the verdict is computed from, whole."""
    evidence, sprint = folder.load("evidence", Evidence), folder.load("sprint", Sprint)
    verdict, outcome = folder.load("verdict", Verdict), folder.load("build", BuildOutcome)
    if evidence is None or sprint is None or verdict is None:
        return None
    refusals = [to_plain(one) for one in outcome.refusals] if outcome else []
    return {
        "evidence.json": canonical(to_plain(evidence)),
        "sprint.json": canonical(to_plain(sprint)),
        "refusals.json": canonical(refusals),
        "verdict.json": write_verdict(verdict),
    }


def _add_reports(files: dict[str, bytes], folder: Path, secrets: tuple[str, ...]) -> tuple[BundleFile, ...]:
    """Plain files of `folder` as `reports/…`; what does not fit is returned by its hash. Links are not followed."""
    left_out = []
    total = 0
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if path.is_symlink() or not path.is_file():
            continue
        name = f"reports/{path.relative_to(folder).as_posix()}"
        if not NAME_FORM.fullmatch(name):
            continue
        size = path.stat().st_size
        if size > MAX_FILE_BYTES or total + size > MAX_TOTAL_BYTES or len(files) >= MAX_FILES:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            left_out.append(BundleFile(name=name, size=size, sha256=digest))
            continue
        files[name] = redact(path.read_bytes(), secrets)
        total += size
    return tuple(left_out)
