"""What callers send, as models: the API's description is generated from them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from controlplane.spec import Format, RepositoryName
from controlplane.spec_limits import MAX_BYTES

ContentType = Literal[
    "application/yaml", "application/x-yaml", "text/yaml", "application/json", "text/markdown", "text/plain",
    "application/octet-stream",
]  # fmt: skip
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")]


def _written_out(given: object) -> object:
    if isinstance(given, str) and DATE_AND_TIME.match(given) is None:
        raise ValueError("this is no date with a time, as in 2026-11-21T08:00:00Z")
    return given


DATE_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:")
# A bare number would be read as seconds since 1970.
Moment = Annotated[datetime, BeforeValidator(_written_out)]
SpecState = Literal[
    "PLANNED", "NEEDS_INPUT", "NEEDS_APPROVAL", "RUNNING", "PAUSED", "DONE", "FAILED", "CANCELLED",
]  # fmt: skip
MOST_ROWS = 200
# A specification that can be built as it is, once `repo` is one of yours.
EXAMPLE = """\
meta: {project: greeting, repo: acme/greeting}
planning:
  epics:
    - sprints:
        - id: S1
          goals: [People can be greeted.]
          user_stories:
            - {id: US1, as: visitor, want: a greeting, acceptance: [greet returns a greeting]}
          dod: {unit_pass: true, coverage_min: 0.8}
"""


class Asked(BaseModel):
    """What is misspelt is refused: a field that is passed over would be a wish that is not heard."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NewSpec(Asked):
    """A specification in a JSON body. Sent bare, with its own media type, it needs none of this."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"spec": EXAMPLE, "name": "greeting.yaml"}]})

    spec: Annotated[str, StringConstraints(min_length=1)] | dict[str, Any] = Field(
        description="The document: YAML, JSON or Markdown as text, or JSON as it is. 1 MiB at most."
    )
    format: Format | None = Field(None, description="Found out where it is not said.")
    name: Annotated[Text, StringConstraints(max_length=200)] = Field(
        "", description="What you call it; only shown, and a hint at the format."
    )
    message_id: Annotated[Text, StringConstraints(max_length=1000)] = Field(
        "", description="The RFC 5322 Message-ID of the mail that it came in, so that it is built once."
    )
    again: bool = Field(default=False, description="Build it once more although the same was handed in within a day.")


class NewUpload(Asked):
    """A specification that you are about to store through a signed URL."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "greeting.yaml",
                    "content_type": "application/yaml",
                    "size": 311,
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                }
            ]
        }
    )

    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] = Field(
        description="Of the bytes that you will store, in hex; compared when you submit."
    )
    size: int = Field(ge=1, le=MAX_BYTES, description="In bytes.")
    content_type: ContentType = Field("application/octet-stream", description="What you will store it as.")
    name: Annotated[Text, StringConstraints(max_length=200)] = ""
    message_id: Annotated[Text, StringConstraints(max_length=1000)] = ""


class SubmitUpload(Asked):
    """Nothing has to be said when an upload is submitted; the body may be empty."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "again": False}]
        }
    )

    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="Once more, if you like: another one than declared is a conflict."
    )
    again: bool = False


class NewAnswer(Asked):
    """What is answered to the open questions of a specification, in your own words."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "1. In English. 2. Yes.", "sprint": "S1"}]})

    text: Annotated[str, StringConstraints(pattern=r"\S", min_length=1, max_length=20_000)] = Field(
        description="With the number before each answer where several questions are open."
    )
    sprint: Annotated[Text, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None, description="The label of the sprint that asked; every one that waits, where it is not said."
    )


class SearchSpecs(Asked):
    """The query of a list; all that is given must hold. A parameter that is not known is refused, not passed over."""

    repo: RepositoryName | None = Field(None, description="OWNER/NAME.")
    state: SpecState | None = Field(None, description="Of the whole specification: what matters first.")
    created_after: Moment | None = Field(None, description="With an offset: 2026-11-21T08:00:00Z.")
    created_before: Moment | None = None
    created_by: Annotated[Text, StringConstraints(max_length=320)] | None = None
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    limit: int = Field(50, ge=1, le=MOST_ROWS)
    cursor: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{1,200}$")] | None = Field(
        None, description="`meta.next_cursor` of the page before."
    )


class Cursor(Asked):
    """What a cursor holds: the key of the last row."""

    created_at: datetime
    id: UUID
