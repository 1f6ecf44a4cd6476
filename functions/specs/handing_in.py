"""POST: a specification with the request, or stored by the caller through a signed URL and then submitted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from controlplane import ids
from controlplane.errors import Conflict, NotFound
from functions._shared.api.asked import NewUpload, SubmitUpload
from functions._shared.api.body import EXTENSIONS, Handed, read_handed
from functions._shared.api.callers import ApiCaller
from functions._shared.api.idempotency import origin_of
from functions._shared.api.jsonbody import parse_body
from functions._shared.api.ports import UploadStore
from functions._shared.api.refusals import HashDiffers, NoSpec
from functions._shared.api.submit import Intake, Submitted
from functions._shared.api.told import Upload
from functions._shared.api.views import as_json, build, path_of, view_submitted
from functions._shared.endpoint import Call
from functions._shared.envelope import Answer

CREATED, OK = 201, 200
FORMATS = {"application/yaml": "yaml", "application/x-yaml": "yaml", "text/yaml": "yaml", "application/json": "json",
           "text/markdown": "markdown"}  # fmt: skip


@dataclass(frozen=True)
class HandingIn:
    """The three ways in."""

    intake: Intake
    store: UploadStore

    def post_spec(self, call: Call, caller: ApiCaller, _: str) -> Answer:
        """POST /specs."""
        handed = read_handed(call)
        spec_id = ids.spec_id(origin_of(call, caller), handed.content)
        return _tell(self.intake.submit(handed, spec_id, caller, call.correlation_id))

    def post_upload(self, call: Call, caller: ApiCaller, _: str) -> Answer:
        """POST /specs/uploads. The bucket sees to size and type, submit to the hash."""
        asked = parse_body(NewUpload, call)
        upload_id = ids.spec_id(origin_of(call, caller), asked.sha256.encode())
        wanted = {
            "id": upload_id,
            "name": asked.name,
            "content_type": asked.content_type,
            "sha256": asked.sha256,
            "size": asked.size,
            "rfc_message_id": asked.message_id,
        }
        known = self.store.begin_upload(caller.as_json(), wanted)
        signed = self.store.sign_spec_upload(upload_id)
        facts = {
            "id": upload_id,
            "spec_id": upload_id,
            "url": signed["url"],
            "headers": {"content-type": asked.content_type},
            "path": signed["path"],
            "token": signed["token"],
            "submit": f"{path_of(upload_id)}/submit",
            "expires_at": known["expires_at"],
        }
        return Answer(data=as_json(build(Upload, facts)), status=CREATED)

    def post_submit(self, call: Call, caller: ApiCaller, spec_id: str) -> Answer:
        """POST /specs/{id}/submit. The same upload again is the same specification."""
        asked = parse_body(SubmitUpload, call, may_be_empty=True)
        known = self.store.describe_upload(caller.as_json(), spec_id)
        if known is None:
            raise NoSpec("There is no such upload of yours.", fix="An upload ends after 24 hours: ask for another.")
        if asked.sha256 is not None and asked.sha256 != known["sha256"]:
            raise HashDiffers("This is not the hash that you declared.", fix="Ask for another upload, for these bytes.")
        content = self._fetch(spec_id)
        found = hashlib.sha256(content).hexdigest()
        if found != known["sha256"] or len(content) != known["size"]:
            raise HashDiffers(
                f"What is stored has {len(content)} bytes and the hash {found}; declared were {known['size']} bytes "
                f"and {known['sha256']}.",
                fix="Ask for another upload; what was stored once cannot be replaced.",
            )
        kind = FORMATS.get(known["content_type"])
        name = str(known["name"]) or (f"spec.{EXTENSIONS[kind]}" if kind else "")
        handed = Handed(content, name, None, str(known["rfc_message_id"]), asked.again)
        return _tell(self.intake.submit_stored(handed, spec_id, caller, call.correlation_id))

    def _fetch(self, spec_id: str) -> bytes:
        try:
            return self.store.get_spec(spec_id)
        except NotFound as error:
            raise Conflict(
                "Nothing has been stored under this upload's URL yet.",
                fix="PUT the bytes there first; ask for another upload when the URL has expired.",
                code="upload-missing",
            ) from error


def _tell(submitted: Submitted) -> Answer:
    told = view_submitted(submitted.row, duplicate=submitted.duplicate, notes=submitted.notes)
    status = OK if submitted.duplicate else CREATED
    return Answer(data=as_json(told), status=status, headers={"Location": told.links.self})
