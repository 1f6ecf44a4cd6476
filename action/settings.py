"""What the runner half is told: the inputs of action.yml as `AICD_<INPUT>` and GitHub's own variables, read once.

Precedence: an input that is set and not blank, else the default written here. A blank variable counts as not set,
because that is how a composite action hands over an input nobody gave. All problems are reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from action.contradictions import find_contradictions
from action.variables import Handed, read_handed
from controlplane.errors import UsageError
from controlplane.s3 import S3Store, parse_store

Mode = Literal["deliver", "plan", "build", "verify", "gate", "publish"]


def _strict_boolean(value: object) -> object:
    """The spellings of YAML 1.2's core schema and no others, as GitHub's own toolkit has it."""
    spellings = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
    if isinstance(value, str) and value not in spellings:
        raise ValueError(f"'{value}' is neither true nor false")
    return spellings[value] if isinstance(value, str) else value


def _lines(value: object) -> object:
    return tuple(line.strip() for line in value.splitlines() if line.strip()) if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_strict_boolean)]
Lines = Annotated[tuple[str, ...], BeforeValidator(_lines)]
Uuid = Annotated[str, Field(pattern=r"^$|^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
NO_SECRET = SecretStr("")
TELLING = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RunInputs(_Group):
    """Which piece of work this is."""

    mode: Mode = "deliver"
    run_id: Uuid = ""
    spec_id: Uuid = ""
    correlation_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{0,128}$")] = ""
    spec_path: str = ""
    sprint: str = ""


class ControlPlaneInputs(_Group):
    """Where the two halves meet. Without `supabase-url` the action works alone.

    With `token-url`, a job that may ask GitHub for an ID token exchanges it there; any other uses `supabase-token`.
    """

    supabase_url: str = ""
    supabase_publishable_key: str = ""
    supabase_token: SecretStr = NO_SECRET
    token_url: str = ""


class AgentInputs(_Group):
    """Who builds, and how long and how dear it may be."""

    agent: str = ""
    agent_command: str = ""
    anthropic_api_key: SecretStr = NO_SECRET
    planner_model: str = ""
    builder_model: str = ""
    claude_path: str = ""
    price_table: str = ""
    mcp_config: str = ""
    max_budget_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 10
    max_iterations: Annotated[int, Field(ge=1, le=20)] = 3
    timeout_minutes: Annotated[float, Field(gt=0, le=7200, allow_inf_nan=False)] = 60


class ClaudeInputs(_Group):
    """Where the Claude API is, and who this job is there when it has an identity instead of a key.

    The audience is what the identity token is asked for; a federation rule names the same one.
    """

    anthropic_base_url: str = ""
    anthropic_federation_rule_id: Annotated[str, Field(pattern=r"^$|^fdrl_[A-Za-z0-9]+$")] = ""
    anthropic_organization_id: Uuid = ""
    anthropic_service_account_id: Annotated[str, Field(pattern=r"^$|^svac_[A-Za-z0-9]+$")] = ""
    anthropic_workspace_id: Annotated[str, Field(pattern=r"^$|^default$|^wrkspc_[A-Za-z0-9]+$")] = ""
    anthropic_identity_audience: str = "https://api.anthropic.com"

    @property
    def is_federated(self) -> bool:
        return bool(self.anthropic_federation_rule_id)


class VariableInputs(_Group):
    """Secrets that are handed on, as lines `NAME=value` (action/variables.py)."""

    mcp_variables: SecretStr = NO_SECRET
    agent_variables: SecretStr = NO_SECRET


class JudgeInputs(_Group):
    """What is measured, and against what."""

    dod: str = ""
    reports: Lines = ()
    working_directory: str = "."
    base: str = ""


class TargetInputs(_Group):
    """The repository that receives the change."""

    target_repository: str = ""
    target_branch: str = ""
    github_token: SecretStr = NO_SECRET
    signing_key: SecretStr = NO_SECRET
    pull_request: Literal["draft", "ready", "none"] = "draft"
    auto_merge: Switch = False
    max_changed_lines: Annotated[int, Field(ge=1)] = 20_000


class HandoverInputs(_Group):
    """How the jobs of the hardened form hand on: the folder, what the workflow says of the jobs before, and whether
    they may meet on one runner."""

    handover: str = ""
    needs: Annotated[str, Field(max_length=100_000)] = ""
    allow_shared_runner: Switch = False


class ArtifactInputs(_Group):
    """Where artifacts are kept: the control plane's own Storage when `artifact_store` is blank, else a bucket of any
    S3-compatible service, and how it is signed for. No endpoint means AWS itself."""

    artifact_store: str = ""
    s3_endpoint: str = ""
    s3_region: str = ""
    s3_access_key_id: str = ""
    s3_secret_access_key: SecretStr = NO_SECRET
    s3_session_token: SecretStr = NO_SECRET

    @property
    def place(self) -> S3Store | None:
        """The bucket, None without one. Raises UsageError."""
        return parse_store(self.artifact_store, self.s3_endpoint, self.s3_region) if self.artifact_store else None


class GitHubContext(_Group):
    """GitHub's default variables, as far as we use them; every one is absent outside a workflow."""

    actions: bool = False
    repository: str = ""
    server_url: str = "https://github.com"
    api_url: str = "https://api.github.com"
    run_id: str = ""
    run_attempt: Annotated[int, Field(ge=1)] = 1
    runner_environment: str = ""
    workspace: Path = Path()
    base_ref: str = ""
    id_token_url: str = ""
    id_token_request_token: SecretStr = NO_SECRET
    output: Path | None = None
    step_summary: Path | None = None

    @property
    def has_identity(self) -> bool:
        """Whether this job may ask GitHub for an ID token."""
        return bool(self.id_token_url and self.id_token_request_token.get_secret_value())

    @property
    def run_url(self) -> str:
        """The page of this workflow run; empty outside GitHub."""
        known = self.actions and self.repository and self.run_id
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}" if known else ""


