"""GET: lists with filters, paged by key, and one specification's page with links to what its runs left."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from functions._shared.api.asked import Cursor, SearchSpecs
from functions._shared.api.callers import ApiCaller, presenting
from functions._shared.api.ports import MemberReadStore, ReadStore
from functions._shared.api.refusals import Invalid, NoSpec, invalid_fields
from functions._shared.api.told import SpecPage
from functions._shared.api.views import as_json, build, line_facts, view_line
from functions._shared.bucket import Bucket
from functions._shared.endpoint import Call
from functions._shared.envelope import Answer

Row = Mapping[str, Any]
# Long enough to open a page and save what it links to; whoever needs more asks again.
LINK_SECONDS = 3_600


@dataclass(frozen=True)
class Looking:
    """A member comes with his own token, so that the policies decide; a key is looked up by the verbs."""

    keys: ReadStore
    members: MemberReadStore
    bucket: Bucket | None = None

    def get_specs(self, call: Call, caller: ApiCaller, _: str) -> Answer:
        """GET /specs."""
        asked = parse_query(call)
        rows = list(self._search(caller, read_filter(asked), asked.limit))
        lines = [as_json(view_line(row)) for row in rows]
        following = write_cursor(rows[-1]) if len(rows) == asked.limit else None
        return Answer(data=lines, meta={"next_cursor": following})

    def get_spec(self, call: Call, caller: ApiCaller, spec_id: str) -> Answer:
        """GET /specs/{id}."""
        if call.query:
            raise _unknown(sorted(call.query))
        row = self._show(caller, spec_id)
        if row is None:
            raise NoSpec(fix="Check its id, and that your key or your role in its project is for reading it.")
        links = self._links(caller, row["artifacts"])
        return Answer(data=as_json(view_page(row, links, datetime.now(UTC))))

    def _search(self, caller: ApiCaller, wanted: Row, limit: int) -> Any:
        if caller.token is None:
            return self.keys.search_specs(caller.as_json(), wanted, limit)
        with presenting(caller.token):
            return self.members.search_specs(wanted, limit)

    def _show(self, caller: ApiCaller, spec_id: str) -> Row | None:
        if caller.token is None:
            return self.keys.show_spec(caller.as_json(), spec_id)
        with presenting(caller.token):
            return self.members.show_spec(spec_id)

    def _links(self, caller: ApiCaller, artifacts: list[dict[str, Any]]) -> dict[str, str]:
        """By storage path: of Storage's own objects in one request, and of those in the bucket that is ours."""
        named = {str(row["storage_path"]): _saved_as(row) for row in artifacts if not row.get("store")}
        if caller.token is None:
            links = dict(self.keys.sign_artifacts(named, LINK_SECONDS))
        else:
            with presenting(caller.token):
                links = dict(self.members.sign_artifacts(named, LINK_SECONDS))
        for row in artifacts:
            if self.bucket is not None and row.get("store") and self.bucket.holds(str(row["store"])):
                path = str(row["storage_path"])
                links[path] = self.bucket.sign(path, LINK_SECONDS, str(row["name"] or row["kind"]))
        return links


def parse_query(call: Call) -> SearchSpecs:
    """Raises Invalid: for what is not known, what is said twice, and what cannot be read."""
    unknown = sorted(call.query.keys() - SearchSpecs.model_fields.keys())
    if unknown:
        raise _unknown(unknown)
    repeated = sorted(name for name, values in call.query.items() if len(values) > 1)
    if repeated:
        said = "This parameter is given more than once. Fix: Give it once."
        raise Invalid([{"code": "parameter-repeated", "message": said, "field": name} for name in repeated])
    try:
        asked = SearchSpecs.model_validate({name: values[0] for name, values in call.query.items()})
    except ValidationError as error:
        raise invalid_fields(error, SearchSpecs, "parameter-invalid") from error
    return asked


def read_filter(asked: SearchSpecs) -> dict[str, Any]:
    """p_filter of search_specs_v1."""
    wanted = asked.model_dump(mode="json", exclude_none=True, include={"repo", "state", "created_by"})
    for name in ("created_after", "created_before"):
        moment = getattr(asked, name)
        if moment is not None:
            wanted[name] = _in_utc(name, moment)
    if asked.sha256:
        wanted["sha"] = asked.sha256
    if asked.cursor:
        key = read_cursor(asked.cursor)
        wanted |= {"before_created_at": key.created_at.isoformat(), "before_id": str(key.id)}
    return wanted


def _in_utc(name: str, moment: datetime) -> str:
    """Postgres knows fewer offsets than ISO 8601. Raises Invalid for a time without one, or out of all time."""
    try:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).isoformat()
    except OverflowError:
        pass
    said = (
        "The time has no offset, or a year that there is not. Fix: Write it as 2026-11-21T08:00:00Z (a + is written "
        "%2B), with a year from 1 to 9999."
    )
    raise Invalid([{"code": "parameter-invalid", "message": said, "field": name}])


def write_cursor(row: Row) -> str:
    key = json.dumps([row["created_at"], row["id"]], separators=(",", ":"))
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> Cursor:
    """Raises Invalid for one that we did not write."""
    try:
        created_at, spec_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        key = Cursor.model_validate({"created_at": created_at, "id": spec_id})
        return Cursor(created_at=key.created_at.astimezone(UTC), id=key.id)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        said = "This cursor is none of ours. Fix: Take `meta.next_cursor` of the page before."
        raise Invalid([{"code": "parameter-invalid", "message": said, "field": "cursor"}]) from error


def view_page(row: Row, links: Mapping[str, str], now: datetime) -> SpecPage:
    """One specification with everything that hangs on it."""
    expires_at = (now + timedelta(seconds=LINK_SECONDS)).replace(microsecond=0)
    artifacts: dict[str, list[dict[str, Any]]] = {}
    for artifact in row["artifacts"]:
        url = links.get(str(artifact["storage_path"]))
        facts = {**artifact, "url": url, "expires_at": expires_at if url else None}
        artifacts.setdefault(str(artifact["run_id"]), []).append(facts)
    runs = [{**run, "artifacts": artifacts.get(str(run["id"]), [])} for run in row["runs"]]
    page: SpecPage = build(
        SpecPage,
        line_facts(row)
        | {
            "spec_id": row["id"],
            "sprints": [{**sprint, "dod": _asked_for(sprint["dod"])} for sprint in row["sprints"]],
            "runs": runs,
            "verdict": next((run["verdict"] for run in runs if run["verdict"]), None),
            "pull_requests": list(_once(run["pull_request"] for run in runs if run["pull_request"])),
        },
    )
    return page


def _asked_for(dod: Row) -> dict[str, Any]:
    """The criteria that hold; the others are stored as null."""
    return {name: value for name, value in dod.items() if value not in (None, [])}


def _once(pull_requests: Any) -> Any:
    seen: set[Any] = set()
    for pull_request in pull_requests:
        if pull_request.get("url") not in seen:
            seen.add(pull_request.get("url"))
            yield pull_request


def _saved_as(artifact: Row) -> str:
    """Storage hands a packed object over as it is."""
    name = str(artifact["name"] or artifact["kind"]).rsplit("/", 1)[-1]
    return f"{name}.gz" if artifact.get("encoding") == "gzip" else name


def _unknown(names: list[str]) -> Invalid:
    from functions._shared.api.wording import explain_unknown  # opened as late as in refusals.py

    return Invalid(
        [
            {
                "code": "parameter-unknown",
                "message": explain_unknown("parameter", name, SearchSpecs.model_fields),
                "field": name[:100],
            }
            for name in names
        ]
    )
