"""act, as a consumer's runner would use our action: its own repository, our action by `uses: owner/aicd@v1`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ACT = Path(sys.executable).parent / "act"
USES = "ai-continuous-delivery/aicd@v1"
SHIPPED = ("action.yml", ".github/workflows/deliver.yml", "action", "controlplane", "requirements")
ALLOWED = ("PATH", "LANG", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


@dataclass
class Seen:
    """What act said in its JSON lines; its exit code alone proves nothing, since it skips jobs silently."""

    code: int
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def job_results(self) -> list[str]:
        return [line["jobResult"] for line in self.lines if "jobResult" in line]

    def step_results(self) -> dict[str, str]:
        """Inner step id → result, for the steps of our action."""
        results = {}
        for line in self.lines:
            step = line.get("stepID")
            if "stepResult" in line and isinstance(step, list) and len(step) > 1:
                results[str(step[-1])] = str(line["stepResult"])
        return results

    def outputs(self, step: str) -> dict[str, str]:
        """Outputs of the consumer's step, which our action's `outputs:` make."""
        return {
            str(line["name"]): str(line["arg"])
            for line in self.lines
            if line.get("command") == "set-output" and str(line.get("stepID", [""])[-1]) == step
        }

    @property
    def summaries(self) -> str:
        return "\n".join(str(line.get("content", "")) for line in self.lines if line.get("command") == "summary")

    @property
    def log(self) -> str:
        return "\n".join(str(line.get("msg", "")) for line in self.lines)


def copy_action(target: Path) -> Path:
    """What a published version of the action holds, and nothing else of this repository."""
    target.mkdir(parents=True)
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target


def make_consumer(folder: Path, files: dict[str, str]) -> Path:
    """A git repository with one commit and a remote that names it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *command], check=True)
    subprocess.run([*git, "remote", "add", "origin", "https://github.com/acme/calc.git"], check=True)
    return folder


def run_act(
    consumer: Path,
    action: Path,
    scratch: Path,
    *,
    secrets: dict[str, str] | None = None,
    environment: dict[str, str] | None = None,
    stubs: dict[str, Path] | None = None,
    timeout: float = 120,
) -> Seen:
    """Run the consumer's only workflow by workflow_dispatch, with nothing of our own environment."""
    command = act_command(action, scratch, secrets or {}, environment or {}, stubs or {})
    done = subprocess.run(
        command,
        cwd=consumer,
        env=act_environment(scratch),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Seen(done.returncode, list(_json_lines(done.stdout + "\n" + done.stderr)))


def act_environment(scratch: Path) -> dict[str, str]:
    return {**{k: os.environ[k] for k in ALLOWED if k in os.environ}, "HOME": str(scratch)}


def act_command(
    action: Path, scratch: Path, secrets: dict[str, str], environment: dict[str, str], stubs: dict[str, Path]
) -> list[str]:
    """`stubs` are other actions by what stands behind `uses:`. Secrets go by a file: everybody may read an argv."""
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / "event.json").write_text("{}")
    given = {"AICD_PYTHON": sys.executable, "NO_COLOR": "1", **environment}
    command = [str(ACT), "workflow_dispatch", "-e", str(scratch / "event.json"), "-P", "self-hosted=-self-hosted"]
    command += ["-P", "ubuntu-24.04=-self-hosted", "--local-repository", f"{USES}={action}", "--no-cache-server"]
    command += ["--rm", "--action-cache-path", str(scratch / "cache"), "--json"]
    for name, value in given.items():
        command += ["--env", f"{name}={value}"]
    for used, folder in stubs.items():
        command += ["--local-repository", f"{used}={folder}"]
    file = scratch / "secrets"
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    return [*command, "--secret-file", str(file)]


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