class Settings(_Group):
    """Everything an entry point was told.

    `run_directory` is the run folder (docs/architecture.md), from AICD_RUN_DIR; `cache_directory` keeps environments
    between runs, from AICD_CACHE_DIR. `claude_url` is where the Messages API is, from `anthropic-base-url`, else
    ANTHROPIC_BASE_URL (blank: Anthropic's own). `identity_file` is ANTHROPIC_IDENTITY_TOKEN_FILE, where something else
    than GitHub says who the job is. `mcp_variables` are AICD_MCP_…, the only ones that `mcp-config` may name;
    `agent_variables` are what the program of `agent: command` gets, by the names that it sees.
    """

    run: RunInputs = RunInputs()
    control_plane: ControlPlaneInputs = ControlPlaneInputs()
    agent: AgentInputs = AgentInputs()
    claude: ClaudeInputs = ClaudeInputs()
    variables: VariableInputs = VariableInputs()
    judge: JudgeInputs = JudgeInputs()
    target: TargetInputs = TargetInputs()
    handover: HandoverInputs = HandoverInputs()
    artifacts: ArtifactInputs = ArtifactInputs()
    github: GitHubContext = GitHubContext()
    run_directory: Path = Path(".aicd/run")
    cache_directory: Path | None = None
    claude_url: str = ""
    identity_file: Path | None = None
    mcp_variables: Mapping[str, SecretStr] = Field(default_factory=dict, repr=False)
    agent_variables: Mapping[str, SecretStr] = Field(default_factory=dict, repr=False)

    def secrets(self) -> tuple[str, ...]:
        """Every secret that was given: what logs, reports and commits must never hold."""
        given = (
            self.control_plane.supabase_token,
            self.agent.anthropic_api_key,
            self.target.github_token,
            self.target.signing_key,
            self.artifacts.s3_secret_access_key,
            self.artifacts.s3_session_token,
            self.github.id_token_request_token,
        )
        values = [secret.get_secret_value() for secret in given if secret.get_secret_value()]
        values += self.handed_secrets()
        # A key of several lines may be shown line by line.
        inner = [line.strip() for value in values for line in value.splitlines()[1:-1] if len(line.strip()) >= 16]
        return (*values, *inner)

    def handed_secrets(self) -> tuple[str, ...]:
        """Those that GitHub does not know of by themselves, where they came as lines of one secret."""
        handed = (*self.mcp_variables.values(), *self.agent_variables.values())
        return tuple(secret.get_secret_value() for secret in handed)

    def plain_values(self) -> frozenset[str]:
        """What is handed to an agent by a name that tells of no secret: a model's name may well stand in a change."""
        named = self.agent_variables.items()
        return frozenset(value.get_secret_value() for name, value in named if not TELLING.search(name))

    @property
    def uses_control_plane(self) -> bool:
        return bool(self.control_plane.supabase_url)

    @property
    def exchanges_identity(self) -> bool:
        """Whether this job's token is exchanged for its ID token, rather than given as a secret."""
        return bool(self.control_plane.token_url) and self.github.has_identity


