"""One message to an incoming webhook. No answer, exception or log line shows the address."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from controlplane.errors import AicdError, OutsideError
from controlplane.secret import Secret
from controlplane.tls import authorities_for
from functions._shared.outbox.drain import GivenUp
from functions._shared.pause import read_retry_after

CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0
# A reply is a word. More is not read, and one that comes letter by letter is not waited for.
MOST_REPLY_BYTES, MOST_REPLY_SECONDS = 1_000, 15.0


def post_message(hook: Secret, message: Mapping[str, Any]) -> None:
    """Post once. A webhook cannot be asked what it has shown: where its answer is lost, the message may come twice.

    Raises OutsideError where a later try may help, GivenUp where none does.
    """
    import httpx

    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    plain, address = {"Accept-Encoding": "identity"}, hook.get_secret_value()
    try:
        with (
            httpx.Client(verify=authorities_for(address), timeout=timeout, follow_redirects=False) as client,
            client.stream("POST", address, json=dict(message), headers=plain) as answer,
        ):
            word = _read_word(answer.iter_raw())
            status, headers = answer.status_code, dict(answer.headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OutsideError(
            "The webhook did not answer, or broke off in the middle.",
            fix="Wait; the work is kept and tried again.",
            code="slack-unreachable",
        ) from error
    problem = _problem(status, word, headers)
    if problem is not None:
        raise problem


def _read_word(chunks: Any) -> str:
    read, ends_at = b"", time.monotonic() + MOST_REPLY_SECONDS
    for chunk in chunks:
        read += chunk
        if len(read) > MOST_REPLY_BYTES or time.monotonic() > ends_at:
            break
    return read[:MOST_REPLY_BYTES].decode("utf-8", "replace").strip()


def _problem(status: int, word: str, headers: Mapping[str, str]) -> AicdError | None:
    """None where it was shown. Slack's words are those of docs.slack.dev, "incoming webhooks"."""
    if status == 200 and word == "ok":
        return None
    reason = word if re.fullmatch(r"[a-z_]{1,60}", word) else ""
    told = f"HTTP {status}{', ' + reason if reason else ''}"
    if 400 <= status < 500 and status not in (408, 429):
        return GivenUp(
            f"The webhook refuses the message for good ({told}).",
            fix="Make a new webhook for a channel that is there, set AICD_SLACK_WEBHOOK_URL or AICD_SLACK_WEBHOOKS to "
            "it, then `aicd outbox requeue ID`; or drop the row.",
            code="slack-refused",
        )
    if status < 400:
        return GivenUp(
            f"What answers at the webhook's address is no webhook ({told}); a redirect is not followed.",
            fix="Copy the address again from where the webhook was made, then `aicd outbox requeue ID`.",
            code="slack-no-webhook",
        )
    return OutsideError(
        f"The webhook cannot take the message now ({told}).",
        fix="Wait; the work is kept and tried again.",
        code="slack-unavailable",
        details={"retry_after_seconds": read_retry_after(headers)},
    )
