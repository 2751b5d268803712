"""What every family of providers does alike, each against a server that speaks its protocol."""

import pytest

from muster.adapters.models import (
    FAMILIES,
    Message,
    ModelFailed,
    ModelRequest,
    ModelUnsupported,
    OutputUnfit,
    ProviderConfig,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    build,
    list_models,
)
from tests.adapters.models.support import (
    ADD,
    CASES,
    KEY,
    POINT,
    Case,
    ask,
    asked,
    request,
    streamed,
)
from tests.support.model_server import Reply

pytestmark = pytest.mark.anyio

families = pytest.mark.parametrize("case", CASES, ids=[case.family for case in CASES])
TWO_CALLS = [
    {"id": "call_aaaa", "name": "add", "arguments": {"a": 1, "b": 2}},
    {"id": "call_bbbb", "name": "add", "arguments": {"a": 3, "b": 4}},
]


def test_each_family_has_a_case() -> None:
    assert {case.family for case in CASES} == set(FAMILIES)


@families
async def test_answers_with_text_and_usage(case: Case) -> None:
    async with asked([Reply(text="Good morning.")], case) as it:
        reply = await it.model.request(request())

        assert reply.content == "Good morning."
        assert reply.tool_calls == ()
        assert reply.finish_reason == "stop"
        assert reply.provider == "Our provider"
        assert reply.model
        assert reply.usage.input_tokens == 20
        assert reply.usage.output_tokens == 10
        assert reply.usage.cached_tokens == (5 if case.counts_cached else 0)
        assert reply.usage.reasoning_tokens == (3 if case.counts_reasoning else 0)
        assert reply.cost is None  # nobody publishes the prices of a server on 127.0.0.1
        assert it.server.last.key == KEY


@families
async def test_streams_text(case: Case) -> None:
    async with asked([Reply(text="Good morning to all of you.")], case) as it:
        events, reply = await streamed(it.model, request())

        assert len(events) > 1
        assert "".join(e.text for e in events if isinstance(e, TextDelta)) == reply.content
        assert reply.content == "Good morning to all of you."
        assert reply.usage.input_tokens == 20
        assert reply.usage.output_tokens == 10
        assert reply.finish_reason == "stop"


@families
@pytest.mark.parametrize("as_stream", [False, True], ids=["whole", "stream"])
async def test_calls_several_tools(case: Case, as_stream: bool) -> None:
    async with asked([Reply(tool_calls=TWO_CALLS)], case) as it:
        reply = await ask(it.model, request(tools=[ADD]), as_stream=as_stream)

        assert [(call.name, call.arguments) for call in reply.tool_calls] == [
            ("add", {"a": 1, "b": 2}),
            ("add", {"a": 3, "b": 4}),
        ]
        assert len({call.id for call in reply.tool_calls}) == 2
        assert reply.finish_reason == "tool_calls"
        assert "add" in str(it.server.last.body["tools"])


@families
async def test_takes_a_whole_conversation(case: Case) -> None:
    calls = (
        ToolCall(id="call_aaaa", name="add", arguments={"a": 1, "b": 2}),
        ToolCall(id="call_bbbb", name="add", arguments={}, raw="{broken"),
    )
    conversation = [
        Message(role="system", content="Be brief."),
        Message(role="user", content="Add."),
        Message(role="assistant", content="Adding.", tool_calls=calls),
        Message(role="tool", content="three", tool_call_id="call_aaaa", name="add"),
        Message(role="tool", content="invalid arguments", tool_call_id="call_bbbb"),
    ]
    async with asked([Reply(text="Three.")], case) as it:
        reply = await it.model.request(ModelRequest(messages=conversation, tools=[ADD]))

        assert reply.content == "Three."
        sent = str(it.server.last.body)
        for text in ("Be brief.", "Adding.", "three", "invalid arguments", "{broken"):
            assert text in sent


@families
@pytest.mark.parametrize("as_stream", [False, True], ids=["whole", "stream"])
async def test_shows_its_reasoning(case: Case, as_stream: bool) -> None:
    script = [Reply(thinking="One and two is three.", text="Three.", signature="c2lnbmVk")]
    async with asked(script, case) as it:
        if as_stream:
            events, reply = await streamed(it.model, request())
            thoughts = "".join(e.text for e in events if isinstance(e, ThinkingDelta))
            assert thoughts == "One and two is three."
        else:
            reply = await it.model.request(request())

        assert reply.content == "Three."
        assert [part.content for part in reply.thinking] == ["One and two is three."]
        assert reply.thinking[0].provider == case.family


@families
async def test_answers_in_a_schema(case: Case) -> None:
    as_tool = {"name": "final_result", "arguments": {"x": 1, "label": "here"}}
    native = case.family in {"openai", "anthropic", "google", "ollama"}
    answer = Reply(text='{"x": 1, "label": "here"}') if native else Reply(tool_calls=[as_tool])
    async with asked([answer], case) as it:
        reply = await it.model.request(request(output_schema=POINT))

        assert reply.content.replace(" ", "") == '{"x":1,"label":"here"}'
        assert reply.tool_calls == ()
        assert reply.finish_reason == "stop"
        assert "label" in str(it.server.last.body)


@families
async def test_refuses_an_answer_outside_the_schema(case: Case) -> None:
    async with asked([Reply(text='{"x": "one"}')], case) as it:
        with pytest.raises(OutputUnfit) as refused:
            await it.model.request(request(output_schema=POINT))

        assert refused.value.reply.usage.output_tokens == 10
        assert refused.value.retryable


