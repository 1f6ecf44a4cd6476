"""What is refused in a body is told in plain words, with what is allowed there, once for each field."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from functions._shared.api.asked import NewAnswer, NewSpec, NewUpload
from functions._shared.api.jsonbody import parse
from functions._shared.api.refusals import Invalid

SHA = "0" * 64


@pytest.mark.parametrize(
    ("model", "body", "field", "message"),
    [
        (NewSpec, {}, "spec", "This field is missing. Fix: Add it. The document: "),
        (NewSpec, [], "body", "The body is no JSON object. Fix: Send one object with the fields of this request."),
        (NewSpec, {"spec": "x", "agian": True}, "agian",
         "There is no such field here. Fix: Did you mean 'again'? Known are: spec, format, name, message_id, again."),
        (NewSpec, {"spec": "x", "again": "yes"}, "again",
         "This is neither true nor false. Fix: Give true or false, without quotes."),
        (NewSpec, {"spec": "x", "name": "a\nb"}, "name",
         "This is not written as it has to be. Fix: Leave line breaks and other control characters out."),
        (NewSpec, {"spec": "x", "format": "toml"}, "format", "Fix: Give one of 'yaml', 'json', 'markdown' or 'text'."),
        (NewSpec, {"spec": 1}, "spec", "This is no text. Fix: Give a text in quotes."),
        (NewUpload, {"sha256": SHA, "size": 0}, "size", "Fix: Give a whole number between 1 and "),
        (NewUpload, {"sha256": SHA, "size": "9"}, "size", "Fix: Give a whole number between 1 and "),
        (NewUpload, {"sha256": "A", "size": 1}, "sha256", "Fix: Give 64 hexadecimal digits in lower case."),
        (NewAnswer, {"text": "x" * 20_001}, "text", "This is too long. Fix: Give at most 20,000 characters."),
        (NewAnswer, {"text": " \n"}, "text", "Fix: Write at least one word."),
    ],
)  # fmt: skip
def test_refused_field_is_told_with_its_fix(model: type[BaseModel], body: Any, field: str, message: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse(model, body)
    (told,) = refusal.value.problems
    assert told["field"] == field
    assert message in told["message"]
