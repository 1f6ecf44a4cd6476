"""An incoming webhook that takes what Slack's documentation allows and nothing else, and says why in its problems.

Rules: docs.slack.dev, Block Kit (header, section, context, text object), formatting of text, incoming webhooks.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PATH = "/services/T000/B000/canary-0123456789"
FIELDS = {"text", "blocks", "mrkdwn", "unfurl_links", "unfurl_media", "attachments", "thread_ts"}
MOST_BLOCKS, MOST_ELEMENTS = 50, 10
MOST = {"header": 150, "section": 3_000, "context": 3_000}
OPTIONS = {"plain_text": {"emoji"}, "mrkdwn": {"verbatim"}}
_ENTITY = re.compile(r"&(amp|lt|gt);")
# The only markup that we make: a link with words.
_LINK = re.compile(r"<https?://[^\s<>|]+\|[A-Za-z ]+>")


@dataclass
class SlackServer:
    """Use as a context manager. `faults` are played in their order: (status, body, headers), or `cut`."""

    faults: list[Any] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.paths.append(request.path)
        body = request.rfile.read(int(request.headers["Content-Length"]))
        fault = self.faults.pop(0) if self.faults else None
        if fault == "cut":
            self.take(request, body)
            request.close_connection = True
            return
        status, word, headers = fault or self.take(request, body)
        request.send_response(status)
        for name, value in {"Content-Length": str(len(word)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(word.encode())

    def take(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, dict[str, str]]:
        if request.path != PATH:
            return 404, "no_service", {}
        found: list[str] = []
        if request.headers["Content-Type"] != "application/json":
            found.append("not sent as JSON")
        message = json.loads(body)
        found += check_message(message)
        self.problems += found
        if found:
            return 400, "invalid_blocks", {}
        self.shown.append(message)
        return 200, "ok", {}


def check_message(message: dict[str, Any]) -> list[str]:
    """What is wrong with a request's body."""
    found = [f"unknown field {name}" for name in message.keys() - FIELDS]
    blocks = message.get("blocks", [])
    if not message.get("text"):
        found.append("no text, which is what notifications show")
    if len(message.get("text", "")) > 40_000:
        found.append("text is longer than 40,000 characters")
    found += check_markup(message.get("text", ""), links=False)
    if not 0 < len(blocks) <= MOST_BLOCKS:
        found.append("no blocks, or more than 50")
    for block in blocks:
        found += check_block(block)
    return found


def check_block(block: dict[str, Any]) -> list[str]:
    kind = block.get("type")
    if kind in ("header", "section") and block.keys() == {"type", "text"}:
        return check_text(block["text"], kind)
    if kind == "context" and block.keys() == {"type", "elements"} and 0 < len(block["elements"]) <= MOST_ELEMENTS:
        return [problem for element in block["elements"] for problem in check_text(element, kind)]
    return [f"no such block: {kind} with {sorted(block)}"]


def check_text(text: dict[str, Any], kind: str) -> list[str]:
    written, form = text.get("text"), text.get("type")
    if form not in OPTIONS or text.keys() - OPTIONS[form] != {"type", "text"} or not isinstance(written, str):
        return [f"no text object: {text}"]
    found = [] if form == "plain_text" or kind != "header" else ["a header is plain_text"]
    if not 1 <= len(written.encode("utf-16-le")) // 2 <= MOST[kind]:
        found.append(f"{kind} of {len(written)} characters")
    return found + check_markup(written, links=form == "mrkdwn")


def check_markup(written: str, *, links: bool) -> list[str]:
    """What is not escaped would be a link, a mention, or `<!channel>`."""
    rest = _LINK.sub("", written) if links else written
    bare = _ENTITY.sub("", rest)
    return [f"not escaped: {sign} in {written[:80]!r}" for sign in "&<>" if sign in bare]