@families
async def test_passes_settings_on(case: Case) -> None:
    settings = {"temperature": 0.5, "max_tokens": 77, "top_p": 0.9, "stop_sequences": ["END"]}
    async with asked([Reply(text="Yes.")], case) as it:
        await it.model.request(request(settings=settings | {"timeout": 9}))

        sent = str(it.server.last.body)
        assert "77" in sent
        assert "END" in sent
        assert "0.5" in sent


@families
@pytest.mark.parametrize("as_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("status", "words", "retryable", "times"),
    [
        (401, "Check the API key", False, 1),
        (404, "does not know the model", False, 1),
        (400, "It says: The scripted server refuses.", False, 1),
        (429, "limiting our rate", True, 5),
        (503, "failed on its side", True, 5),
    ],
)
async def test_says_why_it_failed(
    case: Case, as_stream: bool, status: int, words: str, retryable: bool, times: int
) -> None:
    async with asked([Reply(status=status)], case) as it:
        with pytest.raises(ModelFailed) as failed:
            await ask(it.model, request(), as_stream=as_stream)

        assert words in failed.value.detail
        assert "Our provider" in failed.value.detail
        assert failed.value.retryable is retryable
        assert it.server.count == times
        assert KEY not in failed.value.detail


@families
@pytest.mark.parametrize("as_stream", [False, True], ids=["whole", "stream"])
async def test_is_asked_again_after_a_passing_failure(case: Case, as_stream: bool) -> None:
    script = [Reply(status=500), Reply(drop="before"), Reply(text="At last.")]
    async with asked(script, case) as it:
        reply = await ask(it.model, request(), as_stream=as_stream)

        assert reply.content == "At last."
        assert it.server.count == 3


@families
@pytest.mark.parametrize("as_stream", [False, True], ids=["whole", "stream"])
async def test_refuses_what_is_no_answer(case: Case, as_stream: bool) -> None:
    async with asked([Reply(garbage="<html>Welcome</html>")], case) as it:
        with pytest.raises(ModelFailed) as failed:
            await ask(it.model, request(), as_stream=as_stream)

        assert "not one of its API" in failed.value.detail
        assert "html" not in failed.value.detail


@families
async def test_lists_its_models(case: Case) -> None:
    async with asked([Reply(text="unused")], case) as it:
        names = await list_models(it.config, it.client)

        assert names == sorted(case.wire.names)
        assert KEY in str(it.server.model_list_headers[0])


@families
async def test_leaves_the_environment_alone(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "operators-own-secret"
    for name in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{name}_CUSTOM_HEADERS", f"X-Secret: {secret}")
        monkeypatch.setenv(f"{name}_AUTH_TOKEN", secret)
        monkeypatch.setenv(f"{name}_BASE_URL", "http://127.0.0.1:9/")
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, secret)
    async with asked([Reply(text="Yes.")], case) as it:
        await it.model.request(request())

        assert secret not in str(it.server.last.headers)


def test_refuses_an_unknown_family() -> None:
    with pytest.raises(ModelUnsupported, match="Choose one of: anthropic"):
        build(ProviderConfig(family="acme", name="Acme"), "m", client=None)


@pytest.mark.parametrize("family", ["anthropic", "google", "mistral", "groq", "deepseek"])
def test_asks_for_a_key_where_the_cloud_needs_one(family: str) -> None:
    with pytest.raises(ModelUnsupported, match="has no API key"):
        build(ProviderConfig(family=family, name="Cloud"), "m", client=None)


def test_asks_for_the_address_of_a_server_of_ones_own() -> None:
    with pytest.raises(ModelUnsupported, match="needs a base URL"):
        build(ProviderConfig(family="ollama", name="Mine"), "m", client=None)


@pytest.mark.parametrize(
    ("family", "given", "used"),
    [
        ("openai", None, "https://api.openai.com/v1"),
        ("openai", "http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        ("ollama", "http://127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        ("ollama", "http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1"),
        ("groq", "https://api.groq.com/", "https://api.groq.com/openai/v1"),
        ("anthropic", "https://api.anthropic.com/v1", "https://api.anthropic.com"),
        ("mistral", "https://api.mistral.ai/v1/", "https://api.mistral.ai"),
        ("google", None, "https://generativelanguage.googleapis.com"),
    ],
)
def test_understands_addresses(family: str, given: str | None, used: str) -> None:
    config = ProviderConfig(family=family, name="P", api_key=KEY, base_url=given)

    assert FAMILIES[family].base_url(config) == used


@pytest.mark.parametrize(
    ("family", "base_url", "priced_as"),
    [
        ("openai", None, "openai"),
        ("openai", "https://api.openai.com/v1", "openai"),
        ("openai", "https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("groq", None, "groq"),
        ("ollama", "http://127.0.0.1:11434", None),
    ],
)
def test_knows_whose_prices_count(family: str, base_url: str | None, priced_as: str | None) -> None:
    config = ProviderConfig(family=family, name="P", api_key=KEY, base_url=base_url)

    assert FAMILIES[family].priced_as(config) == priced_as


def test_does_not_show_the_key() -> None:
    config = ProviderConfig(family="openai", name="P", api_key=KEY)

    assert KEY not in repr(config)
    assert KEY not in repr(FAMILIES["openai"].endpoint(config))
