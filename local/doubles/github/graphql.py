"""The corner of GitHub's GraphQL API that we use: auto-merge of a pull request, on and off.

A request is read by the published schema (automerge.graphql), as far as one mutation with one `$input` goes, which is
all that PyGithub sends; anything else is refused and remembered. The reasons for a no are GitHub's own words where they
are known: https://github.com/cli/cli/issues?q="Auto+merge+is+not+allowed".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.doubles.exchange import Answer, Call
from local.doubles.github.access import read_token
from local.doubles.github.nouns import AutoMerge, Pull, Repository, Token
from local.doubles.github.render import user
from local.doubles.github.state import GitHubState, node_id, now
from local.doubles.validation import Problems

SCHEMA = Path(__file__).with_name("automerge.graphql").read_text(encoding="utf-8")
MUTATION = re.compile(
    r"mutation\s+\w+\s*\(\s*\$input:\s*(\w+)!\s*\)\s*\{\s*(\w+)\(\s*input:\s*\$input\s*\)\s*\{([\s\w{}]*)\}\s*\}\s*"
)
SCALARS = {
    "String": r"(?s).*",
    "ID": r".+",
    "GitObjectID": r"[0-9a-f]{40}",
    "PullRequestMergeMethod": r"MERGE|REBASE|SQUASH",
}


class _No(Exception):
    """`kind` is the error's type; an empty one is a request that no schema allows."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class _Mutation:
    name: str
    given: dict[str, Any]
    selected: tuple[str, ...]


