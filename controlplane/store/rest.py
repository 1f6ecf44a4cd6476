"""Calling a verb: `POST /rest/v1/rpc/NAME`, word for word as the official client sends it, a test holds.

That client, `postgrest`, stands on pydantic. The two take longer to import than all else that a function does before
its first answer, and of all that it can do our verbs are one request. Objects go through `storage3`.
Source: docs.postgrest.org/en/v14/references/api/functions.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

SCHEMA = "public"


class VerbRefused(Exception):
    """PostgREST's no: the four fields of its error, which need not be told further. `code` is the HTTP status where
    the answer was not PostgREST's."""

    def __init__(self, code: str, message: str, details: Any = None, hint: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint


class Rest:
    """`headers` are those by which every request proves itself."""

    def __init__(self, url: str, headers: Mapping[str, str], http: httpx.Client) -> None:
        self._url = f"{url}/rest/v1/rpc"
        self._headers = {**headers, "Accept-Profile": SCHEMA, "Content-Profile": SCHEMA}
        self._http = http

    def call(self, verb: str, parameters: Mapping[str, Any]) -> Any:
        """The verb's answer, an empty list where it is empty. Raises VerbRefused, httpx's errors, and ValueError for an
        answer that is no JSON, of which the official client would make a text."""
        answer = self._http.post(f"{self._url}/{verb}", headers=self._headers, json=dict(parameters))
        if not answer.is_success:
            raise read_refusal(answer)
        return json.loads(answer.content) if answer.content else []


def read_refusal(answer: httpx.Response) -> VerbRefused:
    """Whatever shape the answer has: something else may stand between us and PostgREST."""
    try:
        said = json.loads(answer.content)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("code"), str):
        return VerbRefused(str(answer.status_code), answer.reason_phrase)
    return VerbRefused(said["code"], _text(said.get("message")) or "", said.get("details"), _text(said.get("hint")))


def _text(said: Any) -> str | None:
    return said if isinstance(said, str) else None
