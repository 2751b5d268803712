"""OpenAI's own client, against a scripted server: what it did is what the platform shows."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import openai
import pytest

from muster.sdk import PlatformUnavailable, StepBlocked
from muster.sdk.model_calls import asked, read
from muster.sdk.openai import OpenAIWire, async_http_client, http_client
from tests.sdk.conftest import Agent, Person
from tests.sdk.models import Models
from tests.sdk.served import Served
from tests.support.model_scripts import Reply

pytestmark = pytest.mark.anyio

MESSAGES: Any = [{"role": "user", "content": "How much?"}]
CALLS = [{"id": "call_1", "name": "add", "arguments": {"a": 1}}]


@pytest.fixture
def models() -> Iterator[Models]:
    with Models() as models:
        yield models


def sync_client(models: Models, muster: Any, **options: Any) -> openai.OpenAI:
    client = http_client(muster, **options)
    return openai.OpenAI(
        base_url=models.url + "/v1", api_key="sk", http_client=client, max_retries=1
    )


def async_client(models: Models, muster: Any, **options: Any) -> openai.AsyncOpenAI:
    client = async_http_client(muster, **options)
    return openai.AsyncOpenAI(
        base_url=models.url + "/v1", api_key="sk", http_client=client, max_retries=1
    )


def models_of(people: Person, task_id: str) -> list[Any]:
    return [s for s in people.steps(task_id) if s["kind"] == "step.model"]


def checked(step: Any, *, streamed: bool) -> None:
    assert (step["verb"], step["step_name"], step["status"]) == ("POST", "gpt-4o", "ok")
    assert step["input"]["messages"] == MESSAGES
    assert (step["input_tokens"], step["output_tokens"]) == (20, 10)
    assert (step["cached_tokens"], step["reasoning_tokens"]) == (5, 3)
    assert step["cost"] > 0
    assert step["properties"]["streamed"] is streamed
    assert step["properties"]["answering_model"] == "gpt-4o"
    assert step["properties"]["response_id"].startswith("chatcmpl-")
    assert step["output"]["content"] == "42 euros in all"
    assert step["duration_ms"] > 0


def test_calls(models: Models, agent: Agent, people: Person) -> None:
    models.replies(Reply(text="42 euros in all"))
    muster = agent()
    client = sync_client(models, muster)
    create = client.chat.completions.create
    with muster.task(id="t-1"):
        answer = create(model="gpt-4o", messages=MESSAGES)
        assert answer.choices[0].message.content == "42 euros in all"
        options: Any = {"stream_options": {"include_usage": True}}
        stream = create(model="gpt-4o", messages=MESSAGES, stream=True, **options)
        text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        assert text == "42 euros in all"
        client.models.list()
    assert muster.flush()
    whole, streamed = models_of(people, "t-1")
    checked(whole, streamed=False)
    checked(streamed, streamed=True)
    assert whole["output"] == streamed["output"]
    assert people.is_valid("t-1")
    client.close()


async def test_calls_in_coroutines(models: Models, agent: Agent, people: Person) -> None:
    models.replies(Reply(text="42 euros in all"))
    muster = agent()
    client = async_client(models, muster)
    create = client.chat.completions.create

    async def one(number: int) -> None:
        async with muster.task(id=f"t-{number}"):
            await create(model="gpt-4o", messages=MESSAGES)
            options: Any = {"stream_options": {"include_usage": True}}
            stream = await create(model="gpt-4o", messages=MESSAGES, stream=True, **options)
            text = [c.choices[0].delta.content or "" async for c in stream if c.choices]
            assert "".join(text) == "42 euros in all"
            await client.models.list()

    await asyncio.gather(*(one(number) for number in range(5)))
    assert await muster.aflush()
    for number in range(5):
        whole, streamed = models_of(people, f"t-{number}")
        checked(whole, streamed=False)
        checked(streamed, streamed=True)
    await client.close()


async def test_tool_calls_and_calls_without_a_task(
    models: Models, agent: Agent, people: Person
) -> None:
    models.replies(Reply(tool_calls=CALLS))
    muster = agent()
    client, later = sync_client(models, muster), async_client(models, muster)
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    for _ in client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True):
        assert muster.current_task() is None
    await later.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    async for _ in await later.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, stream=True
    ):
        assert muster.current_task() is None
    assert muster.flush()
    steps = people.get("/logs", kind="step.model")["items"]
    assert len({step["task_id"] for step in steps}) == 4
    told = [{"id": "call_1", "name": "add", "arguments": '{"a":1}'}]
    assert [step["output"]["tool_calls"] for step in steps] == [told] * 4
    assert [s["kind"] for s in people.steps(steps[0]["task_id"])] == [
        "task.start",
        "step.model",
        "task.end",
    ]


async def test_calls_that_fail(models: Models, agent: Agent, people: Person) -> None:
    muster = agent()
    client, later = sync_client(models, muster), async_client(models, muster)
    failing = [Reply(status=500), Reply(status=400), Reply(drop="before")]
    models.replies(*failing, *failing, Reply(text="x" * 80, drop="middle"))

    def ask(**more: Any) -> Any:
        return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **more)

    async def ask_later(**more: Any) -> Any:
        return await later.chat.completions.create(model="gpt-4o", messages=MESSAGES, **more)

    with muster.task(id="t-1"):
        with pytest.raises(openai.BadRequestError):  # after one that was tried again
            ask()
        with pytest.raises(openai.APIStatusError):
            client.with_options(max_retries=0).files.create(file=b"x", purpose="assistants")
        with pytest.raises(openai.APIConnectionError):
            client.with_options(max_retries=0).chat.completions.create(
                model="gpt-4o", messages=MESSAGES
            )
        with pytest.raises(openai.BadRequestError):
            await ask_later()
        with pytest.raises(openai.APIConnectionError):
            await later.with_options(max_retries=0).chat.completions.create(
                model="gpt-4o", messages=MESSAGES
            )
        with pytest.raises((httpx2.RequestError, openai.APIConnectionError)):
            list(ask(stream=True))
        with pytest.raises((httpx2.RequestError, openai.APIConnectionError)):
            [chunk async for chunk in await ask_later(stream=True)]
    assert muster.flush()
    steps = models_of(people, "t-1")
    assert [s["status"] for s in steps] == ["error"] * 8
    assert steps[0]["error"]["message"] == "openai answered 500"
    assert "Error" in steps[2]["error"]["type"]
    assert "usage" not in steps[-1]["properties"]


async def test_gate(models: Models, served: Served, agent: Agent, people: Person) -> None:
    people.forbid("step.model", "block")
    muster = agent()
    client = sync_client(models, muster, gate=True)
    later = async_client(models, muster, gate=True, provider="mine")
    with muster.task(id="t-1"):
        with pytest.raises(StepBlocked):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        with pytest.raises(StepBlocked):
            await later.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    with pytest.raises(StepBlocked):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    with pytest.raises(StepBlocked):
        await later.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert muster.flush()
    assert [s["status"] for s in models_of(people, "t-1")] == ["blocked", "blocked"]
    assert models_of(people, "t-1")[1]["properties"]["provider"] == "mine"
    served.stop()
    strict = agent(on_outage="closed", gate_timeout_s=0.2, timeout_s=0.2)
    with pytest.raises(PlatformUnavailable):
        sync_client(models, strict).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert models.count == 0


def test_what_other_operations_say() -> None:
    wire = OpenAIWire()
    response = {
        "id": "resp_1",
        "model": "gpt-4o",
        "output": [{"type": "message"}],
        "usage": {
            "input_tokens": 7,
            "output_tokens": 5,
            "input_tokens_details": {"cached_tokens": 2},
            "output_tokens_details": {"reasoning_tokens": 1},
        },
    }
    told = wire.answer(response)
    assert told.output == [{"type": "message"}]
    usage = {"input_tokens": 7, "output_tokens": 5, "cached_tokens": 2, "reasoning_tokens": 1}
    assert told.usage == usage
    events: list[dict[str, Any]] = [
        {"type": "response.output_text.delta", "delta": "x"},
        {"type": "response.completed", "response": response},
    ]
    assert wire.stream(iter(events)) == told
    embeddings = wire.answer({"data": [1, 2], "usage": {"prompt_tokens": 9}})
    assert embeddings.output == {"embeddings": 2}
    assert embeddings.usage is not None
    assert embeddings.usage["input_tokens"] == 9
    assert wire.answer({}).output is None
    old = {"choices": [{"text": "a"}, {"text": "b", "finish_reason": "stop"}]}
    assert [c["content"] for c in wire.answer(old).output] == ["a", "b"]
    assert wire.is_model_call("/v1/embeddings")
    assert not wire.is_model_call("/v1/files")


def test_what_cannot_be_read_tells_nothing() -> None:
    wire = OpenAIWire()
    for content, kind in ((b"<html>", "text/html"), (b"[]", "application/json")):
        assert read(wire, content, kind).output is None
    broken = b'data: {"choices": [{"delta": 5}]}\n\n'
    assert read(wire, broken, "text/event-stream").output is None
    partial = b'event: x\ndata: {"id": "1"}\ndata: [1]\ndata: {"cho'
    assert read(wire, partial, "text/event-stream").response_id == "1"
    assert asked(b"multipart") is None
    assert asked(b"[]") is None
    assert asked(b'{"model": 5}') is None


class Canned(httpx2.BaseTransport):
    def __init__(self, body: bytes, **headers: str) -> None:
        self.body, self.headers = body, headers

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        stream = httpx2.ByteStream(self.body)
        return httpx2.Response(200, headers=self.headers, stream=stream)


def test_streams_that_are_compressed_huge_or_broken(agent: Agent, people: Person) -> None:
    muster = agent()
    whole = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
    gzipped = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    bodies = [gzip.compress(whole), gzip.compress(whole)[:-9], b"no gzip at all"]
    with muster.task(id="t-1"):
        for body in bodies:
            client = http_client(muster, transport=Canned(body, **gzipped))
            request = client.build_request(
                "POST", "http://x.test/v1/chat/completions", json={"model": "m"}
            )
            answer = client.send(request, stream=True)
            for _ in answer.iter_raw():
                pass
            answer.close()

        def upload() -> Iterator[bytes]:
            yield b"{}"

        body = gzip.compress(b'{"choices": [{"message": {"content": "zipped"}}]}')
        zipped = {"content-type": "application/json", "content-encoding": "gzip"}
        client = http_client(muster, transport=Canned(body, **zipped))
        client.post("http://x.test/v1/responses", json={"model": "m"})
        client.post("http://x.test/v1/responses", content=upload())
        client.post("http://x.test/v1/responses", content=b"{}")
    assert muster.flush()
    outputs = [step["output"] for step in models_of(people, "t-1")]
    assert outputs[0] == {"content": "hi", "finish_reason": None}
    assert outputs[2] == {"content": None, "finish_reason": None}
    assert outputs[3]["content"] == "zipped"
    assert len(outputs) == 4


async def test_an_asynchronous_upload_is_no_call(agent: Agent) -> None:
    muster = agent()

    async def upload() -> AsyncIterator[bytes]:
        yield b"{}"

    transport = httpx2.MockTransport(lambda _: httpx2.Response(200))
    async with async_http_client(muster, transport=transport) as client:
        await client.post("http://x.test/v1/responses", content=upload())
    assert muster.health.queued == 0
