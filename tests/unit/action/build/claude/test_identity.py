"""The real Claude Code where this job's identity proves us: a token that ends midway, and no trace of any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from local.doubles.anthropic import Call, Scenario, Step
from tests.identity import job_on_github
from tests.unit.action.build.claude.conftest import Stage

LOOK = "id -u; env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"


def test_build_goes_on_when_a_token_ends_and_the_agent_comes_to_none(
    make_stage: Callable[..., Stage], tmp_path: Path
) -> None:
    steps = (
        Step(say="I look.", call=(Call(name="Bash", input={"command": LOOK}),)),
        Step(call=(Call(name="Write", input={"file_path": "{folder}/new.txt", "content": "made\n"}),)),
        Step(say="Built."),
    )
    with job_on_github(tmp_path) as job:
        stage = make_stage(Scenario(steps=steps, federation=job.trusted(ends_after_calls=2)))
        secrets: list[str] = []
        # Nothing is redacted here: what the agent saw is what it was sent.
        attempt = stage.work(stage.agent(key=job.credential(stage.upstream, secrets)))
        assert attempt.ending == "done", attempt.reason
        assert (stage.repository / "new.txt").read_text() == "made\n"
        used = {one.key for one in stage.double.received}
        assert len(used) == 2
        assert used <= set(secrets)
        sent, log = stage.sent(), stage.log.read_text()
        assert "ANTHROPIC_API_KEY=aicd-run-" in sent
        for secret in (*secrets, job.access["token"], job.access["url"]):
            assert secret not in sent
            assert secret not in log
