"""The API as callers meet it: functions-framework, Postgres with our migrations, and Storage's rules."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from local.administration import Administration
from local.gateway.keys import generate_signing_jwk, mint_jwt
from tests.contract.functions.conftest import REPO, SENDER, SPEC, Line

pytestmark = pytest.mark.database


@dataclass
class Api:
    """The function, and somebody who calls it."""

    line: Any
    client: Any
    bearer: str

    def ask(self, method: str, path: str, *, bearer: str | None = None, **request: Any) -> Any:
        token = self.bearer if bearer is None else bearer
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **request.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **request)

    def post(self, spec: str = SPEC, **request: Any) -> Any:
        body = {"spec": spec, **request.pop("fields", {})}
        return self.ask("POST", "/specs", json=body, **request)

    def key(self, **changes: Any) -> str:
        wanted = {"repo": REPO, "name": "ci", "scopes": ["specs:read", "specs:write"], **changes}
        with Administration(self.line.world.db_url) as operator:
            return str(operator.create_api_key(wanted)["key"])

    def member(self, role: str | None) -> str:
        """A signed-in user's token, as Auth makes it."""
        user_id = str(uuid.uuid4())
        database = self.line.database
        database.execute(
            "insert into auth.users (id, email, email_confirmed_at) values (%s, %s, now())", (user_id, f"{user_id}@x.y")
        )
        if role:
            database.execute(
                "insert into project_members (project_id, user_id, role)"
                " select id, %s, %s from projects where repo = %s",
                (user_id, role, REPO),
            )
        return mint_jwt(
            dict(self.line.world.jwk), {"role": "authenticated", "sub": user_id, "aud": "authenticated"}, 600
        )

    def count(self, table: str) -> int:
        return int(self.line.rows(f"select count(*) from {table}")[0][0])


@pytest.fixture
def api(line: Line) -> Iterator[Api]:
    line.database.execute("truncate private.request_times, private.idempotent_requests, private.spec_uploads")
    made = Api(line, line.function("specs"), "")
    made.bearer = made.key()
    yield made


def another(number: int) -> str:
    """A comment more would be the same specification."""
    return SPEC.replace("project: greeting", f"project: greeting{number}")


def code(answer: Any) -> str:
    return str(answer.json["errors"][0]["code"])


def test_specification_is_taken_in_and_its_page_shows_what_becomes_of_it(api: Api) -> None:
    answer = api.post()
    assert answer.status_code == 201, answer.text
    made = answer.json["data"]
    assert made["state"] == "PLANNED"
    assert not made["duplicate"]
    assert made["sha256"] == hashlib.sha256(SPEC.encode()).hexdigest()
    assert [sprint["label"] for sprint in made["sprints"]] == ["S1"]
    assert len(made["runs"]) == 1
    assert answer.headers["Location"] == made["links"]["self"] == f"/specs/{made['spec_id']}"
    assert api.line.store.get_spec(made["spec_id"]) == SPEC.encode()
    page = api.ask("GET", made["links"]["self"]).json["data"]
    assert page["sprints"][0]["dod"] == {"unit_pass": True, "coverage_min": 0.8}
    assert [event["phase"] for event in page["events"]] == ["SPEC_RECEIVED", "PLANNING"]
    assert [row["id"] for row in api.ask("GET", "/specs").json["data"]] == [made["id"]]


SPRINTS = {"epics": [{"sprints": [{"id": "S1", "dod": {"unit_pass": True}}]}]}
MARKDOWN = f"""---
meta: {{project: g, repo: {REPO}}}
dod: {{unit_pass: true}}
---
# Sprint S1

### US1: A greeting

- [ ] it greets
"""
BARE = (
    (SPEC, "application/yaml"),
    (SPEC.replace("People", "All people"), "text/plain"),
    (SPEC.replace("People", "Most people"), "application/octet-stream"),
    (json.dumps({"meta": {"project": "g", "repo": REPO}, "planning": SPRINTS}), "application/json"),
    (MARKDOWN, "text/markdown"),
)


def test_bare_specification_is_taken_as_it_is(api: Api) -> None:
    for body, kind in BARE:
        answer = api.ask("POST", "/specs", data=body, content_type=kind)
        assert answer.status_code == 201, (kind, answer.text)
        assert answer.json["data"]["sha256"] == hashlib.sha256(body.encode()).hexdigest()


