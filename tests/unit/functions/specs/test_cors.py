"""AICD_CORS_ORIGINS: exact origins, as browsers send them, and nothing that would let everybody in."""

from __future__ import annotations

import pytest

from functions._shared.api.cors import METHODS, read_origins
from functions._shared.settings import Environment, Misconfigured
from functions.specs.openapi import describe


def test_origins_are_separated_by_commas_and_none_unless_they_are_named() -> None:
    written = " https://app.example , https://app.example:8443,http://localhost:3000,http://[::1]:5173,,"
    assert read_origins(Environment({"AICD_CORS_ORIGINS": written})) == {
        "https://app.example", "https://app.example:8443", "http://localhost:3000", "http://[::1]:5173",
    }  # fmt: skip
    assert read_origins(Environment({})) == frozenset()


@pytest.mark.parametrize(
    "origin",
    [
        "*", "null", "https://*.example", "app.example", "https://app.example/", "https://app.example/x", "https://",
        "https://App.example", "HTTPS://app.example", "https://app.example:443", "http://127.0.0.1:80", "http://app.example",
        "https://u:p@app.example", "https://app.example?x", "https://app.example#x", "https://\u00e4pp.example",
        "https://app.example:x", "https://app.example:", "https://a.example https://b.example", "ftp://app.example",
        "https://a.example\r\nSet-Cookie: x", "chrome-extension://abc",
    ],
)  # fmt: skip
def test_what_is_no_exact_origin_is_refused_and_then_none_is_allowed(origin: str) -> None:
    environment = Environment({"AICD_CORS_ORIGINS": f"https://good.example,{origin}"})
    assert read_origins(environment) == frozenset()
    with pytest.raises(Misconfigured, match="AICD_CORS_ORIGINS"):
        environment.check()


def test_every_method_that_the_api_serves_is_allowed() -> None:
    served = {method.upper() for path in describe()["paths"].values() for method in path if method != "parameters"}
    assert served <= set(METHODS)
