"""The verdict as SARIF 2.1.0, for GitHub's code scanning and every other reader of it.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
Same evidence, same bytes: nothing in it tells the time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from action.gate.criteria import RULES
from action.publish.annotations import MAX_TITLE, Annotation, of_criteria, plain
from controlplane.verdict import Verdict

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "%SRCROOT%"  # what GitHub takes a relative address to start from


def write_sarif(verdict: Verdict, annotations: Iterable[Annotation], version: str, commit: str = "") -> str:
    """Failing criteria, and what was found at lines. A verdict that passed gives a run without results."""
    told = (*of_criteria(verdict), *annotations)
    rules = sorted({one.rule for one in told})
    driver: dict[str, Any] = {"name": "aicd", "rules": [_rule(name) for name in rules]}
    if version:
        driver["version"] = version
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True}],
        "automationDetails": {"id": "aicd/verdict/"},
        "results": [_result(one, rules.index(one.rule)) for one in told],
        "properties": {"result": verdict.result.value, "commit": commit},
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _rule(name: str) -> dict[str, Any]:
    """A criterion of our table says what it judges; one of the project's own is told by its name."""
    sentence = next((rule.sentence for rule in RULES if rule.id == name), plain(name, MAX_TITLE))
    return {"id": name, "shortDescription": {"text": sentence}, "defaultConfiguration": {"level": "error"}}


def _result(one: Annotation, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": one.level,
        # Braces and backslashes have a meaning in SARIF's message strings; a doubled one has none.
        "message": {"text": _literal(one.message if one.title == one.rule else f"{one.title}: {one.message}")},
        "partialFingerprints": {"aicd/v1": _fingerprint(one)},
    }
    if one.path:
        result["locations"] = [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(one.path), "uriBaseId": ROOT},
                    "region": {"startLine": one.line, "endLine": one.end_line},
                }
            }
        ]
    return result


def _literal(text: str) -> str:
    """Plain text messages hold placeholders in braces and links in brackets (§3.11.5, §3.11.6)."""
    text = text.replace("{", "{{").replace("}", "}}")
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _fingerprint(one: Annotation) -> str:
    """Without the line, so that a finding that moved is the same finding."""
    return hashlib.sha256("\0".join((one.rule, one.path, one.title, one.message)).encode()).hexdigest()[:32]