def test_specification_as_an_object_is_taken_and_its_problems_have_paths(api: Api) -> None:
    document = {"meta": {"project": "g", "repo": REPO}, "planning": {"epics": [{"sprints": [{"id": "S1", "dod": {}}]}]}}
    assert api.ask("POST", "/specs", json={"spec": document}).status_code == 201
    document["meta"]["repo"] = "no repository"
    answer = api.ask("POST", "/specs", json={"spec": document})
    assert answer.status_code == 422
    assert [(one["code"], one["field"], "line" in one) for one in answer.json["errors"]] == [
        ("spec-invalid", "meta.repo", False)
    ]


def test_each_problem_of_a_specification_has_its_line_and_column(api: Api) -> None:
    answer = api.post(SPEC.replace("coverage_min: 0.8", "coverage_min: 8"))
    assert answer.status_code == 422
    [problem] = answer.json["errors"]
    assert (problem["code"], problem["line"], problem["column"] > 1) == ("spec-invalid", 12, True)
    assert problem["field"].endswith("dod.coverage_min")
    assert api.count("specs") == 0


def test_refused_specification_tells_its_notes_beside_what_is_wrong(api: Api) -> None:
    wrong = SPEC.replace("coverage_min: 0.8", "coverage_min: 90%, test_min: 3")
    answer = api.post(wrong)
    assert [problem["message"] for problem in answer.json["errors"]] == [
        "'coverage_min' should be a number. Did you mean 0.9?"
    ]
    [note] = answer.json["meta"]["notes"]
    assert note.startswith("Line 12: ")
    assert "Did you mean 'tests_min'?" in note
    document = YAML(typ="safe").load(wrong)
    [note] = api.ask("POST", "/specs", json={"spec": document}).json["meta"]["notes"]
    assert note.startswith("'planning."), "of a document without lines"


DEEP = b'{"spec": ' + b'{"a":' * 600 + b"1" + b"}" * 600 + b"}"
REFUSED: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"data": b"{", "content_type": "application/json"}, 400, "body-not-json"),
    ({"data": b"\xff", "content_type": "application/json"}, 400, "body-not-json"),
    ({"data": b'{"spec": NaN}', "content_type": "application/json"}, 400, "body-not-json"),
    ({"data": b"[" * 100_000, "content_type": "application/json"}, 400, "body-not-json"),
    ({"data": b'{"spec": {"a": 1e999}}', "content_type": "application/json"}, 400, "body-not-json"),
    ({"data": DEEP, "content_type": "application/json"}, 422, "spec-invalid"),
    ({"data": b"{}", "content_type": "application/json"}, 422, "field-invalid"),
    ({"data": b"[]", "content_type": "application/json"}, 422, "field-invalid"),
    ({"json": {"spec": SPEC, "agian": True}}, 422, "field-invalid"),
    ({"json": {"spec": SPEC, "again": "yes"}}, 422, "field-invalid"),
    ({"json": {"spec": SPEC, "name": "a\nb"}}, 422, "field-invalid"),
    ({"json": {"spec": SPEC, "format": "toml"}}, 422, "field-invalid"),
    ({"json": {"spec": "\ud800"}}, 422, "field-invalid"),
    ({"json": {"spec": "Please build something."}}, 422, "spec-invalid"),
    ({"data": b"<a/>", "content_type": "application/xml"}, 415, "media-type-unsupported"),
    ({"data": b"x" * (2 * 1024 * 1024 + 1), "content_type": "text/plain"}, 413, "body-too-large"),
    ({"data": b"x: " * 400_000, "content_type": "application/yaml"}, 422, "spec-invalid"),
    ({"json": {"spec": SPEC}, "headers": {"Idempotency-Key": "a b"}}, 400, "idempotency-key-invalid"),
    ({"json": {"spec": SPEC}, "headers": {"Idempotency-Key": "k" * 256}}, 400, "idempotency-key-invalid"),
)


