"""What a project tells of itself, and what is not believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from action.verify.checkout import Snapshot
from action.verify.projectfile import App, read_told
from controlplane.spec import TestCommands

Make = Callable[..., Snapshot]
APP = "app:\n  command: python -m http.server {port}\n  url: http://127.0.0.1:{port}/\n"


def test_commands_of_the_specification_go_before_those_of_the_base(snapshot: Make) -> None:
    base = snapshot({".aicd.yml": "tests:\n  unit: make unit\n  e2e: make e2e\n  commands: [make docs]\n"})
    told = read_told(base, base, TestCommands(unit="make check"))
    assert (told.unit, told.e2e, told.commands) == ("make check", "make e2e", ("make docs",))


@pytest.mark.parametrize(
    "command", ["pytest", "pytest -q tests", "python -m pytest", "uv run pytest -x", "python3 -m pytest"]
)
def test_pytest_is_left_to_our_own_run_and_said_so(command: str, snapshot: Make) -> None:
    told = read_told(snapshot({}), snapshot({}), TestCommands(unit=command, commands=(command, "make lint")))
    assert (told.unit, told.commands) == ("", ("make lint",))
    assert len(told.notes) == 2


@pytest.mark.parametrize("command", ["pytest && make more", "pytestish", "make pytest", "pytest; true"])
def test_command_that_is_more_than_pytest_is_kept(command: str, snapshot: Make) -> None:
    assert read_told(snapshot({}), snapshot({}), TestCommands(unit=command)).unit == command


def test_change_may_not_tell_commands_but_may_say_how_its_product_starts(snapshot: Make) -> None:
    head = snapshot({".aicd.yml": "tests:\n  unit: 'true'\n" + APP})
    told = read_told(snapshot({}), head, None)
    assert told.unit == ""
    assert told.app == App("python -m http.server {port}", "http://127.0.0.1:{port}/")


def test_app_of_the_base_goes_before_the_one_of_the_change(snapshot: Make) -> None:
    head = snapshot({".aicd.yml": APP.replace("http.server", "other")})
    told = read_told(snapshot({".aicd.yml": APP + "  ready_seconds: 5\n"}), head, None)
    assert told.app == App("python -m http.server {port}", "http://127.0.0.1:{port}/", 5.0)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:80/",
        "http://example.org:80/",
        "http://127.0.0.1.example.org:80/",
        "http://me@127.0.0.1:80/",
        "http://127.0.0.1/",
        "http://127.0.0.1:99999/",
        "file:///etc/passwd",
    ],
)
def test_address_beyond_this_machine_starts_no_app(url: str, snapshot: Make) -> None:
    told = read_told(snapshot({".aicd.yml": f"app: {{command: serve, url: '{url}'}}\n"}), snapshot({}), None)
    assert told.app is None
    assert "app.url" in told.notes[0]


@pytest.mark.parametrize(
    "text", ["app: 1", "app: {command: x}", "- a", "tests: [1]", "app: [", "app: {command: [1], url: 2}"]
)
def test_broken_file_tells_nothing(text: str, snapshot: Make) -> None:
    told = read_told(snapshot({".aicd.yml": text}), snapshot({}), None)
    assert (told.app, told.unit, told.commands) == (None, "", ())
