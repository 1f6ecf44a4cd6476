"""Checking an evidence bundle: signature, every hash, nothing missing or added, and the verdict computed once more.

Nothing of a bundle is believed before it is checked, and nothing of it is ever run. Later checks look only at what the
earlier ones found to be what the manifest says.
"""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from action.evidence import read_reports
from action.gate.judge import judge
from action.gitrepo.protected import Refusal
from action.measure import hold_refusals
from action.publish.bundle import describe, write_verdict
from action.publish.signing import is_signed_by, key_id_of
from controlplane.bundle import ENVELOPE, BundleManifest, canonical, signed_bytes, statement_of
from controlplane.evidence import Evidence, EvidenceFile
from controlplane.noun import Noun
from controlplane.plan import Plan, Sprint

RECOUNTED = ("junit", "coverage", "lint", "sarif")
NEEDED = ("evidence.json", "refusals.json", "sprint.json", "verdict.json")


class BundleCheck(Noun):
    """`signature`: `trusted` by the key that was given; `self` by the key that the bundle names itself, which says only
    that it was not damaged; `unsigned` when anybody may have made it; `unknown` when it could not be read so far.
    """

    problems: tuple[str, ...] = ()
    signature: Literal["trusted", "self", "unsigned", "unknown"] = "unknown"
    key_id: str = ""
    manifest: BundleManifest | None = None
    not_recounted: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.problems


class _Refused(Exception):
    """The first thing that is not as it should be."""


def check_bundle(files: Mapping[str, bytes], key: bytes | None = None) -> BundleCheck:
    """`files` by their names in the bundle, `key` a raw ed25519 public key that must have signed it."""
    check = BundleCheck()
    try:
        envelope, payload = _open_envelope(files.get(ENVELOPE))
        manifest = _read_manifest(payload)
        check = check.model_copy(update={"manifest": manifest})
        check = check.model_copy(update=_check_signature(envelope, payload, manifest, key))
        problems = _compare_files(files, manifest)
        if problems:
            return check.model_copy(update={"problems": tuple(problems)})
        return check.model_copy(update={"not_recounted": _judge_again(files, manifest)})
    except _Refused as refused:
        return check.model_copy(update={"problems": (str(refused),)})


def _open_envelope(data: bytes | None) -> tuple[dict[str, Any], bytes]:
    if data is None:
        raise _Refused(f"{ENVELOPE} is missing, so nothing says what belongs to the bundle")
    envelope = _parse(data, ENVELOPE)
    if not isinstance(envelope, dict) or set(envelope) != {"payload", "payloadType", "signatures"}:
        raise _Refused(f"{ENVELOPE} is no DSSE envelope")
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise _Refused(f"{ENVELOPE}: the payload is not base64") from error
    if base64.b64encode(payload).decode() != envelope["payload"]:
        raise _Refused(f"{ENVELOPE}: the payload's base64 is not in its one spelling")
    return envelope, payload


def _parse(data: bytes, name: str) -> Any:
    """JSON in our one way of writing it, so that two readers cannot see two documents in it."""
    try:
        document = json.loads(data)
        rewritten = canonical(document)
    except (ValueError, RecursionError) as error:
        raise _Refused(f"{name} is not JSON") from error
    if rewritten != data:
        raise _Refused(f"{name} is not written as a bundle's JSON is: it was altered after it was made")
    return document


def _read_manifest(payload: bytes) -> BundleManifest:
    statement = _parse(payload, "the manifest")
    try:
        manifest = BundleManifest.model_validate(statement["predicate"])
    except (ValidationError, KeyError, TypeError) as error:
        raise _Refused("the manifest is not one of an evidence bundle, or of a newer format") from error
    if canonical(statement_of(manifest)) != payload:
        raise _Refused("the manifest contradicts itself: its subjects are not the files that it lists")
    return manifest


