"""Details of translation that only some providers show."""

import asyncio
from typing import Any

import pytest

from muster.adapters.models import (
    Message,
    ModelFailed,
    ModelRequest,
    ModelUnsupported,
    OutputUnfit,
    Price,
    Thinking,
    ToolCall,
    message_from_json,
    message_to_json,
)
from tests.adapters.models.support import ADD, CASES, KEY, POINT, ask, asked, request, streamed
from tests.support.model_server import Reply, Script

pytestmark = pytest.mark.anyio

ANTHROPIC, GOOGLE, MISTRAL = (
    next(case for case in CASES if case.family == family)
    for family in ("anthropic", "google", "mistral")
)


def body_of(it: Any) -> dict[str, Any]:
    return it.server.last.body


async def test_broken_arguments_are_kept_as_they_came() -> None:
    calls = [
        {"id": "c1", "name": "add", "arguments": '{"a": 1,'},
        {"id": "c2", "name": "add", "arguments": "[1, 2]"},
        {"id": "c3", "name": "add", "arguments": ""},
    ]
    async with asked([Reply(tool_calls=calls)]) as it:
        reply = await it.model.request(request(tools=[ADD]))

    assert [(call.arguments, call.raw) for call in reply.tool_calls] == [
        ({}, '{"a": 1,'),
        ({}, "[1, 2]"),
        ({}, None),
    ]


async def test_every_setting_reaches_openai() -> None:
    settings = {
        "temperature": 0.1,
        "max_tokens": 5,
        "top_p": 0.2,
        "stop_sequences": ["X"],
        "seed": 7,
        "presence_penalty": 0.3,
        "frequency_penalty": 0.4,
        "an_unknown_one": 1,
        "timeout": None,
    }
    async with asked([Reply(text="Yes.")], model="a-local-model") as it:
        await it.model.request(request(settings=settings))
        body = body_of(it)

    sent = {name: body[name] for name in settings if name in body}
    assert sent == {
        "temperature": 0.1,
        "max_tokens": 5,
        "top_p": 0.2,
        "seed": 7,
        "presence_penalty": 0.3,
        "frequency_penalty": 0.4,
    }
    assert body["stop"] == ["X"]
    assert "timeout" not in body


async def test_newer_openai_models_get_the_newer_field() -> None:
    async with asked([Reply(text="Yes.")], model="gpt-4o-mini") as it:
        await it.model.request(request(settings={"max_tokens": 5}))

        assert body_of(it)["max_completion_tokens"] == 5


async def test_turns_keep_their_order() -> None:
    call = ToolCall(id="call_1", name="add", arguments={"a": 1, "b": 2})
    conversation = [
        Message(role="system", content="One."),
        Message(role="user", content="Two."),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="3", tool_call_id="call_1"),
        Message(role="assistant", content="Three."),
        Message(role="system", content="Four."),
        Message(role="user", content="Five."),
    ]
    async with asked([Reply(text="Six.")]) as it:
        await it.model.request(ModelRequest(messages=conversation, tools=[ADD]))
        messages = body_of(it)["messages"]

    assert [message["role"] for message in messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "system",
        "user",
    ]
    assert messages[3]["tool_call_id"] == messages[2]["tool_calls"][0]["id"] == "call_1"


async def test_signed_reasoning_goes_back_to_anthropic() -> None:
    script = [Reply(thinking="Let me see.", text="Yes.", signature="c2lnbmVk"), Reply(text="Ok.")]
    async with asked(script, ANTHROPIC) as it:
        for as_stream in (False, True):
            it.server.reset()
            reply = await ask(it.model, request(), as_stream=as_stream)
            stored = message_from_json(message_to_json(reply.as_message()))
            conversation = [*request().messages, stored, Message(role="user", content="Sure?")]
            await it.model.request(ModelRequest(messages=conversation))

            thinking = body_of(it)["messages"][1]["content"][0]
            assert thinking["thinking"] == "Let me see."
            assert thinking["signature"] == "c2lnbmVk"


