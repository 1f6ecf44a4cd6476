"""The verbs that the API uses, as seams: `FunctionsStore` and `MemberCalls` are the ones that are deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from functions._shared.ports import Row


class RequestStore(Protocol):
    """What idempotency keys need."""

    def begin_request(self, caller: str, key: str, request_hash: str) -> Row: ...

    def finish_request(
        self, caller: str, key: str, request_hash: str, status: int, response: Mapping[str, Any]
    ) -> bool: ...


class SubmissionStore(RequestStore, Protocol):
    """What handing in needs."""

    def check_submission(self, caller: Mapping[str, str], spec: Row) -> Row: ...

    def put_spec(self, spec_id: str, content: bytes, content_type: str) -> str: ...

    def submit_spec(self, caller: Mapping[str, str], spec: Row) -> Row: ...


class UploadStore(SubmissionStore, Protocol):
    """What storing it oneself needs."""

    def begin_upload(self, caller: Mapping[str, str], upload: Row) -> Row: ...

    def describe_upload(self, caller: Mapping[str, str], upload_id: str) -> Row | None: ...

    def sign_spec_upload(self, spec_id: str) -> Row: ...

    def get_spec(self, spec_id: str) -> bytes: ...


class AnswerStore(Protocol):
    """What answering questions needs."""

    def answer_spec(self, caller: Mapping[str, str], spec_id: str, reply: Row) -> Row: ...


class ReadStore(Protocol):
    """What looking at it needs, for a caller with an API key."""

    def search_specs(self, caller: Mapping[str, str], wanted: Row, limit: int) -> Sequence[Row]: ...

    def show_spec(self, caller: Mapping[str, str], spec_id: str) -> Row | None: ...

    def sign_artifacts(self, named: Mapping[str, str], seconds: int) -> Mapping[str, str]: ...


class MemberReadStore(Protocol):
    """The same for a member, who comes with his own token."""

    def search_specs(self, wanted: Row, limit: int) -> Sequence[Row]: ...

    def show_spec(self, spec_id: str) -> Row | None: ...

    def sign_artifacts(self, named: Mapping[str, str], seconds: int) -> Mapping[str, str]: ...
