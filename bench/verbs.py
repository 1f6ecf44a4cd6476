"""What our verbs add to a delivery: everything but the measuring, and gate mode, each against the same work done raw.

The specification brings its plan and its files, so no agent works; `verify` runs between the verbs and is not counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench.measure import Measure, compare, timed
from local.stack.places import REPOSITORY_ROOT

BEFORE, AFTER = ("start", "plan", "build"), ("gate", "publish", "finish")
SPEC = """\
meta: {project: greeting, repo: acme/greeting}
planning:
  epics:
    - sprints:
        - id: hello
          goals: [People can be greeted.]
          dod: {unit_pass: true, integrity: true}
files:
  - {path: greeting.py, content: "def greet(name: str) -> str:\\n    return f'Hello, {name}'\\n"}
  - path: test_greeting.py
    content: |
      from greeting import greet
      def test_greeting_names_the_person() -> None:
          assert greet("Ada") == "Hello, Ada"
"""
CASES = "".join(f'<testcase classname="t" name="case_{number}" time="0.01"/>' for number in range(1000))
JUNIT = f'<testsuites><testsuite name="t" tests="1000">{CASES}</testsuite></testsuites>'
RAW_GATE = "import sys, xml.etree.ElementTree as e; print(len(list(e.parse(sys.argv[1]).iter('testcase'))))"
IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")


def run() -> Iterable[Measure]:
    with tempfile.TemporaryDirectory(prefix="aicd-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        (folder / "spec.yaml").write_text(SPEC)
        (folder / "junit.xml").write_text(JUNIT)
        yield compare(
            "six verbs of a delivery, without measuring",
            lambda: _verbs(folder),
            "six bare starts of Python, clone, commit and push",
            lambda: _raw(folder),
            rounds=3,
        )
        yield compare(
            "gate mode, 1,000 cases",
            lambda: timed(lambda: _gate(folder)),
            "a bare parse by ElementTree",
            lambda: timed(lambda: _run([sys.executable, "-I", "-c", RAW_GATE, str(folder / "junit.xml")])),
        )


def _verbs(folder: Path) -> float:
    """Seconds of all verbs but verify; raises CalledProcessError where one says no."""
    target = _repository(folder)
    run_dir = folder / "run"
    shutil.rmtree(run_dir, ignore_errors=True)
    told = {
        "AICD_RUN_DIR": str(run_dir),
        "AICD_SPEC_PATH": "spec.yaml",
        "AICD_TARGET_REPOSITORY": str(target),
        "AICD_PULL_REQUEST": "none",
        "GITHUB_WORKSPACE": str(folder),
    }
    seconds = sum(timed(lambda verb=verb: _verb(verb, told)) for verb in BEFORE)  # type: ignore[misc]
    _verb("verify", told)
    return seconds + sum(timed(lambda verb=verb: _verb(verb, told)) for verb in AFTER)  # type: ignore[misc]


def _gate(folder: Path) -> None:
    told = {"AICD_MODE": "gate", "AICD_DOD": "unit_pass: true", "AICD_REPORTS": str(folder / "junit.xml")}
    _verb("gate", {**told, "AICD_RUN_DIR": str(folder / "gate"), "GITHUB_WORKSPACE": str(folder)})


def _raw(folder: Path) -> float:
    target, clone = _repository(folder), folder / "clone"
    shutil.rmtree(clone, ignore_errors=True)

    def work() -> None:
        for _ in (*BEFORE, *AFTER):
            _run([sys.executable, "-I", "-c", "pass"])
        _run(["git", "clone", "--quiet", str(target), str(clone)])
        (clone / "greeting.py").write_text("def greet() -> None: ...\n")
        _run(["git", "-C", str(clone), "add", "."])
        _run(["git", "-C", str(clone), *IDENTITY, "commit", "--quiet", "-m", "Greet"])
        _run(["git", "-C", str(clone), "push", "--quiet", "origin", "HEAD:refs/heads/greet"])

    return timed(work)


def _repository(folder: Path) -> Path:
    target = folder / "target.git"
    shutil.rmtree(target, ignore_errors=True)
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    _run(["git", "init", "--quiet", "-b", "main", str(work)])
    (work / "README.md").write_text("# greeting\n")
    _run(["git", "-C", str(work), "add", "."])
    _run(["git", "-C", str(work), *IDENTITY, "commit", "--quiet", "-m", "Begin"])
    _run(["git", "clone", "--quiet", "--bare", str(work), str(target)])
    return target


def _verb(verb: str, told: dict[str, str]) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "AICD_CACHE_DIR") if name in os.environ}
    environ = {**kept, "LANG": "C.UTF-8", "PYTHONPATH": str(REPOSITORY_ROOT), **told}
    _run([sys.executable, "-P", "-m", "action", verb], environ)


def _run(command: list[str], environ: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[-2:]} ended with {done.returncode}: {(done.stdout + done.stderr)[-800:]}")
