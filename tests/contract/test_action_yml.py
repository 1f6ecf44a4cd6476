"""action.yml and the settings are one list of inputs, and no step is given more than it may know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from ruamel.yaml import YAML

from action.settings import INPUT_GROUPS, input_fields, read_settings, variable_of
from action.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]
ACTION: dict[str, Any] = YAML(typ="safe").load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
# Made of three inputs, so that set-up hears of the key only whether there is one.
DERIVED = "AICD_WITH_CLAUDE"
EXPRESSION = re.compile(r"\$\{\{\s*inputs\.([a-z0-9-]+)\s*\}\}")
# Who may see what proves something to somebody. `build` runs the agent.
SECRETS = {
    "supabase-token": {"receive", "start", "plan", "build", "verify", "handover", "gate", "publish", "finish"},
    "github-token": {"start", "handover", "publish"},
    "signing-key": {"publish"},
    "anthropic-api-key": {"plan", "build", "handover"},
    "mcp-variables": {"build", "handover"},
    "agent-variables": {"build", "handover"},
    "s3-secret-access-key": {"publish", "finish"},
    "s3-session-token": {"publish", "finish"},
}


def given_to(step: dict[str, Any]) -> set[str]:
    values = [str(value) for name, value in step["env"].items() if name != DERIVED]
    return {EXPRESSION.fullmatch(value).group(1) for value in values}  # type: ignore[union-attr]


def test_inputs_of_action_yml_are_the_fields_of_settings() -> None:
    assert set(ACTION["inputs"]) == set(input_fields())


@pytest.mark.parametrize("name", sorted(input_fields()))
def test_default_of_an_input_is_the_default_of_its_field(name: str) -> None:
    written = str(ACTION["inputs"][name]["default"])
    defaults = read_settings({})
    group, field = input_fields()[name]
    with_written = read_settings({variable_of(name): written})
    assert getattr(getattr(with_written, group), field) == getattr(getattr(defaults, group), field)


def test_every_input_is_documented_and_none_is_marked_required() -> None:
    """GitHub does not enforce `required`, so it would only pretend."""
    for name, declared in ACTION["inputs"].items():
        assert len(declared["description"]) > 10, name
        assert "required" not in declared, name


def test_variables_of_a_step_are_the_inputs_they_are_named_after() -> None:
    for step in STEPS:
        for variable, value in step["env"].items():
            if variable == DERIVED:
                continue
            found = EXPRESSION.fullmatch(str(value))
            assert found is not None, f"{step['id']}: {variable} is not one input"
            assert variable == variable_of(found.group(1))


def test_every_input_reaches_some_step() -> None:
    assert set().union(*(given_to(step) for step in STEPS)) == set(ACTION["inputs"])


def test_no_script_holds_an_expression() -> None:
    """What is put into a script's text by an expression is run; what comes by the environment is only read."""
    for step in STEPS:
        assert "${{" not in step["run"], step["id"]


def test_setup_hears_of_the_key_only_whether_there_is_one() -> None:
    value = next(step["env"][DERIVED] for step in STEPS if DERIVED in step["env"])
    assert value == (
        "${{ inputs.agent == 'claude' || inputs.anthropic-api-key != '' || inputs.anthropic-federation-rule-id != '' }}"
    )


@pytest.mark.parametrize(("secret", "allowed"), sorted(SECRETS.items()))
def test_secret_reaches_only_the_steps_that_need_it(secret: str, allowed: set[str]) -> None:
    assert {step["id"] for step in STEPS if secret in given_to(step)} == allowed


def test_secret_inputs_are_secret_fields() -> None:
    fields = {
        field.replace("_", "-")
        for group in INPUT_GROUPS.values()
        for field, info in group.model_fields.items()
        if info.annotation is SecretStr
    }
    assert fields == set(SECRETS)


def test_steps_after_setup_are_the_verbs_in_their_order() -> None:
    ids = [step["id"] for step in STEPS]
    assert ids[0] == "setup"
    assert ids[1:] == [verb for verb in VERBS if verb != "deliver"]
    for step in STEPS[1:]:
        # A shell that waited for us would show its environment to every program of the same user.
        assert step["run"].split() == ["exec", "bash", '"$GITHUB_ACTION_PATH/action/verb.sh"', step["id"]]


def test_finish_and_publish_run_after_a_failure() -> None:
    conditions = {step["id"]: step.get("if", "") for step in STEPS}
    assert "always()" in conditions["finish"]
    assert "!cancelled()" in conditions["publish"]


def test_outputs_come_from_steps_that_exist() -> None:
    ids = {step["id"] for step in STEPS}
    for name, output in ACTION["outputs"].items():
        assert output["description"], name
        assert set(re.findall(r"steps\.([a-z]+)\.", output["value"])) <= ids