def test_what_cannot_be_used_is_refused_with_its_code(api: Api) -> None:
    for request_, status, error in REFUSED:
        answer = api.ask("POST", "/specs", **request_)
        assert (answer.status_code, code(answer)) == (status, error), answer.text
    assert api.count("specs") == 0


NOWHERE = uuid.UUID(int=1)
ADDRESSES = (
    ("PUT", "/specs", 405, "GET, POST"),
    ("POST", f"/specs/{NOWHERE}", 405, "GET"),
    ("GET", f"/specs/{NOWHERE}/submit", 405, "POST"),
    ("GET", "/nothing", 404, None),
    ("GET", "/specs/1", 404, None),
    ("GET", "/specs/%2e%2e/specs", 404, None),
    ("GET", f"/specs/{NOWHERE}", 404, None),
    ("POST", f"/specs/{NOWHERE}/submit", 404, None),
)


def test_other_addresses_and_methods_are_refused(api: Api) -> None:
    for method, path, status, allowed in ADDRESSES:
        answer = api.ask(method, path)
        assert (answer.status_code, answer.headers.get("Allow")) == (status, allowed), (method, path)


def test_letter_waits_for_the_planner_unless_the_project_says_no(api: Api) -> None:
    letter = "repository: acme/greeting\n\nPlease let people be greeted.\n"
    answer = api.ask("POST", "/specs", data=letter, content_type="text/plain")
    assert (answer.status_code, answer.json["data"]["sprints"][0]["label"]) == (201, "planning")
    api.line.database.execute("update projects set policy = '{\"planner\": false}'")
    answer = api.ask("POST", "/specs", data=letter + "At once!", content_type="text/plain")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "planning")


# Who calls


def test_whoever_does_not_prove_himself_is_401_and_told_how(api: Api) -> None:
    world = api.line.world
    jwk, member = dict(world.jwk), {"role": "authenticated", "sub": str(uuid.uuid4())}
    tokens = {
        "none": "",
        "nonsense": "x.y",
        "unknown key": "aicd_" + "0" * 8 + "_" + "0" * 64,
        "functions": world.token(),
        "runner": mint_jwt(jwk, {"role": "aicd_runner"}, 60),
        "anon": mint_jwt(jwk, {"role": "anon"}, 60),
        "service": mint_jwt(jwk, {"role": "service_role"}, 60),
        "expired": mint_jwt(jwk, member, -3600),
        "of another project's key": mint_jwt(generate_signing_jwk(), member, 60),
        "account unknown": mint_jwt(jwk, member, 60),
    }
    for name, token in tokens.items():
        answer = api.post(bearer=token)
        assert (answer.status_code, code(answer)) == (401, "not-authenticated"), (name, answer.text)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert api.count("specs") == 0


def test_key_does_what_its_scopes_say(api: Api) -> None:
    reading, writing = api.key(scopes=["specs:read"]), api.key(scopes=["specs:write"])
    assert (api.post(bearer=reading).status_code, code(api.post(bearer=reading))) == (403, "scope-missing")
    made = api.post(bearer=writing).json["data"]["links"]["self"]
    assert (api.ask("GET", made, bearer=writing).status_code, api.ask("GET", made, bearer=reading).status_code) == (
        403,
        200,
    )


@pytest.mark.parametrize(("role", "status"), [("developer", 201), ("maintainer", 201), ("viewer", 403), (None, 403)])
def test_member_comes_with_his_own_token_and_does_what_his_role_allows(api: Api, role: str | None, status: int) -> None:
    token = api.member(role)
    answer = api.post(bearer=token)
    assert answer.status_code == status, answer.text
    api.post()
    page = api.ask("GET", "/specs", bearer=token)
    assert len(page.json["data"]) == (1 if role else 0)
    if status == 201:
        assert answer.json["data"]["created_by"].endswith("@x.y")


def test_what_is_another_projects_looks_as_what_is_not_there(api: Api) -> None:
    path = api.post().json["data"]["links"]["self"]
    with Administration(api.line.world.db_url) as operator:
        operator.create_project({"repo": "rival/other"})
    other = api.key(repo="rival/other")
    refused = [api.ask("GET", one, bearer=token) for token in (other, api.member(None))
               for one in (path, f"/specs/{uuid.UUID(int=1)}")]  # fmt: skip
    assert {(answer.status_code, json.dumps(answer.json["errors"])) for answer in refused} == {
        (404, json.dumps(refused[0].json["errors"]))
    }
    answer = api.post(bearer=other)
    assert (answer.status_code, code(answer)) == (403, "repository-not-allowed")