async def test_reasoning_of_another_provider_stays_behind() -> None:
    foreign = Thinking(content="A secret plan.", signature="c2lnbmVk", provider="openai")
    conversation = [
        Message(role="user", content="Hello"),
        Message(role="assistant", content="Hi.", thinking=(foreign,)),
        Message(role="user", content="And?"),
    ]
    async with asked([Reply(text="So.")], ANTHROPIC) as it:
        await it.model.request(ModelRequest(messages=conversation))

        assert "secret plan" not in str(body_of(it))


async def test_thinking_can_be_asked_for() -> None:
    async with asked([Reply(text="Yes.")], ANTHROPIC) as it:
        await it.model.request(request(settings={"thinking": "high"}))

        assert "thinking" in body_of(it)


async def test_the_signature_of_a_call_goes_back_to_google() -> None:
    call = {"id": "call_1", "name": "add", "arguments": {"a": 1, "b": 2}}
    script = [Reply(tool_calls=[call], signature="c2lnbmVk"), Reply(text="Three.")]
    async with asked(script, GOOGLE) as it:
        reply = await it.model.request(request(tools=[ADD]))
        stored = message_from_json(message_to_json(reply.as_message()))
        answer = Message(role="tool", content="3", tool_call_id=reply.tool_calls[0].id)
        conversation = [*request().messages, stored, answer]
        await it.model.request(ModelRequest(messages=conversation, tools=[ADD]))

        part = body_of(it)["contents"][1]["parts"][0]
        assert part["functionCall"]["name"] == "add"
        assert part["thoughtSignature"] == "c2lnbmVk"


async def test_mistral_gets_the_short_ids_it_wants() -> None:
    call = ToolCall(id="call_of_another_provider", name="add", arguments={"a": 1, "b": 2})
    conversation = [
        Message(role="user", content="Add."),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="3", tool_call_id=call.id),
    ]
    async with asked([Reply(text="Three.")], MISTRAL) as it:
        await it.model.request(ModelRequest(messages=conversation, tools=[ADD]))
        messages = body_of(it)["messages"]

    assert len(messages[1]["tool_calls"][0]["id"]) == 9
    assert messages[2]["tool_call_id"] == messages[1]["tool_calls"][0]["id"]


async def test_older_gemini_models_take_a_schema_beside_tools() -> None:
    answer = {"name": "final_result", "arguments": {"x": 1, "label": "here"}}
    async with asked([Reply(tool_calls=[answer])], GOOGLE) as it:
        reply = await it.model.request(request(tools=[ADD], output_schema=POINT))

        assert reply.content == '{"x":1,"label":"here"}'


@pytest.mark.parametrize("as_stream", [False, True], ids=["whole", "stream"])
async def test_a_schema_waits_while_tools_are_called(as_stream: bool) -> None:
    async with asked(Script(select="tools", rounds=1)) as it:
        asking = request(tools=[ADD], output_schema=POINT)
        reply = await ask(it.model, asking, as_stream=as_stream)

        assert reply.tool_calls[0].name == "add"
        assert reply.content == ""


@pytest.mark.parametrize(
    "text",
    [
        '{"x": 1, "label": "a"}',
        'Here you are:\n```json\n{"x": 1, "label": "a"}\n```\nAnything else?',
    ],
)
async def test_the_json_is_taken_out_of_its_wrapping(text: str) -> None:
    async with asked([Reply(text=text)]) as it:
        reply = await it.model.request(request(output_schema=POINT))

        assert reply.content == '{"x": 1, "label": "a"}'
        assert reply.usage.output_tokens == 10


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I would rather not.", "the answer is not JSON"),
        ('{"x": 1}', "the answer: 'label' is a required property"),
        ('{"x": "one", "label": "a"}', "x: 'one' is not of type 'integer'"),
    ],
)
async def test_says_how_an_answer_does_not_fit(text: str, reason: str) -> None:
    async with asked([Reply(text=text)]) as it:
        with pytest.raises(OutputUnfit) as unfit:
            await it.model.request(request(output_schema=POINT))

        assert reason in unfit.value.detail
        assert unfit.value.reply.content == text


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}},
    ],
)
async def test_an_unusable_schema_is_refused(schema: dict[str, Any]) -> None:
    async with asked([Reply(text='{"a": 1}')]) as it:
        with pytest.raises((ModelUnsupported, ModelFailed)) as refused:
            await it.model.request(request(output_schema=schema))

        assert isinstance(refused.value, ModelUnsupported)