def _check_signature(
    envelope: dict[str, Any], payload: bytes, manifest: BundleManifest, key: bytes | None
) -> dict[str, Any]:
    signatures = envelope["signatures"]
    if signatures == [] and not manifest.public_key and envelope["payloadType"] == "application/vnd.in-toto+json":
        if key is not None:
            raise _Refused("the bundle is unsigned, and a key was asked for")
        return {"signature": "unsigned"}
    try:
        named = base64.b64decode(manifest.public_key, validate=True)
        [one] = signatures
        signature, key_id = base64.b64decode(one["sig"], validate=True), one["keyid"]
        spelt = [{"keyid": key_id_of(named), "sig": base64.b64encode(signature).decode()}]
    except (binascii.Error, KeyError, TypeError, ValueError) as error:
        raise _Refused("the signature cannot be read") from error
    if key is not None and named != key:
        raise _Refused(f"the bundle is signed by another key ({key_id_of(named)[:16]}…) than the one that was given")
    if spelt != signatures or envelope["payloadType"] != "application/vnd.in-toto+json":
        raise _Refused("the envelope was altered: its key, signature or type is not as it was written")
    if not is_signed_by(named, signature, signed_bytes(payload)):
        raise _Refused("the signature does not fit the manifest: one of them was altered")
    return {"signature": "trusted" if key is not None else "self", "key_id": key_id}


def _compare_files(files: Mapping[str, bytes], manifest: BundleManifest) -> list[str]:
    listed = {file.name: file for file in manifest.files}
    problems = [f"{name} is missing" for name in sorted({*listed, *NEEDED} - set(files))]
    problems += [f"{name} was added: the manifest does not list it" for name in sorted({*files} - {*listed, ENVELOPE})]
    for name, file in listed.items():
        if name in files and describe(name, files[name]) != file:
            problems.append(f"{name} was altered: its SHA-256 is not the manifest's")
    return problems


def _judge_again(files: Mapping[str, bytes], manifest: BundleManifest) -> tuple[str, ...]:
    """Names of reports that are not in the bundle and so were not counted again."""
    try:
        evidence = Evidence.model_validate(json.loads(files["evidence.json"]))
        sprint = Sprint.model_validate(json.loads(files["sprint.json"]))
        refusals = tuple(Refusal.model_validate(one) for one in json.loads(files["refusals.json"]))
    except (ValidationError, ValueError, TypeError) as error:
        raise _Refused("evidence.json, sprint.json or refusals.json is not what a bundle holds") from error
    if describe("sprint.json", files["sprint.json"]).sha256 != manifest.plan_sha256:
        raise _Refused("sprint.json is not the plan that the manifest names")
    verdict = hold_refusals(judge(sprint.dod, evidence, Plan(sprints=(sprint,))), refusals)
    if write_verdict(verdict) != files["verdict.json"]:
        raise _Refused("verdict.json is not the verdict that this evidence gives under this Definition of Done")
    if verdict.result is not manifest.result:
        raise _Refused(f"the manifest says {manifest.result.value}, the verdict {verdict.result.value}")
    return _recount(files, evidence, {file.name for file in manifest.left_out})


def _recount(files: Mapping[str, bytes], evidence: Evidence, left_out: set[str]) -> tuple[str, ...]:
    """What the evidence says of a report, the report itself must say."""
    skipped = []
    for told in evidence.files:
        if told.kind not in RECOUNTED or _figures(told) == (None, None, None):
            continue
        if told.path in left_out:
            skipped.append(told.path)
        elif told.path not in files:
            raise _Refused(f"the evidence rests on {told.path[:200]}, which is not in the bundle")
        elif _figures(_read(told.path, files[told.path])) != _figures(told):
            raise _Refused(f"the evidence does not say what {told.path[:200]} says")
    return tuple(skipped)


def _read(name: str, data: bytes) -> EvidenceFile:
    """By our own readers, under a name of ours in a folder of ours: the bundle's names open no file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, Path(name).name.replace("\\", "_"))
        path.write_bytes(data)
        return read_reports([path]).files[0]


def _figures(file: EvidenceFile) -> tuple[object, object, object]:
    return file.tests, file.coverage, file.issues