INPUT_GROUPS: dict[str, type[_Group]] = {
    "run": RunInputs,
    "control_plane": ControlPlaneInputs,
    "agent": AgentInputs,
    "claude": ClaudeInputs,
    "variables": VariableInputs,
    "judge": JudgeInputs,
    "target": TargetInputs,
    "handover": HandoverInputs,
    "artifacts": ArtifactInputs,
}


def input_fields() -> dict[str, tuple[str, str]]:
    """Every input of action.yml by its kebab-case name → (group, field)."""
    return {
        field.replace("_", "-"): (group, field) for group, model in INPUT_GROUPS.items() for field in model.model_fields
    }


def variable_of(name: str) -> str:
    """`supabase-url` → `AICD_SUPABASE_URL`."""
    return "AICD_" + name.upper().replace("-", "_")


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment; raises UsageError that names every wrong input at once, and no secret."""
    raw: dict[str, dict[str, Any]] = {group: {} for group in INPUT_GROUPS}
    for name, (group, field) in input_fields().items():
        value = environment.get(variable_of(name), "")
        if value.strip():
            raw[group][field] = value if field in ("agent_command", "dod") else value.strip()
    problems: list[str] = []
    groups: dict[str, Any] = {}
    for group, model in INPUT_GROUPS.items():
        try:
            groups[group] = model.model_validate(raw[group])
        except ValidationError as error:
            problems += [_sentence(str(problem["loc"][0]), problem["msg"]) for problem in error.errors()]
    try:
        groups["github"] = _github(environment)
    except ValidationError as error:
        problems += [f"GITHUB_{str(p['loc'][0]).upper()}: {p['msg']}" for p in error.errors()]
    told_url = environment.get(variable_of("anthropic-base-url"), "").strip()
    claude_url = told_url or environment.get("ANTHROPIC_BASE_URL", "")
    identity_file = environment.get("ANTHROPIC_IDENTITY_TOKEN_FILE", "").strip()
    handed = _handed(environment)
    problems += handed.problems
    if not problems:
        problems = find_contradictions(groups, claude_url, identity_file)
    if problems:
        raise UsageError("The inputs cannot be used: " + "; ".join(problems) + ".", "Correct them in the workflow.")
    cache = environment.get("AICD_CACHE_DIR", "")
    return Settings(
        **groups,
        run_directory=_run_directory(environment),
        cache_directory=Path(cache).absolute() if cache else None,
        claude_url=claude_url,
        identity_file=Path(identity_file) if identity_file else None,
        mcp_variables=handed.mcp,
        agent_variables=handed.agent,
    )


def _handed(environment: Mapping[str, str]) -> Handed:
    mcp, agent = (environment.get(variable_of(name), "") for name in ("mcp-variables", "agent-variables"))
    return read_handed(environment, mcp, agent, map(variable_of, input_fields()))


def _sentence(field: str, message: str) -> str:
    return f"input '{field.replace('_', '-')}': {message.removeprefix('Value error, ')}"


def _github(environment: Mapping[str, str]) -> GitHubContext:
    names = ("repository", "server_url", "api_url", "run_id", "run_attempt", "workspace", "base_ref", "output")
    found: dict[str, Any] = {name: environment.get(f"GITHUB_{name.upper()}", "") for name in (*names, "step_summary")}
    # A double, or an enterprise server that the runner itself does not speak to.
    found["server_url"] = environment.get("AICD_GITHUB_SERVER_URL", "") or found["server_url"]
    found["runner_environment"] = environment.get("RUNNER_ENVIRONMENT", "")
    found["actions"] = environment.get("GITHUB_ACTIONS", "") == "true"
    found["id_token_url"] = environment.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    found["id_token_request_token"] = environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    return GitHubContext.model_validate({name: value for name, value in found.items() if value != ""})


def _run_directory(environment: Mapping[str, str]) -> Path:
    told = environment.get("AICD_RUN_DIR", "")
    scratch = environment.get("RUNNER_TEMP", "")
    chosen = Path(told) if told else (Path(scratch) / "aicd" if scratch else Path(".aicd/run"))
    return chosen.absolute()