async def test_what_a_model_cannot_do_is_said() -> None:
    async with asked([Reply(text="never")], GOOGLE, model="gemini-2.5-flash-image") as it:
        with pytest.raises(ModelUnsupported, match="cannot do what was asked"):
            await it.model.request(request(tools=[ADD], output_schema=POINT))


@pytest.mark.parametrize(
    ("given", "seen"),
    [("length", "length"), ("content_filter", "content_filter"), ("stop", "stop")],
)
async def test_says_why_the_model_stopped(given: str, seen: str) -> None:
    async with asked([Reply(text="So", finish_reason=given)]) as it:
        assert (await it.model.request(request())).finish_reason == seen


async def test_stop_beside_calls_means_calls() -> None:
    call = {"id": "c1", "name": "add", "arguments": {"a": 1, "b": 2}}
    async with asked([Reply(tool_calls=[call], finish_reason="stop")]) as it:
        assert (await it.model.request(request())).finish_reason == "tool_calls"


@pytest.mark.parametrize("key", ["Our provider/gpt-4o-mini", "openai/gpt-4o-mini", "gpt-4o-mini"])
async def test_prices_of_ones_own_count(key: str) -> None:
    prices = {key: Price(input=1, output=2, cached=0.5)}
    async with asked([Reply(text="Yes.")], prices=prices) as it:
        reply = await it.model.request(request())

    assert reply.cost == pytest.approx((15 * 1 + 5 * 0.5 + 10 * 2) / 1_000_000)


async def test_uncounted_tokens_have_no_price() -> None:
    prices = {"gpt-4o-mini": Price(input=1, output=2)}
    nothing = {"input": 0, "output": 0, "cached": 0, "reasoning": 0}
    async with asked([Reply(text="Yes.", usage=nothing)], prices=prices) as it:
        assert (await it.model.request(request())).cost is None


async def test_a_refusal_quotes_the_provider_without_keys() -> None:
    message = f"Bad {KEY} and sk-other-0123456789abcdef\nin gpt-4o-mini " + "x" * 400
    async with asked([Reply(status=400, message=message)]) as it:
        with pytest.raises(ModelFailed) as failed:
            await it.model.request(request())

    detail = failed.value.detail
    assert "Bad *** and *** in gpt-4o-mini xxx" in detail
    assert detail.endswith("…")
    assert len(detail) < 400


async def test_streams_share_a_connection() -> None:
    async with asked([Reply(text="A long story that goes on.")]) as it:
        for _ in range(3):
            await streamed(it.model, request())

        assert len({call.port for call in it.server.calls}) == 1


async def test_reads_servers_that_take_the_format_less_seriously() -> None:
    events = [
        {"choices": [{"delta": {"content": "So "}}]},
        {"choices": [{"delta": {"content": "so."}, "finish_reason": "stop"}], "usage": None},
    ]
    async with asked([Reply(events=events)]) as it:
        _, reply = await streamed(it.model, request())

        assert reply.content == "So so."
        assert reply.finish_reason == "stop"


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "overloaded", "code": "server_error"}},
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [],
            "error": {"message": "overloaded", "code": 502},
        },
    ],
)
async def test_an_error_within_a_stream_is_one(event: dict[str, Any]) -> None:
    async with asked([Reply(events=[event]), Reply(text="Better.")]) as it:
        _, reply = await streamed(it.model, request())

        assert reply.content == "Better."
        assert it.server.count == 2


async def test_an_unreadable_piece_ends_the_stream() -> None:
    async with asked([Reply(events=["no piece", 5])]) as it:
        with pytest.raises(ModelFailed, match="not one of its API"):
            await streamed(it.model, request())


async def test_first_requests_may_come_together() -> None:
    async with asked(Script(text="Done.")) as it:
        replies = await asyncio.gather(*(it.model.request(request(str(n))) for n in range(8)))

        assert [reply.content for reply in replies] == ["Done."] * 8
        assert it.server.count == 8
