"""Git's smart HTTP protocol at /OWNER/NAME.git, served by git's own `http-backend` from the bare repositories.

Tokens are checked as GitHub does: no token or an unknown one is 401, what it may not see is 404, what it may not write
is 403.
"""

from __future__ import annotations

import re
import subprocess

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from local.doubles.github.access import read_token
from local.doubles.github.git import environment
from local.doubles.github.nouns import Repository
from local.doubles.github.state import GitHubState

SERVICES = re.compile(
    r"/(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/(?P<rest>info/refs|git-upload-pack|git-receive-pack)"
)
CHALLENGE = {"www-authenticate": 'Basic realm="GitHub"'}
TIMEOUT = 120


class SmartHttp:
    """One Starlette endpoint for fetch and push."""

    def __init__(self, state: GitHubState) -> None:
        self._state = state

    async def __call__(self, request: Request) -> Response:
        found = SERVICES.fullmatch(request.url.path)
        if found is None:
            return _refusal(404, "Not Found")
        service = request.query_params.get("service", "") if found["rest"] == "info/refs" else found["rest"]
        if service not in ("git-upload-pack", "git-receive-pack"):
            return _refusal(403, "Please upgrade your git client.\n")  # the dumb protocol, which GitHub does not speak
        answer = self._admit(request, found["owner"], found["name"], service)
        if isinstance(answer, Response):
            return answer
        return await run_in_threadpool(self._backend, request, await request.body(), answer, found["rest"])

    def _admit(self, request: Request, owner: str, name: str, service: str) -> Repository | Response:
        header = request.headers.get("authorization", "")
        token = read_token(self._state, header)
        repository = self._state.repository(owner, name)
        if header and token is None:
            return _refusal(401, "Invalid username or token.\n", CHALLENGE)
        writes = service == "git-receive-pack"
        if token is None:
            public = repository is not None and not repository.private
            return (
                repository
                if public and repository and not writes
                else _refusal(401, "Authentication required\n", CHALLENGE)
            )
        if repository is None or (repository.private and not token.sees(repository.full_name)):
            return _refusal(404, "Repository not found.\n")
        if writes and not token.may(repository.full_name, "contents", "write"):
            return _refusal(403, f"Permission to {repository.full_name}.git denied to {token.login}.\n")
        if repository.private and not token.may(repository.full_name, "contents", "read"):
            return _refusal(403, f"Permission to {repository.full_name}.git denied to {token.login}.\n")
        return repository

    def _backend(self, request: Request, body: bytes, repository: Repository, rest: str) -> Response:
        """Runs git to its end, so that a push is answered when its refs have moved. Packs here are small enough."""
        variables = self._cgi(request, repository, rest, len(body))
        done = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True, check=False, timeout=TIMEOUT, env=variables
        )
        head, separator, content = done.stdout.partition(b"\r\n\r\n")
        if not separator:
            return _refusal(500, done.stderr.decode("utf-8", "replace"))
        headers = dict(_header(line) for line in head.decode("latin-1").split("\r\n"))
        if rest == "git-receive-pack":
            self._state.follow_pushes(repository)
        status = int(headers.pop("status", "200").split()[0])
        return Response(content, status, headers)

    def _cgi(self, request: Request, repository: Repository, rest: str, length: int) -> dict[str, str]:
        """RFC 3875 variables; REMOTE_USER tells http-backend that a push may happen, as was checked above."""
        folder = self._state.git(repository).folder
        variables = environment(
            self._state.folder,
            GIT_PROJECT_ROOT=str(folder),
            GIT_HTTP_EXPORT_ALL="1",
            PATH_INFO=f"/{rest}",
            REQUEST_METHOD=request.method,
            QUERY_STRING=request.url.query,
            CONTENT_TYPE=request.headers.get("content-type", ""),
            CONTENT_LENGTH=str(length),
            REMOTE_USER="x-access-token",
            REMOTE_ADDR="127.0.0.1",
        )
        if protocol := request.headers.get("git-protocol"):
            variables["GIT_PROTOCOL"] = protocol
        if encoding := request.headers.get("content-encoding"):
            variables["HTTP_CONTENT_ENCODING"] = encoding
        return variables


def _refusal(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers, "text/plain")


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()
