"""Anthropic's own client, against a scripted server: what it did is what the platform shows."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from muster.sdk import ApprovalRequired, PlatformUnavailable, StepBlocked
from muster.sdk.anthropic import AnthropicWire, async_http_client, http_client
from tests.sdk.conftest import Agent, Person
from tests.sdk.models import Models
from tests.sdk.served import Served
from tests.support.model_scripts import Reply
from tests.support.provider_servers import AnthropicWire as Spoken

pytestmark = pytest.mark.anyio

MODEL = "claude-sonnet-4-6"
ASK: Any = {
    "model": MODEL,
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "How much?"}],
}
CALLS = [{"id": "call_1", "name": "add", "arguments": {"a": 1}}]
USAGE = {"input": 20, "cached": 5, "written": 2, "output": 10}


@pytest.fixture
def models() -> Iterator[Models]:
    with Models(Spoken()) as models:
        models.replies(
            Reply(
                text="42 euros", thinking="Hm.", signature="s", tool_calls=CALLS, usage=dict(USAGE)
            )
        )
        yield models


def models_of(people: Person, task_id: str) -> list[Any]:
    return [s for s in people.steps(task_id) if s["kind"] == "step.model"]


def checked(step: Any) -> None:
    assert (step["verb"], step["step_name"], step["status"]) == ("POST", MODEL, "ok")
    assert step["input"]["messages"] == ASK["messages"]
    assert (step["input_tokens"], step["cached_tokens"], step["output_tokens"]) == (20, 5, 10)
    assert step["properties"]["usage"]["cache_write_tokens"] == 2
    assert step["cost"] > 0
    assert [block["type"] for block in step["output"]["content"]] == [
        "thinking",
        "text",
        "tool_use",
    ]
    assert step["output"]["content"][1]["text"] == "42 euros"
    assert step["output"]["content"][2]["input"] == {"a": 1}
    assert step["output"]["stop_reason"] == "tool_use"


async def test_calls(models: Models, agent: Agent, people: Person) -> None:
    muster = agent()
    with (
        anthropic.Anthropic(
            base_url=models.url, api_key="sk", http_client=http_client(muster)
        ) as client,
        muster.task(id="t-1"),
    ):
        assert client.messages.create(**ASK).stop_reason == "tool_use"
        with client.messages.stream(**ASK) as stream:
            assert "".join(stream.text_stream) == "42 euros"
    async with (
        anthropic.AsyncAnthropic(
            base_url=models.url, api_key="sk", http_client=async_http_client(muster)
        ) as later,
        muster.task(id="t-2"),
    ):
        await later.messages.create(**ASK)
        async with later.messages.stream(**ASK) as stream:
            assert "".join([text async for text in stream.text_stream]) == "42 euros"
    assert await muster.aflush()
    for task_id in ("t-1", "t-2"):
        steps = models_of(people, task_id)
        assert [s["properties"]["streamed"] for s in steps] == [False, True]
        for step in steps:
            checked(step)
        assert people.is_valid(task_id)


async def test_gate(models: Models, served: Served, agent: Agent, people: Person) -> None:
    policy = people.forbid("step.model", "block")

    def client(muster: Any) -> anthropic.Anthropic:
        own = http_client(muster, gate=True)
        return anthropic.Anthropic(base_url=models.url, api_key="sk", http_client=own)

    muster = agent()
    with pytest.raises(StepBlocked) as caught:
        client(muster).messages.create(**ASK)
    assert isinstance(caught.value, anthropic.AnthropicError)
    assert caught.value.policies == (policy["name"],)
    later = anthropic.AsyncAnthropic(
        base_url=models.url,
        api_key="sk",
        http_client=async_http_client(muster, gate=True, provider="mine"),
    )
    with pytest.raises(StepBlocked):
        await later.messages.create(**ASK)
    changed = people.client.put(
        f"/policies/{policy['id']}", json={"enforcement": "require_approval"}
    )
    if changed.status_code == 405:
        changed = people.client.patch(
            f"/policies/{policy['id']}", json={"enforcement": "require_approval"}
        )
    assert changed.status_code == 200, changed.text
    with pytest.raises(ApprovalRequired):
        client(muster).messages.create(**ASK)
    assert muster.flush()
    served.stop()
    strict = agent(on_outage="closed", gate_timeout_s=0.2, timeout_s=0.2)
    with pytest.raises(PlatformUnavailable):
        client(strict).messages.create(**ASK)
    assert models.count == 0


def test_streams_that_break_off() -> None:
    wire = AnthropicWire()
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "model": MODEL}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use"}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": '{"a'},
        },
        {"type": "ping"},
    ]
    told = wire.stream(iter(events))
    assert told.output["content"] == [{"type": "tool_use", "input": '{"a'}]
    assert told.usage is None
    assert not wire.is_model_call("/v1/models")
