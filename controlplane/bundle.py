"""The evidence bundle's manifest, and the standard envelope it travels in.

The manifest is the predicate of an in-toto statement (https://github.com/in-toto/attestation/blob/main/spec/v1/), the
statement the payload of a DSSE envelope (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md). All of it
is written in exactly one way, so that no byte of it can be altered without being noticed.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Literal

from pydantic import Field

from controlplane.noun import Noun
from controlplane.states import Result

ENVELOPE = "bundle.dsse.json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:aicd:evidence-bundle:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


class BundleFile(Noun):
    """One file by its name with forward slashes; size in bytes."""

    name: str = Field(pattern=r"^[^/\\\x00-\x1f][^\\\x00-\x1f]{0,499}$")
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class BundleManifest(Noun):
    """`files` lie in the bundle, sorted by name; `left_out` are reports too large for it, known by their hash alone.

    `plan_sha256` is the hash of sprint.json. `public_key` is the signer's raw ed25519 key in base64, empty for an
    unsigned bundle. Only `times` differ between two bundles of the same evidence.
    """

    format: Literal[1] = 1
    repository: str
    branch: str
    base: str
    head: str
    spec_id: str
    spec_sha256: str
    plan_sha256: str
    run_id: str
    ci_url: str = ""
    result: Result
    cost_usd: float | None = None
    isolation: tuple[str, ...] = ()
    tools: dict[str, str] = Field(default_factory=dict)
    times: dict[str, str | float] = Field(default_factory=dict)
    public_key: str = ""
    files: tuple[BundleFile, ...] = ()
    left_out: tuple[BundleFile, ...] = ()


def canonical(document: Any) -> bytes:
    """The one way in which we write JSON that is hashed or signed."""
    return (json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def statement_of(manifest: BundleManifest) -> dict[str, Any]:
    """The in-toto statement: its subjects are the files and the commit that was measured."""
    subjects: list[dict[str, Any]] = [
        {"name": file.name, "digest": {"sha256": file.sha256}} for file in (*manifest.files, *manifest.left_out)
    ]
    subjects.append({"name": manifest.repository, "digest": {"gitCommit": manifest.head}})
    return {
        "_type": STATEMENT_TYPE,
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": manifest.model_dump(mode="json"),
    }


def signed_bytes(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what the signature is over."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def envelope_of(payload: bytes, key_id: str = "", signature: bytes = b"") -> bytes:
    """The envelope; without a signature its list of signatures is empty."""
    signatures = [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}] if signature else []
    payload64 = base64.b64encode(payload).decode()
    return canonical({"payload": payload64, "payloadType": PAYLOAD_TYPE, "signatures": signatures})
