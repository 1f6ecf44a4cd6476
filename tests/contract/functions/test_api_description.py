"""The running API tried against its own description: thousands of requests, right and wrong (schemathesis).

Bounded by the number of cases in every run; AICD_WIDE_TESTS=1 goes on for minutes, with other seeds.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from local.administration import Administration
from tests.contract.functions.conftest import REPO, SPEC, Line

pytestmark = pytest.mark.database

WIDE = os.environ.get("AICD_WIDE_TESTS") == "1"
CASES, SEEDS = (150, (7, 17, 27, 37)) if WIDE else (8, (7,))
# A text that fits the schema need not be a specification that can be built, nor an id one that is there.
NOT_PROMISED = "positive_data_acceptance"


@pytest.fixture
def address(line: Line) -> Iterator[str]:
    """The function behind an address, for a caller who may ask as often as he likes."""
    line.database.execute("truncate private.request_times, private.idempotent_requests, private.spec_uploads")
    line.database.execute("insert into private.settings values ('requests_per_caller_and_minute', '1000000')")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, line.function("specs").application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
        line.database.execute("delete from private.settings where name = 'requests_per_caller_and_minute'")


def run(address: str, key: str, seed: int, folder: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """One run of schemathesis, and its report. One worker: schemathesis parses its own lambdas, and CPython 3.11 cannot
    parse in two threads at once ("AST constructor recursion depth mismatch")."""
    report = folder / f"report-{seed}.json"
    command = [
        str(Path(sys.executable).with_name("st")), "run", f"{address}/openapi.json", "--header",
        f"Authorization: Bearer {key}", "--seed", str(seed), "--max-examples", str(CASES), "--checks", "all",
        "--exclude-checks", NOT_PROMISED, "--phases", "examples,coverage,fuzzing,stateful", "--workers", "1",
        "--no-color", "--report-json-path", str(report), "--warnings", "off", "--request-timeout", "20",
    ]  # fmt: skip
    environment = {**os.environ, "NO_PROXY": "*", "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis")}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=folder, timeout=1200, check=False
    )
    return done, json.loads(report.read_text()) if report.exists() else {}


def test_running_function_keeps_what_its_description_says(
    line: Line, address: str, tmp_path: Path, record_property: Any
) -> None:
    with Administration(line.world.db_url) as operator:
        key = operator.create_api_key({"repo": REPO, "name": "c", "scopes": ["specs:read", "specs:write"]})["key"]
    line.ingest(SPEC)
    for seed in SEEDS:
        done, report = run(address, str(key), seed, tmp_path)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        record_property("figure", json.dumps(report.get("statistic", report.get("summary", {}))))
