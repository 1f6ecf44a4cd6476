"""What a request asks of its answer: `Prefer` and `Accept`."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from local.gateway.errors import NotServedError, RestError

RETURNS = ("minimal", "representation")
RESOLUTIONS = ("merge-duplicates", "ignore-duplicates")
SINGLE = "application/vnd.pgrst.object+json"
PLURAL = "application/vnd.pgrst.array+json"


class Preferences(BaseModel):
    """The `Prefer` header. What it does not say is None or false."""

    model_config = ConfigDict(frozen=True)

    returns: str = "minimal"
    count: bool = False
    resolution: str | None = None
    fills_defaults: bool = False
    max_affected: int | None = None
    applied: str = ""


class Representation(BaseModel):
    """The form of the rows in the answer."""

    model_config = ConfigDict(frozen=True)

    is_single: bool
    strips_nulls: bool

    @property
    def media_type(self) -> str:
        kind = SINGLE if self.is_single else "application/json"
        return f"{kind}; charset=utf-8"

    def aggregate(self, alias: str, *, is_single: bool = False) -> str:
        """SQL that makes one text of all rows; `alias` is a name of ours."""
        rows = f"json_agg({alias})"
        if self.strips_nulls:
            rows = f"json_strip_nulls({rows})"
        if self.is_single or is_single:
            return f"coalesce(({rows}->0)::text, 'null')"
        return f"coalesce(({rows})::text, '[]')"


def read_preferences(headers: Iterable[str]) -> Preferences:
    """Unknown preferences are ignored, as HTTP wants it (RFC 7240), unless the caller asks to be told."""
    pairs = [part.strip().partition("=") for header in headers for part in header.split(",") if part.strip()]
    chosen = {name.strip(): value.strip() for name, _, value in pairs}
    count = chosen.get("count")
    if count in ("planned", "estimated"):
        raise NotServedError(f"count={count}")
    returns = chosen.get("return", "minimal")
    if returns not in RETURNS:
        raise NotServedError(f"return={returns}")
    if chosen.get("tx", "commit") != "commit":
        raise NotServedError("tx=rollback")
    resolution = chosen.get("resolution")
    limit = chosen.get("max-affected") if chosen.get("handling") == "strict" else None
    if limit is not None and not limit.isdigit():
        raise RestError(400, "PGRST122", "Invalid preferences given with handling=strict")
    return Preferences(
        returns=returns,
        count=count == "exact",
        resolution=resolution if resolution in RESOLUTIONS else None,
        fills_defaults=chosen.get("missing") == "default",
        max_affected=int(limit) if limit is not None else None,
        applied=", ".join(f"{name}={chosen[name]}" for name in ("return", "resolution", "missing") if name in chosen),
    )


def read_representation(accept: str) -> Representation:
    """The first type that we can make. Raises RestError 406 (PGRST107) or NotServedError."""
    for entry in accept.split(","):
        media_type, *options = (word.strip() for word in entry.split(";"))
        strips_nulls = "nulls=stripped" in options
        if media_type == SINGLE:
            return Representation(is_single=True, strips_nulls=strips_nulls)
        if media_type in ("*/*", "application/*", "application/json", PLURAL):
            return Representation(is_single=False, strips_nulls=strips_nulls)
        if media_type in ("text/csv", "application/geo+json", "application/vnd.pgrst.plan+json"):
            raise NotServedError(f"answers of type {media_type}")
    raise RestError(406, "PGRST107", f"None of these media types are available: {accept}")
