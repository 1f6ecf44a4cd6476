"""The workflow's inputs, worked out as GitHub would for the expressions our examples use."""

from __future__ import annotations

import pytest

from local.stack.jobs import OUR_ACTION, _evaluate

CONTEXTS = {"inputs": {"run-id": "r1"}, "vars": {"URL": "http://x"}, "secrets": {"KEY": ""}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${{ inputs.run-id }}", "r1"),
        ("${{vars.URL}}/rest", "http://x/rest"),
        ("${{ secrets.KEY || 'none' }}", "none"),
        ("${{ vars.MISSING }}", ""),
        ("${{ vars.MISSING || vars.URL }}", "http://x"),
    ],
)
def test_expression_gives_what_github_would(text: str, value: str) -> None:
    assert _evaluate(text, CONTEXTS) == value


@pytest.mark.parametrize("uses", ["ai-continuous-delivery/aicd@v1", "o/aicd@0123abc", "o/aicd/sub@main"])
def test_our_action_is_recognised(uses: str) -> None:
    assert OUR_ACTION.fullmatch(uses)


@pytest.mark.parametrize("uses", ["actions/checkout@v6", "./", "o/aicdx@v1", "docker://aicd"])
def test_other_actions_are_not_ours(uses: str) -> None:
    assert not OUR_ACTION.fullmatch(uses)
