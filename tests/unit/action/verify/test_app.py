"""The product is started, awaited and stopped; what does not come up is said, with the reason."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from action.verify.app import answers, running_app
from action.verify.area import open_area, tools_of
from action.verify.checkout import Snapshot
from action.verify.projectfile import App
from action.verify.sandbox import Cell, open_cell

Make = Callable[..., Snapshot]
URL = "http://127.0.0.1:{port}/"
pytestmark = pytest.mark.enable_socket


@pytest.fixture
def cell() -> Iterator[Cell]:
    folder = Path(tempfile.mkdtemp(prefix="aicd-test-"))
    folder.chmod(0o755)
    try:
        with open_area(folder) as area:
            tools = tools_of(area, Path("/usr/bin/python3"), "/usr/local/bin:/usr/bin:/bin", reachable=True)
            with open_cell(area.cells / "app", tools) as cell:
                yield cell
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no /usr/bin/python3 to serve with")
def test_app_that_serves_is_awaited_and_stopped_with_its_children(cell: Cell, snapshot: Make, tmp_path: Path) -> None:
    head = snapshot({"index.html": "<h1>hello</h1>"})
    app = App("(sleep 0.3; exec setsid python3 -m http.server $PORT --bind 127.0.0.1) & wait", URL, 20)
    with running_app(app, head, cell, tmp_path / "app.log", 60) as serving:
        assert serving.problem == ""
        assert answers(serving.url)
    assert not answers(serving.url)
    assert "GET /" in (tmp_path / "app.log").read_text()


def test_app_that_ends_at_once_is_told_with_its_last_words(cell: Cell, snapshot: Make, tmp_path: Path) -> None:
    app = App("echo no database here >&2; exit 3", URL, 20)
    with running_app(app, snapshot({}), cell, tmp_path / "app.log", 60) as serving:
        assert "exit code 3" in serving.problem
        assert "no database here" in serving.problem


def test_app_that_never_answers_is_given_up_in_time(cell: Cell, snapshot: Make, tmp_path: Path) -> None:
    with running_app(App("sleep 60", URL, 0.5), snapshot({}), cell, tmp_path / "app.log", 60) as serving:
        assert "did not answer" in serving.problem
