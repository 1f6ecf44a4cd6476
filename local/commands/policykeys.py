"""What may stand in a project's policy: each key, and what its value has to be. docs/projects.md explains them.

The database keeps any key, so a misspelt limit would be no limit and nobody would know: the command knows them all.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from typing import Any

from controlplane.errors import UsageError

Check = Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_share(value: Any) -> bool:
    return _is_number(value) and value <= 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


DOLLARS = (_is_number, "a number of US dollars")
COUNT = (_is_count, "a whole number")
SWITCH = (_is_switch, "true or false")
TEXTS = (_is_texts, 'a list of texts, ["a", "b"]')
KEYS: dict[str, tuple[Check, str]] = {
    "approval": (lambda value: value == "required", "required"),
    "bind_first_ci_run": SWITCH,
    "branches": TEXTS,
    "budget_usd_day": DOLLARS,
    "budget_usd_month": DOLLARS,
    "budget_usd_run": DOLLARS,
    "budget_usd_spec": DOLLARS,
    "budget_usd_sprint": DOLLARS,
    "confidence_min": (_is_share, "a number from 0 to 1"),
    "daily_specs": COUNT,
    "dependencies": (lambda value: value == "allow", "allow"),
    "integrity": (_is_mapping, 'a mapping, {"allow": [...]}'),
    "max_parallel_runs": COUNT,
    "max_parallel_runs_on_label": COUNT,
    "max_pauses": COUNT,
    "planner": SWITCH,
    "require_environment": SWITCH,
    "runner_label": (_is_text, "a runner's label"),
    "trusted_job_workflows": TEXTS,
    "trusted_refs": TEXTS,
}
# Keys that say one thing or are not there.
ONLY_VALUE = ("approval", "dependencies")


def parse_setting(text: str) -> tuple[str, Any]:
    """KEY=VALUE, where the value is JSON or plain text. Raises UsageError, also for a key that nothing reads."""
    key, equals, written = text.partition("=")
    require_key(key)
    if not equals:
        raise UsageError(f"'{text}' sets nothing.", fix=f"Write {key}=VALUE, or --unset {key}.")
    try:
        value = json.loads(written)
    except ValueError:
        value = written
    check, wanted = KEYS[key]
    if not check(value):
        raise UsageError(f"{key} is not '{written}'.", fix=_describe(key, wanted), code="bad-policy")
    return key, value


def _describe(key: str, wanted: str) -> str:
    if key in ONLY_VALUE:
        return f"The only value is `{wanted}`; take it away with --unset {key}."
    return f"It is {wanted}."


def require_key(key: str) -> str:
    """The key, if something reads it. Raises UsageError with the nearest one that does."""
    if key in KEYS:
        return key
    near = difflib.get_close_matches(key, KEYS, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"Nothing reads '{key}' in a policy.", fix=f"{hint}The keys are {', '.join(KEYS)}.", code="unknown-policy-key"
    )
