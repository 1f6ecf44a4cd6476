"""The double of the Messages API, used by the SDK as it is: both ways in, documents and streams, faults, structure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest

from local.doubles.anthropic import AnthropicDouble, Call, Fault, Scenario, Step, build_anthropic, serving

ROOT = Path(__file__).parents[3]
ASKED: dict[str, Any] = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[AnthropicDouble, str]]:
    double = build_anthropic(Scenario())
    with serving(double) as url:
        yield double, url


@pytest.fixture
def double(running: tuple[AnthropicDouble, str]) -> Iterator[AnthropicDouble]:
    found = running[0]
    found.set_script(Scenario())
    found.received.clear()
    yield found
    left = found.problems.as_documents()
    found.problems.clear()
    assert left == []


@pytest.fixture
def client(running: tuple[AnthropicDouble, str]) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=running[1], api_key="sk-ant-test", max_retries=0) as client:
        yield client


def test_document_and_stream_tell_the_same_message(double: AnthropicDouble, client: anthropic.Anthropic) -> None:
    step = Step(say="I look. " * 200, call=(Call(name="Read", input={"file_path": "a"}),), input_tokens=7)
    double.set_script(Scenario(steps=(step,)))
    tool = {"name": "Read", "input_schema": {"type": "object"}}
    document = client.messages.create(**ASKED, tools=[tool])
    with client.messages.stream(**ASKED, tools=[tool]) as stream:
        streamed = stream.get_final_message()
    assert [block.type for block in document.content] == ["text", "tool_use"]
    assert [block.type for block in streamed.content] == ["text", "tool_use"]
    assert document.content[1].input == streamed.content[1].input == {"file_path": "a"}  # type: ignore[union-attr]
    assert (streamed.usage.input_tokens, streamed.usage.output_tokens) == (7, 200)
    assert streamed.stop_reason == "tool_use"
    assert [one.style for one in double.received] == ["bearer", "bearer"]


def test_steps_are_counted_by_what_the_model_said_before(double: AnthropicDouble, client: anthropic.Anthropic) -> None:
    double.set_script(Scenario(steps=(Step(say="one"), Step(say="two"))))
    said = []
    messages: list[Any] = [{"role": "user", "content": "Hi"}]
    for _ in range(3):
        answer = client.messages.create(**{**ASKED, "messages": messages})
        said.append(answer.content[0].text)  # type: ignore[union-attr]
        messages += [{"role": "assistant", "content": said[-1]}, {"role": "user", "content": "go on"}]
    assert said == ["one", "two", "two"]


def test_structured_answer_is_held_against_the_schema_that_was_asked_for(
    double: AnthropicDouble, client: anthropic.Anthropic
) -> None:
    wanted = {"format": {"type": "json_schema", "schema": SCHEMA}}
    double.set_script(Scenario(planning=(Step(data={"answer": 42}),)))
    good = client.messages.create(**ASKED, output_config=wanted)
    assert json.loads(good.content[0].text) == {"answer": 42}  # type: ignore[union-attr]
    double.set_script(Scenario(planning=(Step(data={"answer": "many"}),)))
    with pytest.raises(anthropic.InternalServerError):
        client.messages.create(**ASKED, output_config=wanted)
    assert [problem["side"] for problem in double.problems.as_documents()] == ["answer"]
    double.problems.clear()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=401), anthropic.AuthenticationError),
        (Fault(status=429, retry_after=3), anthropic.RateLimitError),
        (Fault(status=529), anthropic.APIStatusError),
        (Fault(kind="limit-text", resets_at=1893456000), anthropic.RateLimitError),
        (Fault(kind="limit-header", resets_at=1893456000), anthropic.RateLimitError),
    ],
    ids=["401", "429", "529", "limit-text", "limit-header"],
)
def test_fault_is_the_error_that_the_sdk_knows(
    double: AnthropicDouble, client: anthropic.Anthropic, fault: Fault, error: type[Exception]
) -> None:
    double.set_script(Scenario(steps=(Step(say="x", fault=fault),)))
    with pytest.raises(error):
        client.messages.create(**ASKED)


def test_fault_that_is_played_once_is_over_then(double: AnthropicDouble, client: anthropic.Anthropic) -> None:
    double.set_script(Scenario(steps=(Step(say="there", fault=Fault(status=529, times=1)),)))
    with pytest.raises(anthropic.APIStatusError):
        client.messages.create(**ASKED)
    assert client.messages.create(**ASKED).content[0].text == "there"  # type: ignore[union-attr]


def test_stream_that_is_cut_never_ends_well(double: AnthropicDouble, client: anthropic.Anthropic) -> None:
    double.set_script(Scenario(steps=(Step(say="word " * 500, fault=Fault(kind="cut")),)))
    with client.messages.stream(**ASKED) as stream:
        events = [event.type for event in stream]
    assert "message_stop" not in events


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({**ASKED, "colour": "red"}, "colour"),
        ({**ASKED, "messages": [{"role": "assistant", "content": "x"}]}, "user"),
        ({**ASKED, "max_tokens": "many"}, "max_tokens"),
        (
            {
                **ASKED,
                "messages": [
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "R", "input": {}}]},
                    {"role": "user", "content": "and?"},
                ],
            },
            "tool_result",
        ),
        (["no object"], "JSON object"),
    ],
    ids=["unknown-field", "assistant-first", "wrong-type", "unanswered-tool", "no-object"],
)
def test_request_that_the_api_would_refuse_is_refused_and_remembered(
    double: AnthropicDouble, running: tuple[AnthropicDouble, str], document: Any, said: str
) -> None:
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    answer = httpx.post(f"{running[1]}/v1/messages", json=document, headers=headers, trust_env=False)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert len(double.problems.as_documents()) == 1
    double.problems.clear()


def test_key_that_is_not_known_is_refused(double: AnthropicDouble, client: anthropic.Anthropic) -> None:
    double.set_script(Scenario(keys=("sk-ant-other",)))
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(**ASKED)


def test_tokens_can_be_counted(double: AnthropicDouble, client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model="claude-opus-5-5", messages=[{"role": "user", "content": "x" * 400}])
    assert counted.input_tokens > 100


def test_process_serves_a_scenario_from_a_file_and_says_where(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.json"
    scenario.write_text('{"steps": [{"say": "from a file"}]}')
    command = [sys.executable, "-m", "local.doubles.anthropic", "--scenario", str(scenario), "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["ready"]["url"]
        with anthropic.Anthropic(base_url=url, api_key="k") as client:
            assert client.messages.create(**ASKED).content[0].text == "from a file"  # type: ignore[union-attr]
    finally:
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def test_process_says_why_a_scenario_is_none() -> None:
    command = [sys.executable, "-m", "local.doubles.anthropic", "--scenario", "nothing"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "neither a file nor one of demo" in ended.stderr
