"""Answers of the Messages API, built from the SDK's own models: as one document, or as a stream of events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from local.doubles.anthropic.conversation import Conversation
from local.doubles.anthropic.scenario import Fault, Step

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
CHUNK = 400


def message_document(step: Step, conversation: Conversation) -> dict[str, Any]:
    """The whole message, as it comes back when no stream was asked for."""
    return _plain(_message(step, conversation, _content(step, conversation), complete=True))


def stream_events(step: Step, conversation: Conversation) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of the same message: (name, data)."""
    from anthropic import types

    opening = types.RawMessageStartEvent(type="message_start", message=_message(step, conversation, [], complete=False))
    yield "message_start", _plain(opening)
    for index, block in enumerate(_content(step, conversation)):
        yield from _block_events(index, block)
    delta = types.RawMessageDeltaEvent.model_validate(
        {
            "type": "message_delta",
            "delta": {"stop_reason": _stop_reason(step), "stop_sequence": None},
            "usage": {"output_tokens": step.output_tokens},
        }
    )
    yield "message_delta", _plain(delta)
    yield "message_stop", _plain(types.RawMessageStopEvent(type="message_stop"))


def error_document(status: int, message: str, kind: str = "") -> dict[str, Any]:
    kind = kind or ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{uuid.uuid4().hex[:24]}"}


def fault_answer(fault: Fault) -> tuple[int, dict[str, Any], dict[str, str]]:
    """(status, body, headers) of a fault that is an error."""
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    if fault.kind == "limit-text":
        return 429, error_document(429, f"Claude AI usage limit reached|{fault.resets_at}"), headers
    if fault.kind == "limit-header":
        headers |= {
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(fault.resets_at),
            "anthropic-ratelimit-unified-representative-claim": "five_hour",
        }
        return 429, error_document(429, "This request would exceed your account's rate limit."), headers
    said = fault.message or {401: "invalid x-api-key", 529: "Overloaded"}.get(fault.status, "injected fault")
    return fault.status, error_document(fault.status, said), headers


def _content(step: Step, conversation: Conversation) -> list[Any]:
    from anthropic import types

    text = json.dumps(step.data, ensure_ascii=False) if step.data is not None else step.say
    blocks: list[Any] = [types.TextBlock(type="text", text=text, citations=None)] if text else []
    for call in step.call:
        given = _filled(call.input, conversation.folder)
        blocks.append(
            types.ToolUseBlock(type="tool_use", id=f"toolu_{uuid.uuid4().hex[:24]}", name=call.name, input=given)
        )
    return blocks


def _message(step: Step, conversation: Conversation, content: list[Any], *, complete: bool) -> Any:
    from anthropic import types

    return types.Message.model_validate(
        {
            "id": f"msg_{uuid.uuid4().hex[:24]}",
            "type": "message",
            "role": "assistant",
            "model": conversation.document["model"],
            "content": [block.model_dump() for block in content],
            "stop_reason": _stop_reason(step) if complete else None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": step.input_tokens,
                "cache_creation_input_tokens": step.cache_write_tokens,
                "cache_read_input_tokens": step.cache_read_tokens,
                "output_tokens": step.output_tokens if complete else 1,
                "service_tier": "standard",
            },
        }
    )


def _block_events(index: int, block: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    from anthropic import types

    is_text = block.type == "text"
    whole = block.text if is_text else json.dumps(block.input, ensure_ascii=False)
    nothing: dict[str, Any] = {"text": ""} if is_text else {"input": {}}
    empty = block.model_copy(update=nothing)
    start = types.RawContentBlockStartEvent.model_validate(
        {"type": "content_block_start", "index": index, "content_block": empty.model_dump()}
    )
    yield "content_block_start", _plain(start)
    for at in range(0, len(whole), CHUNK):
        part = whole[at : at + CHUNK]
        delta = {"type": "text_delta", "text": part} if is_text else {"type": "input_json_delta", "partial_json": part}
        event = types.RawContentBlockDeltaEvent.model_validate(
            {"type": "content_block_delta", "index": index, "delta": delta}
        )
        yield "content_block_delta", _plain(event)
    yield "content_block_stop", _plain(types.RawContentBlockStopEvent(type="content_block_stop", index=index))


def _stop_reason(step: Step) -> str:
    return step.stop_reason or ("tool_use" if step.call else "end_turn")


def _filled(value: Any, folder: str) -> Any:
    if isinstance(value, str):
        return value.replace("{folder}", folder)
    if isinstance(value, dict):
        return {key: _filled(inner, folder) for key, inner in value.items()}
    return [_filled(inner, folder) for inner in value] if isinstance(value, list) else value


def _plain(model: Any) -> dict[str, Any]:
    document: dict[str, Any] = model.model_dump(mode="json", exclude_unset=True)
    return document
