"""Every answer that is not a success, in the shapes that the official client reads."""

from __future__ import annotations

import json
from typing import Any

import psycopg

JsonObject = dict[str, Any]

# https://docs.postgrest.org/en/v14/references/errors.html#http-status-codes: exact codes first, then whole classes.
STATUS_OF_CODE = {
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "53400": 500,
    "P0001": 400,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
}
STATUS_OF_CLASS = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}


class GatewayError(Exception):
    """An answer to the caller: status, body, headers."""

    def __init__(self, status: int, body: JsonObject, headers: dict[str, str] | None = None) -> None:
        super().__init__(str(body.get("message", status)))
        self.status = status
        self.body = body
        self.headers = headers or {}


class RestError(GatewayError):
    """PostgREST's shape: `{code, message, details, hint}`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: str | None = None,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, {"code": code, "message": message, "details": details, "hint": hint}, headers)


class StorageError(GatewayError):
    """Storage's shape: the real status is a string in the body, the HTTP status is 400 for all but our own faults."""

    def __init__(self, status: int, code: str, message: str, *, error: str | None = None) -> None:
        body = {"statusCode": str(status), "error": error or code, "message": message, "code": code}
        super().__init__(500 if status == 500 else 400, body)


class AuthError(GatewayError):
    """Auth's shape: `{code, error_code, msg}`."""

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(status, {"code": status, "error_code": error_code, "msg": message})


class KeyRefusedError(GatewayError):
    """The API key is missing or wrong. Said before any service is reached, so in the shape of all of them."""

    def __init__(self, message: str, hint: str) -> None:
        shape_of_rest = {"code": "401", "message": message, "details": None, "hint": hint}
        shape_of_storage = {"statusCode": "401", "error": "Unauthorized"}
        super().__init__(401, shape_of_rest | shape_of_storage)


class NotServedError(GatewayError):
    """A part of Supabase that this gateway leaves out. Names the part, so that nobody takes it for a fault of his."""

    def __init__(self, what: str) -> None:
        message = f"The local gateway does not serve {what}."
        hint = "It serves what this project needs, for development and tests. Use a Supabase project for the rest."
        shape_of_rest = {"code": "not-served", "message": message, "details": None, "hint": hint}
        shape_of_storage = {"statusCode": "501", "error": "NotSupported"}
        super().__init__(501, shape_of_rest | shape_of_storage)


def translate_database_error(error: psycopg.Error, *, is_anonymous: bool) -> GatewayError:
    """What PostgREST answers when Postgres says no."""
    code = error.sqlstate
    if code is None:
        return RestError(
            503,
            "PGRST001",
            "Database client error. Retrying the connection.",
            details=None,
            hint="Is Postgres running?",
        )
    diagnosis = error.diag
    if code == "PGRST":
        return _translate_custom_error(diagnosis.message_primary or "", diagnosis.message_detail or "")
    return RestError(
        _status_of(code, is_anonymous=is_anonymous, message=diagnosis.message_primary or ""),
        code,
        diagnosis.message_primary or "",
        details=diagnosis.message_detail,
        hint=diagnosis.message_hint,
    )


def _status_of(code: str, *, is_anonymous: bool, message: str) -> int:
    if code.startswith("PT") and code[2:].isdigit():
        return int(code[2:])
    if code == "42501":
        return 401 if is_anonymous else 403
    if code == "22023" and message.startswith("role") and message.endswith("does not exist"):
        return 401
    return STATUS_OF_CODE.get(code) or STATUS_OF_CLASS.get(code[:2], 400)


def _translate_custom_error(message: str, detail: str) -> GatewayError:
    """`raise sqlstate 'PGRST'`: the message is the body as JSON, the detail holds status and headers as JSON."""
    try:
        body, control = json.loads(message), json.loads(detail)
        status = int(control["status"])
        headers = {str(name): str(value) for name, value in control.get("headers", {}).items()}
        return RestError(
            status,
            str(body["code"]),
            str(body["message"]),
            details=body.get("details"),
            hint=body.get("hint"),
            headers=headers,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return RestError(
            500,
            "PGRST121",
            "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error",
            details="MESSAGE needs code and message, DETAIL needs status",
            hint=None,
        )