class GraphQl:
    """POST /graphql. An error is an answer with status 200, as GitHub has it."""

    def __init__(self, state: GitHubState, problems: Problems) -> None:
        self._state = state
        self._problems = problems

    def answer(self, call: Call) -> Answer:
        token = read_token(self._state, call.headers.get("authorization", ""))
        if token is None:
            return Answer(401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/graphql"})
        try:
            mutation = _read(call.body)
            pull, repository = self._find(mutation.given["pullRequestId"], token)
            change = {"enablePullRequestAutoMerge": self._enable, "disablePullRequestAutoMerge": self._disable}
            change[mutation.name](mutation, pull, repository, token)
        except _No as error:
            if not error.kind:
                self._problems.record("request", "graphql", [str(error)])
            told = {"message": str(error), **({"type": error.kind, "path": ["mutation"]} if error.kind else {})}
            return Answer(200, {"data": None, "errors": [told]})
        shown = user(call.base_url, token.login)
        actor = {"avatarUrl": shown["avatar_url"], "login": token.login, "resourcePath": f"/{token.login}"}
        whole = {"actor": {**actor, "url": shown["html_url"]}, "clientMutationId": None}
        return Answer(200, {"data": {mutation.name: {name: whole[name] for name in mutation.selected}}})

    def _find(self, wanted: str, token: Token) -> tuple[Pull, Repository]:
        for pull in self._state.pulls.values():
            owner, _, name = pull.repository.partition("/")
            repository = self._state.repository(owner, name)
            if node_id("PullRequest", pull.id) == wanted and repository and token.sees(repository.full_name):
                if not all(token.may(pull.repository, one, "write") for one in ("pull_requests", "contents")):
                    raise _No("Resource not accessible by integration", "FORBIDDEN")
                head = self._state.git(repository).ref(f"refs/heads/{pull.head}")
                return pull.model_copy(update={"head_sha": head or pull.head_sha}), repository
        raise _No(f"Could not resolve to a node with the global id of '{wanted}'.", "NOT_FOUND")

    def _enable(self, mutation: _Mutation, pull: Pull, repository: Repository, token: Token) -> None:
        method = str(mutation.given.get("mergeMethod", "MERGE"))
        if not repository.allow_auto_merge:
            raise _No("Pull request Auto merge is not allowed for this repository", "UNPROCESSABLE")
        if pull.state != "open":
            raise _No("Pull request is closed", "UNPROCESSABLE")
        if pull.draft:
            raise _No("Pull request is in draft status", "UNPROCESSABLE")
        if method.lower() not in repository.merge_methods:
            raise _No(f"Merge method {method.lower()} merging is not allowed on this repository", "UNPROCESSABLE")
        if mutation.given.get("expectedHeadOid") not in (None, pull.head_sha):
            raise _No("Expected head oid does not match the pull request's head", "UNPROCESSABLE")
        if not repository.requires_checks:
            raise _No("Pull request Pull request is in clean status", "UNPROCESSABLE")
        self._keep(pull, AutoMerge(by=token.login, method=method.lower(), commit=pull.head_sha))

    def _disable(self, _mutation: _Mutation, pull: Pull, _repository: Repository, _token: Token) -> None:
        if pull.auto_merge is None:
            raise _No("Can't disable auto-merge for this pull request.", "UNPROCESSABLE")
        self._keep(pull, None)

    def _keep(self, pull: Pull, auto_merge: AutoMerge | None) -> None:
        with self._state.journal.transaction():
            changed = pull.model_copy(update={"auto_merge": auto_merge, "updated_at": now()})
            self._state.pulls.put(f"{pull.repository}#{pull.number}", changed)


def _read(body: bytes) -> _Mutation:
    try:
        document = json.loads(body)
        query, variables = document["query"], document["variables"]
    except (ValueError, KeyError, TypeError) as error:
        raise _No("A query attribute and its variables must be specified and must be a string") from error
    found = MUTATION.fullmatch(str(query))
    if found is None or set(document) - {"query", "variables", "operationName"} or set(variables) != {"input"}:
        raise _No("this double reads one mutation with one $input")
    kind, name, selection = found[1], found[2], found[3]
    declared = re.search(rf"^  {name}\(input: (\w+)!\): (\w+)$", SCHEMA, re.MULTILINE)
    if declared is None or declared[1] != kind:
        raise _No(f"Field '{name}' doesn't exist on type 'Mutation', or its input is not a {kind}")
    wrong = [*_wrong_input(kind, variables["input"]), *_wrong_selection(declared[2], selection)]
    if wrong:
        raise _No("; ".join(wrong))
    return _Mutation(name, variables["input"], tuple(re.findall(r"\w+", re.sub(r"\{[^}]*\}", "", selection))))


def _fields(kind: str) -> dict[str, str]:
    """Of a type of the schema: name → type, with its ! where it has one."""
    block = re.search(rf"^(?:input|type|interface) {kind} \{{$(.*?)^\}}$", SCHEMA, re.MULTILINE | re.DOTALL)
    assert block is not None, kind
    return dict(re.findall(r"^  (\w+)(?:\([^)]*\))?: (\w+!?)(?: = \w+)?$", block[1], re.MULTILINE))


def _wrong_input(kind: str, given: Any) -> list[str]:
    if not isinstance(given, dict):
        return [f"{kind}: expected an object"]
    known = _fields(kind)
    wrong = [f"{kind}.{name}: Field is not defined" for name in given if name not in known]
    wrong += [
        f"{kind}.{name}: Expected value to not be null"
        for name, of in known.items()
        if of[-1] == "!" and not given.get(name)
    ]
    for name, value in given.items():
        rule = SCALARS.get(known.get(name, "").rstrip("!"), "")
        if name in known and not (isinstance(value, str) and re.fullmatch(rule, value)):
            wrong.append(f"{kind}.{name}: not a {known[name]}")
    return wrong


def _wrong_selection(kind: str, selection: str) -> list[str]:
    """One level of nesting is all there is."""
    known = _fields(kind)
    wrong = []
    for name, inner in re.findall(r"(\w+)\s*(\{[^{}]*\})?", selection):
        if name not in known:
            wrong.append(f"Field '{name}' doesn't exist on type '{kind}'")
            continue
        is_object = f"interface {known[name]} " in SCHEMA
        if is_object != bool(inner):
            wrong.append(f"Field '{name}' of type '{known[name]}' must {'' if is_object else 'not '}have a selection")
        elif inner:
            wrong += [
                f"Field '{one}' doesn't exist on type '{known[name]}'"
                for one in re.findall(r"\w+", inner)
                if one not in _fields(known[name])
            ]
    return wrong