def test_caller_who_asks_too_often_is_told_when_to_come_again(api: Api) -> None:
    answers = [api.ask("GET", "/specs") for _ in range(101)]
    assert [answer.status_code for answer in answers] == [200] * 100 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers[:-1]] == list(range(99, -1, -1))
    assert api.ask("GET", "/specs", bearer=api.key()).status_code == 200


# Once


def test_same_key_and_body_is_the_same_answer_and_one_effect(api: Api) -> None:
    key = {"Idempotency-Key": "k-1"}
    first, second = api.post(headers=key), api.post(headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    assert first.headers["Location"] == second.headers["Location"]
    assert (first.headers.get("Idempotency-Replayed"), second.headers["Idempotency-Replayed"]) == (None, "true")
    assert api.count("specs") == 1


def test_same_key_with_another_body_is_refused(api: Api) -> None:
    key = {"Idempotency-Key": "k-1"}
    api.post(headers=key)
    answer = api.post(another(1), headers=key)
    assert (answer.status_code, code(answer)) == (422, "idempotency-key-reused")
    assert api.count("specs") == 1


def test_two_callers_may_use_the_same_key(api: Api) -> None:
    key = {"Idempotency-Key": "k-1"}
    assert [api.post(another(n), headers=key, bearer=api.key()).status_code for n in range(2)] == [201, 201]


def test_refused_body_is_refused_again_with_the_same_words(api: Api) -> None:
    key = {"Idempotency-Key": "k-1"}
    first, second = (api.post("meta: {}", headers=key) for _ in range(2))
    assert (first.status_code, first.data) == (422, second.data)


def test_refusal_that_others_can_lift_is_not_kept(api: Api) -> None:
    key, token = {"Idempotency-Key": "k-1"}, api.member("viewer")
    assert api.post(headers=key, bearer=token).status_code == 403
    api.line.database.execute("update project_members set role = 'developer'")
    assert api.post(headers=key, bearer=token).status_code == 201


def test_twins_at_once_are_one_effect_and_told_the_same_or_to_wait(api: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.post(headers={"Idempotency-Key": "k-1"}), range(16)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.data for answer in answers if answer.status_code == 201}) == 1
    assert {code(answer) for answer in answers if answer.status_code == 409} <= {"request-in-progress"}
    assert api.count("specs") == 1


