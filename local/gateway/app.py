"""The table of routes, and the way from any exception to an answer. What has no route here is answered with 501."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.gateway.auth import AuthService
from local.gateway.errors import GatewayError, NotServedError, RestError
from local.gateway.events import EventService
from local.gateway.identity import identify
from local.gateway.objects import as_storage_error
from local.gateway.rest import RestService
from local.gateway.settings import GatewaySettings
from local.gateway.signing import Signer
from local.gateway.storage import StorageService
from local.gateway.transaction import Caller, Gate

Endpoint = Callable[[Request], Awaitable[Response]]
# The marker that this is not the real thing.
SERVED_BY = {"X-Served-By": "aicd local gateway; for development, tests and demos"}
EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Gateway:
    """The services behind one address."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._signer = Signer(settings.signing_jwk)
        self._gate = Gate(settings.dsn)
        self._rest = RestService(self._gate, settings)
        self._storage = StorageService(self._gate, settings, self._signer)
        self._auth = AuthService(self._gate, self._signer)
        self._events = EventService(self._gate, settings.dsn)

    def application(self) -> Starlette:
        async def unmatched(request: Request, _: Exception) -> Response:
            return await answering(self._absent)(request)

        return Starlette(
            routes=[*self._rest_routes(), *self._storage_routes(), *self._other_routes()],
            # What even the last route does not match: paths with a line break in them.
            exception_handlers={404: unmatched},
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self._gate.open()
        try:
            yield
        finally:
            await self._events.close()
            await self._gate.close()

    def _rest_routes(self) -> list[Route]:
        async def relation(request: Request) -> Response:
            return await self._rest.serve_relation(request, self._caller(request), request.path_params["name"])

        async def function(request: Request) -> Response:
            return await self._rest.serve_function(request, self._caller(request), request.path_params["name"])

        return [
            route("/rest/v1/rpc/{name}", function, "GET", "POST", "PUT", "PATCH", "DELETE"),
            route("/rest/v1/{name}", relation, "GET", "POST", "PUT", "PATCH", "DELETE"),
        ]

    def _storage_routes(self) -> list[Route]:
        """More telling paths first: `object/{bucket}/{key}` would swallow them all."""
        base, storage = "/storage/v1", self._storage
        return [
            route(f"{base}/bucket", self._bucket_list, "GET"),
            route(f"{base}/bucket/{{bucket}}", self._bucket, "GET"),
            route(f"{base}/object/sign/{{bucket}}/{{key:path}}", self._open(storage.download_signed), "GET"),
            route(f"{base}/object/sign/{{bucket}}/{{key:path}}", self._keyed(storage.sign), "POST"),
            route(f"{base}/object/sign/{{bucket}}", self._bucketed(storage.sign_many), "POST"),
            route(f"{base}/object/upload/sign/{{bucket}}/{{key:path}}", self._keyed(storage.sign_upload), "POST"),
            route(f"{base}/object/upload/sign/{{bucket}}/{{key:path}}", self._open(storage.upload_signed), "PUT"),
            route(f"{base}/object/list/{{bucket}}", self._bucketed(storage.list), "POST"),
            route(f"{base}/object/info/authenticated/{{bucket}}/{{key:path}}", self._info, "GET"),
            route(f"{base}/object/info/{{bucket}}/{{key:path}}", self._info, "GET"),
            route(f"{base}/object/public/{{bucket}}/{{key:path}}", self._open(storage.download_public), "GET"),
            route(f"{base}/object/authenticated/{{bucket}}/{{key:path}}", self._keyed(storage.download), "GET"),
            route(f"{base}/object/move", self._plain(storage.move), "POST"),
            route(f"{base}/object/copy", self._plain(storage.copy), "POST"),
            route(f"{base}/object/list-v2/{{bucket}}", self._absent, "POST"),
            route(f"{base}/object/{{bucket}}", self._bucketed(storage.remove), "DELETE"),
            route(f"{base}/object/{{bucket}}/{{key:path}}", self._keyed(storage.download), "GET"),
            route(f"{base}/object/{{bucket}}/{{key:path}}", self._keyed(storage.upload), "POST", "PUT"),
            route(f"{base}/object/{{bucket}}/{{key:path}}", self._remove_one, "DELETE"),
        ]

    def _other_routes(self) -> list[Route]:
        return [
            route("/auth/v1/.well-known/jwks.json", self._auth.jwks, "GET"),
            route("/auth/v1/user", self._user, "GET"),
            route("/realtime/v1/events", self._event_stream, "GET"),
            Route("/{path:path}", answering(self._absent), methods=EVERY_METHOD),
        ]

    def _caller(self, request: Request, settings: dict[str, str] | None = None) -> Caller:
        headers = {name: value for name, value in request.headers.items() if "\0" not in value}
        return Caller(
            identity=identify(headers, self._settings, self._signer),
            method=request.method,
            path=request.url.path,
            headers_json=json.dumps(headers),
            settings=settings or {},
        )

    def _storage_caller(self, request: Request) -> Caller:
        """Storage sets the claims that policies of old still read, one by one, beside the JSON of all."""
        try:
            caller = self._caller(request, {"storage.operation": request.url.path.removeprefix("/storage/v1/")[:100]})
        except RestError as error:
            raise as_storage_error(error) from error
        identity = caller.identity
        single = {"request.jwt.claim.role": identity.role, "request.jwt.claim.sub": identity.subject or ""}
        return caller.model_copy(update={"settings": caller.settings | single})

    def _keyed(self, serve: Callable[[Request, Caller, str, str], Awaitable[Response]]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            parameters = request.path_params
            return await serve(request, self._storage_caller(request), parameters["bucket"], parameters["key"])

        return endpoint

    def _bucketed(self, serve: Callable[[Request, Caller, str], Awaitable[Response]]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await serve(request, self._storage_caller(request), request.path_params["bucket"])

        return endpoint

    def _plain(self, serve: Callable[[Request, Caller], Awaitable[Response]]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await serve(request, self._storage_caller(request))

        return endpoint

    def _open(self, serve: Callable[[Request, str, str], Awaitable[Response]]) -> Endpoint:
        """Without a key: the token in the address, or the bucket being public, is what opens."""

        async def endpoint(request: Request) -> Response:
            return await serve(request, request.path_params["bucket"], request.path_params["key"])

        return endpoint

    async def _info(self, request: Request) -> Response:
        parameters = request.path_params
        return await self._storage.info(self._storage_caller(request), parameters["bucket"], parameters["key"])

    async def _remove_one(self, request: Request) -> Response:
        parameters = request.path_params
        return await self._storage.remove_one(self._storage_caller(request), parameters["bucket"], parameters["key"])

    async def _bucket_list(self, request: Request) -> Response:
        return await self._storage.list_buckets(self._storage_caller(request))

    async def _bucket(self, request: Request) -> Response:
        return await self._storage.get_bucket(self._storage_caller(request), request.path_params["bucket"])

    async def _user(self, request: Request) -> Response:
        self._caller(request)
        return await self._auth.user(request)

    async def _event_stream(self, request: Request) -> Response:
        return await self._events.stream(request, self._caller(request))

    async def _absent(self, request: Request) -> Response:
        raise NotServedError(f"{request.method} {request.url.path}")


def route(path: str, endpoint: Endpoint, *methods: str) -> Route:
    return Route(path, answering(endpoint), methods=list(methods))


def answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with every exception turned into an answer. A fault of ours is told on stderr and nowhere else."""

    async def answer(request: Request) -> Response:
        try:
            response = await endpoint(request)
        except GatewayError as error:
            response = _json(error.status, error.body, error.headers)
        except Exception:  # noqa: BLE001 - the last line: a caller gets an answer, never a trace
            traceback.print_exc(file=sys.stderr)
            fault = "The local gateway failed; this is a fault of ours. Its log says more."
            response = _json(
                500, RestError(500, "internal", fault).body | {"statusCode": "500", "error": "Internal"}, {}
            )
        response.headers.update(SERVED_BY)
        return response

    return answer


def _json(status: int, body: dict[str, Any], headers: dict[str, str]) -> Response:
    extra = {"Proxy-Status": f"PostgREST; error={body['code']}"} if "details" in body else {}
    return JSONResponse(body, status, headers | extra)
