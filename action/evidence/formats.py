"""The table of formats, and the order in which they are tried. A file is recognised by what is in it, not by its name.

A new format is a new sibling file and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from action.evidence import (
    bandit,
    clover,
    cobertura,
    coveragepy,
    eslint,
    flake8,
    jacoco,
    junit,
    lcov,
    lighthouse,
    mypy,
    npmaudit,
    nunit,
    pipaudit,
    playwright,
    pylint,
    pyright,
    ruff,
    sarif,
    trx,
    xunitnet,
)
from action.evidence.limits import Allowance
from action.evidence.xmlstream import XmlReader
from controlplane.evidence import EvidenceFile


@dataclass(frozen=True)
class XmlFormat:
    """Recognised by its root element and that one's attributes; read as a stream."""

    matches: Callable[[str, dict[str, str]], bool]
    reader: Callable[[Allowance], XmlReader]


@dataclass(frozen=True)
class JsonFormat:
    """Recognised by the parsed document."""

    matches: Callable[[Any], bool]
    read: Callable[[Any, str, Allowance], EvidenceFile]


@dataclass(frozen=True)
class TextFormat:
    """Recognised by whole lines that only this tool prints. `final`: tried only when no other one matched."""

    matches: Callable[[str], bool]
    read: Callable[[str, str, Allowance], EvidenceFile]
    final: bool = False


XML_FORMATS: tuple[XmlFormat, ...] = (
    XmlFormat(junit.is_junit, junit.JunitReader),
    XmlFormat(clover.is_clover, clover.CloverReader),
    XmlFormat(cobertura.is_cobertura, cobertura.CoberturaReader),
    XmlFormat(jacoco.is_jacoco, jacoco.JacocoReader),
    XmlFormat(nunit.is_nunit, nunit.read_nunit),
    XmlFormat(xunitnet.is_xunitnet, xunitnet.read_xunitnet),
    XmlFormat(trx.is_trx, trx.read_trx),
)

JSON_FORMATS: tuple[JsonFormat, ...] = (
    JsonFormat(coveragepy.is_coveragepy, coveragepy.read_coveragepy),
    JsonFormat(lighthouse.is_lighthouse, lighthouse.read_lighthouse),
    JsonFormat(sarif.is_sarif, sarif.read_sarif),
    JsonFormat(playwright.is_playwright, playwright.read_playwright),
    JsonFormat(bandit.is_bandit, bandit.read_bandit),
    JsonFormat(pipaudit.is_pip_audit, pipaudit.read_pip_audit),
    JsonFormat(npmaudit.is_npm_audit, npmaudit.read_npm_audit),
    JsonFormat(pyright.is_pyright_json, pyright.read_pyright_json),
    JsonFormat(pylint.is_pylint_json, pylint.read_pylint_json),
    JsonFormat(eslint.is_eslint_json, eslint.read_eslint_json),
    JsonFormat(ruff.is_ruff_json, ruff.read_ruff_json),
    JsonFormat(mypy.is_mypy_json, mypy.read_mypy_json),
    JsonFormat(ruff.is_empty_list, ruff.read_empty_list),
)

TEXT_FORMATS: tuple[TextFormat, ...] = (
    TextFormat(lcov.is_lcov, lcov.read_lcov),
    TextFormat(pyright.is_pyright_text, pyright.read_pyright_text),
    TextFormat(mypy.is_mypy_text, mypy.read_mypy_text),
    TextFormat(pylint.is_pylint_text, pylint.read_pylint_text),
    TextFormat(eslint.is_eslint_text, eslint.read_eslint_text),
    TextFormat(ruff.is_ruff_text, ruff.read_ruff_text),
    TextFormat(ruff.is_ruff_format, ruff.read_ruff_format),
    TextFormat(flake8.is_flake8, flake8.read_flake8, final=True),
)


def choose_xml_reader(root: str, attributes: dict[str, str], allowance: Allowance) -> XmlReader | None:
    return next((form.reader(allowance) for form in XML_FORMATS if form.matches(root, attributes)), None)


def find_json_format(document: Any) -> JsonFormat | None:
    return next((form for form in JSON_FORMATS if form.matches(document)), None)


def find_text_formats(text: str) -> tuple[TextFormat, ...]:
    """All that match: a text with the marks of two tools says nothing certain about either."""
    found = tuple(form for form in TEXT_FORMATS if not form.final and form.matches(text))
    return found or tuple(form for form in TEXT_FORMATS if form.final and form.matches(text))