@pytest.mark.parametrize("verb", ["check_submission_v1", "submit_spec_v1", "finish_request_v1", "object"])
def test_fault_first_is_not_kept_and_the_same_key_has_one_effect(
    api: Api, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database or Storage fails before or after its work was done; the caller tries again with the same key."""
    key = {"Idempotency-Key": "k-1"}
    with monkeypatch.context() as broken:
        send = httpx.Client.send

        def failing(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
            answer = send(client, request, **options)
            path = request.url.path
            is_meant = "/object/specs/" in path if verb == "object" else path.endswith(verb)
            if is_meant:
                answer.close()
                answer = httpx.Response(500, request=request)
                client.event_hooks["response"][-1](answer)
            return answer

        broken.setattr(httpx.Client, "send", failing)
        first = api.post(headers=key)
    assert first.status_code == (201 if verb == "finish_request_v1" else 503), first.text
    api.line.database.execute("update private.idempotent_requests set lease_expires_at = now() - interval '1 second'")
    second = api.post(headers=key)
    assert second.status_code == 201, second.text
    assert not second.json["data"]["duplicate"]
    assert (api.count("specs"), api.count("runs")) == (1, 1)
    assert api.count("storage.objects") - api.line.objects_before == 1


def test_same_content_is_one_specification_whoever_hands_it_in(api: Api) -> None:
    first, second = api.post(), api.post(bearer=api.member("developer"))
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json["data"]["duplicate"]
    assert first.json["data"]["id"] == second.json["data"]["id"]
    assert api.post(fields={"again": True}).status_code == 201
    assert api.count("specs") == 2


def test_mail_and_api_are_one_specification_and_the_sender_hears_of_it(api: Api, letter: Callable[..., Any]) -> None:
    line = api.line
    line.call(line.function("tick"))  # the mailbox begins
    push = line.function("gmail_push")
    # Loading another function changed nothing of this one: it is wired by its first request.
    # As most mail programs do, it sends text as text, with the ends of lines that mail has.
    mail = letter(spec=None)
    mail.add_attachment(SPEC, subtype="yaml", filename="spec.yaml", cte="7bit")
    assert api.post(fields={"message_id": mail["Message-ID"]}).status_code == 201
    line.deliver(bytes(mail).replace(b"\n", b"\r\n"))
    assert line.push(push).status_code == 204
    assert api.count("specs") == 1
    assert line.rows("select messages.sender from specs join messages on messages.id = message_id") == [(SENDER,)]
    assert api.post().json["data"]["duplicate"]


# Uploads


def announce(api: Api, content: bytes = SPEC.encode(), **changes: Any) -> Any:
    body = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "content_type": "application/yaml",
            "name": "spec.yaml", **changes}  # fmt: skip
    return api.ask("POST", "/specs/uploads", json=body)


def put(upload: dict[str, Any], content: bytes, **headers: str) -> httpx.Response:
    return httpx.put(upload["url"], content=content, headers=upload["headers"] | headers, trust_env=False)


def test_upload_is_announced_stored_and_submitted(api: Api) -> None:
    answer = announce(api)
    assert answer.status_code == 201, answer.text
    upload = answer.json["data"]
    assert upload["path"] == f"{upload['id']}/source"
    early = api.ask("POST", upload["submit"])
    assert (early.status_code, code(early)) == (409, "upload-missing")
    assert put(upload, SPEC.encode()).status_code == 200
    answers = [api.ask("POST", upload["submit"]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    assert answers[0].json["data"] == answers[1].json["data"]
    assert answers[0].json["data"]["id"] == upload["id"]
    assert answers[0].json["data"]["name"] == "spec.yaml"


def test_other_bytes_than_declared_are_a_conflict_and_build_nothing(api: Api) -> None:
    upload = announce(api).json["data"]
    assert put(upload, another(1).encode()).status_code == 200
    answer = api.ask("POST", upload["submit"])
    assert (answer.status_code, code(answer)) == (409, "hash-mismatch")
    again = put(upload, SPEC.encode())
    assert again.status_code == 400, "what is stored is never replaced"
    assert api.count("specs") == 0


def test_bucket_refuses_what_is_too_large_or_of_another_type(api: Api) -> None:
    upload = announce(api).json["data"]
    assert put(upload, b"x" * (2 * 1024 * 1024 + 1)).status_code in (400, 413)
    assert put(upload, b"<svg/>", **{"content-type": "image/svg+xml"}).status_code in (400, 415)


def test_upload_of_what_is_here_already_is_that_specification(api: Api) -> None:
    first = api.post().json["data"]["id"]
    upload = announce(api).json["data"]
    put(upload, SPEC.encode())
    answers = [api.ask("POST", upload["submit"]) for _ in range(2)]
    assert [(answer.status_code, answer.json["data"]["id"]) for answer in answers] == [(200, first)] * 2


def test_upload_is_nobody_elses_to_submit(api: Api) -> None:
    upload = announce(api).json["data"]
    put(upload, SPEC.encode())
    answer = api.ask("POST", upload["submit"], bearer=api.key())
    assert (answer.status_code, code(answer)) == (404, "spec-not-found")


def test_announcement_is_idempotent_by_key(api: Api) -> None:
    key = {"Idempotency-Key": "u-1"}
    body = {"sha256": hashlib.sha256(SPEC.encode()).hexdigest(), "size": len(SPEC)}
    first, second = (api.ask("POST", "/specs/uploads", json=body, headers=key) for _ in range(2))
    assert first.data == second.data


# Lists and pages


def test_list_is_paged_by_key_and_filtered(api: Api) -> None:
    made = [api.post(another(n)).json["data"]["id"] for n in range(5)][::-1]
    api.line.database.execute("update specs set created_at = date_trunc('second', created_at)")
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = api.ask("GET", "/specs", query_string=query).json
        seen += [row["id"] for row in answer["data"]]
        cursor = answer["meta"]["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(made)
    assert len(seen) == len(set(seen)) == 5
    api.line.database.execute("update sprints set state = 'CANCELLED' where spec_id = %s", (made[0],))
    counts = {
        query: len(api.ask("GET", f"/specs?{query}").json["data"])
        for query in ("state=CANCELLED", "state=PLANNED", "state=DONE", f"repo={REPO.upper()}", "repo=a/b",
                      "created_after=2020-01-01T00:00:00Z", "created_before=2020-01-01T00:00:00Z",
                      f"sha256={hashlib.sha256(another(1).encode()).hexdigest()}")
    }  # fmt: skip
    assert list(counts.values()) == [1, 4, 0, 5, 0, 5, 0, 1]


QUERIES = (
    ("stat=DONE", "parameter-unknown", "Fix: Did you mean 'state'? Known are: repo, state, "),
    ("state=done", "parameter-invalid", "Fix: Give one of 'PLANNED', "),
    ("limit=0", "parameter-invalid", "Fix: Give a whole number between 1 and 200"),
    ("limit=many", "parameter-invalid", "Fix: Give a whole number between 1 and 200"),
    ("limit=1&limit=2", "parameter-repeated", "Fix: Give it once."),
    ("cursor=bm90IG91cnM", "parameter-invalid", "Fix: Take `meta.next_cursor`"),
    ("cursor=%00", "parameter-invalid", "Fix: `meta.next_cursor` of the page before."),
    ("created_after=2026-01-01T00:00:00", "parameter-invalid", "Fix: Write it as 2026-11-21T08:00:00Z"),
    ("created_after=yesterday", "parameter-invalid", "Fix: Write it as 2026-11-21T08:00:00Z"),
    ("created_before=2026-13-41T00:00:00Z", "parameter-invalid", "Fix: Write it as 2026-11-21T08:00:00Z"),
    ("repo=%00", "parameter-invalid", "Fix: OWNER/NAME."),
    ("sha256=AB", "parameter-invalid", "Fix: Give 64 hexadecimal digits in lower case."),
)


def test_query_that_is_not_understood_is_refused_with_what_is_allowed(api: Api) -> None:
    for query, error, fix in QUERIES:
        answer = api.ask("GET", f"/specs?{query}")
        assert (answer.status_code, code(answer)) == (422, error), query
        assert fix in answer.json["errors"][0]["message"], query


def test_page_has_verdict_pull_request_and_links_that_open(api: Api) -> None:
    made = api.post().json["data"]
    run_id, artifact_id = made["runs"][0]["id"], str(uuid.uuid4())
    api.line.upload("artifacts", f"{run_id}/{artifact_id}", b"<p>report</p>")
    database = api.line.database
    database.execute("insert into artifacts (id, run_id, kind, name, content_type, storage_path, size) values"
                     " (%s, %s, 'report', 'report.html', 'text/html', %s, 13)",
                     (artifact_id, run_id, f"{run_id}/{artifact_id}"))  # fmt: skip
    gone = str(uuid.uuid4())
    database.execute("insert into artifacts (id, run_id, kind, name, storage_path) values (%s, %s, 'x', 'gone', %s)",
                     (gone, run_id, f"{run_id}/{gone}"))  # fmt: skip
    summary = {"status": "PASSED", "verdict": {"result": "PASSED", "criteria": []}}
    database.execute("update runs set started_at = now(), result = 'PASSED', summary_json = %s, pull_request = %s",
                     (json.dumps(summary), json.dumps({"url": "https://x/1", "number": 1})))  # fmt: skip
    for token in (api.bearer, api.member("viewer")):
        page = api.ask("GET", f"/specs/{made['id']}", bearer=token).json["data"]
        assert page["verdict"] == summary["verdict"]
        assert page["pull_requests"] == [{"url": "https://x/1", "number": 1}]
        links = {artifact["name"]: artifact["url"] for artifact in page["runs"][0]["artifacts"]}
        assert links["gone"] is None
        answer = httpx.get(links["report.html"], trust_env=False)
        assert (answer.status_code, answer.content) == (200, b"<p>report</p>")
