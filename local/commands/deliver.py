"""`aicd deliver SPEC --repo PATH`: a specification built, measured and judged in a local repository.

The action's own verbs do the work, as on a runner; the repository on this machine stands where GitHub would.
"""

from __future__ import annotations

import json as jsonlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from controlplane.errors import AicdError, CallerError, OutsideError, UsageError
from controlplane.states import Result
from local.commands.output import print_json, say
from local.stack.places import REPOSITORY_ROOT, make_private, state_home

app = typer.Typer(add_completion=False)

# What a verb of the action may see of this shell; no token of the user's is among them. Claude gets its own beside.
CLAUDE = ("ANTHROPIC_BASE_URL",)
PASSED_ON = (
    "PATH", "HOME", "LANG", "XDG_CACHE_HOME", "AICD_CACHE_DIR", "TMPDIR", "TERM", "AICD_STACK", "AICD_SIGNING_KEY",
)  # fmt: skip


@app.command()
def deliver(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A specification that has its plan.")],
    repo: Annotated[Path, typer.Option(help="A git repository; the result becomes a branch in it.")],
    agent_command: Annotated[str, typer.Option(help="The program that builds; default: the files of the spec.")] = "",
    agent: Annotated[str, typer.Option(help="claude, command, files or none; default: what is there.")] = "",
    builder_model: Annotated[str, typer.Option(help="The model that builds, where Claude does.")] = "",
    max_budget_usd: Annotated[float, typer.Option(min=0, help="The most a sprint may cost, US dollars.")] = 10.0,
    max_iterations: Annotated[int, typer.Option(min=1, help="Attempts an agent has for each sprint.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Build a specification in a local repository, sprint after sprint, and judge each against its DoD.

    With `--agent claude` the key is ANTHROPIC_API_KEY of this shell, or CLAUDE_CODE_OAUTH_TOKEN; a letter in plain
    words is planned then, and its first sprint built.

    Where AICD_SIGNING_KEY holds an ed25519 key in PEM, it signs the evidence bundle beside each report
    (docs/evidence-bundle.md).

    Exit code: 0 every sprint passed, 1 one did not or the specification is invalid, 2 usage, 4 try again later.
    """
    if not spec.is_file():
        raise UsageError(f"There is no specification {spec}.", fix="Name an existing file.")
    if not (repo / ".git").exists() and not (repo / "HEAD").exists():
        raise UsageError(f"{repo} is not a git repository.", fix="Name one with --repo PATH.")
    results = make_private(state_home(dict(os.environ)), traversable=True) / "deliveries"
    folder = Path(tempfile.mkdtemp(prefix="delivery-", dir=make_private(results, traversable=True)))
    folder.chmod(0o711)
    sprints: list[dict[str, Any]] = []
    chosen = {
        "agent": agent,
        "agent-command": agent_command,
        "builder-model": builder_model,
        "max-budget-usd": str(max_budget_usd),
        "max-iterations": str(max_iterations),
        "anthropic-api-key": _claude_key(agent),
    }
    for label in _sprints(spec, agent, agent_command):
        inputs = {**chosen, "target-branch": sprints[-1]["branch"] if sprints else ""}
        sprints.append(_deliver_sprint(spec, repo, label, inputs, folder / (label or "planned")))
        if sprints[-1]["result"] != Result.PASSED:
            break
    passed = all(sprint["result"] == Result.PASSED for sprint in sprints)
    outcome = {"result": "PASSED" if passed else "FAILED", "repository": str(repo.resolve()), "sprints": sprints}
    if json:
        print_json(outcome)
    else:
        for sprint in sprints:
            print(f"{sprint['sprint']}: {sprint['result']}  branch {sprint['branch']}  report {sprint['report']}")
    raise typer.Exit(0 if passed else 1)


def _claude_key(agent: str) -> str:
    """The key of this shell, for Claude only."""
    if agent != "claude":
        return ""
    key = os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("CLAUDE_CODE_OAUTH_TOKEN") or ""
    if not key:
        raise UsageError("`--agent claude` needs a key.", fix="Set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN.")
    return key


def _sprints(spec: Path, agent: str, agent_command: str) -> list[str]:
    """Their labels; one without a name where the plan is still to be made."""
    from controlplane.specfile import check_spec

    check = check_spec(spec.read_bytes(), spec.name)
    if check.spec is None:
        first = check.problems[0]
        raise CallerError(
            f"The specification cannot be built: line {first.line}, column {first.column}: {first.message}",
            fix=f"See every problem with `aicd spec check {spec}`.",
        )
    if check.spec.plan is None and agent == "claude":
        return [""]
    if check.spec.plan is None:
        raise CallerError(
            "The specification has no plan.",
            fix="Have Claude plan it: `--agent claude`, with ANTHROPIC_API_KEY set. Or write its sprints "
            "(docs/writing-a-specification.md).",
            code="no-plan",
        )
    _require_builder(agent, agent_command, brings_files=bool(check.spec.files))
    return [sprint.label for sprint in check.spec.plan.sprints]


def _require_builder(agent: str, agent_command: str, *, brings_files: bool) -> None:
    """Said here, in words of this command: the action would speak of its inputs."""
    from action.build.agents import AGENTS

    if agent and agent not in AGENTS:
        raise UsageError(f"There is no agent '{agent}'.", fix=f"Use one of: {', '.join(AGENTS)}.", code="unknown-agent")
    if agent == "command" and not agent_command:
        raise UsageError("`--agent command` has no program.", fix="Name it with --agent-command 'PROGRAM ARGUMENTS'.")
    if not agent and not agent_command and not brings_files:
        raise CallerError(
            "Nobody is there to build, and the specification brings no files of its own.",
            fix="Give --agent-command 'PROGRAM ARGUMENTS', or --agent claude with ANTHROPIC_API_KEY set, or put "
            "`files` into the specification.",
            code="no-agent",
        )


def _deliver_sprint(spec: Path, repo: Path, label: str, inputs: dict[str, str], folder: Path) -> dict[str, Any]:
    make_private(folder, traversable=True)
    given = {
        **inputs,
        "mode": "deliver",
        "spec-path": spec.name,
        "sprint": label,
        "target-repository": str(repo.resolve()),
        "pull-request": "none",
    }
    passed_on = (*PASSED_ON, *(CLAUDE if inputs["agent"] == "claude" else ()))
    environ = {name: os.environ[name] for name in passed_on if name in os.environ}
    environ |= {f"AICD_{name.upper().replace('-', '_')}": value for name, value in given.items()}
    environ |= {
        "AICD_RUN_DIR": str(folder),
        "GITHUB_WORKSPACE": str(spec.resolve().parent),
        "PYTHONPATH": str(REPOSITORY_ROOT),
    }
    say(f"sprint {label}")
    code = subprocess.run(
        [sys.executable, "-P", "-m", "action", "deliver"],
        env=environ,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        check=False,
    ).returncode
    verdict = (_load(folder / "report" / "summary.json") or {}).get("verdict")
    run = _load(folder / "run.json") or {}
    change = _load(folder / "change.json") or {}
    bundle = folder / "report" / "evidence-bundle.zip"
    if verdict is None and code > 1:
        raise _failure(folder, code)
    return {
        "sprint": label or run.get("sprint_label"),
        "result": verdict["result"] if verdict else Result.FAILED.value,
        "verdict": verdict,
        "branch": run.get("branch"),
        "commit": change.get("head"),
        "report": str(folder / "report" / "report.html"),
        "bundle": str(bundle) if bundle.exists() else None,
    }


def _failure(folder: Path, code: int) -> AicdError:
    """Why a sprint has no verdict, as the action wrote it down."""
    failure = _load(folder / "failure.json") or {}
    kind = OutsideError if code == OutsideError.exit_code else CallerError
    return kind(
        failure.get("message") or "The sprint could not be delivered, and nothing was written down of why.",
        fix=as_options(failure.get("fix") or f"Read the lines above, and what is in {folder}; then try again."),
        code=failure.get("code", ""),
    )


def as_options(text: str) -> str:
    """The action's inputs as what they are here: options of this command, or variables of the shell."""
    text = text.replace("`anthropic-api-key`", "ANTHROPIC_API_KEY")
    return re.sub(
        r"`(agent|agent-command|builder-model|max-budget-usd|max-iterations)(?:: ([^`]+))?`", _as_option, text
    )


def _as_option(found: re.Match[str]) -> str:
    return f"`--{found[1]} {found[2]}`" if found[2] else f"`--{found[1]}`"


def _load(path: Path) -> dict[str, Any] | None:
    return jsonlib.loads(path.read_text()) if path.exists() else None
