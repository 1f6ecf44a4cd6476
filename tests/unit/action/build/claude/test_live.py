"""The same against the real Messages API, for those who have a key: ANTHROPIC_API_KEY and AICD_LIVE_TESTS=1."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from action.build.agents.claude.key import API, ClaudeKey
from tests.unit.action.build.claude.conftest import Stage

pytestmark = pytest.mark.skipif(
    "AICD_LIVE_TESTS" not in os.environ or "ANTHROPIC_API_KEY" not in os.environ,
    reason="set ANTHROPIC_API_KEY and AICD_LIVE_TESTS=1; it costs some cents",
)


def test_live_model_adds_the_file_and_both_counts_of_its_cost_agree(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(budget=0.5)
    key = ClaudeKey("api-key", SecretStr(os.environ["ANTHROPIC_API_KEY"]))
    agent = stage.agent(key=key, upstream=API, model="claude-haiku-5-5", desk=stage.desk)
    attempt = stage.work(agent, feedback="Write the word `hello` into hello.txt, and nothing else.", seconds=240)
    assert attempt.ending == "done", attempt
    assert (stage.repository / "hello.txt").read_text().strip() == "hello"
    assert attempt.cost_usd is not None
    assert 0 < attempt.cost_usd < 0.5
    assert attempt.cost_usd == pytest.approx(attempt.details["cost_usd_by_the_program"], rel=0.1)
    again = stage.work(agent, feedback="Now write `goodbye` into goodbye.txt.", seconds=240)
    assert (again.ending, again.session) == ("done", attempt.session)
