"""Calling models over HTTP, whole and as streams, and how failures are told."""

import json
from typing import Any

import pytest

from muster.entrypoints.assembly import Muster
from muster.kernel import metrics
from tests.catalogue.models_setting import (
    OPERATOR_KEY,
    bare_environment,
    made,
    server,
    settings,
    stored_key,
)
from tests.support.model_server import Reply, Script, ScriptedServer, model_server
from tests.support.people import People

pytestmark = pytest.mark.anyio
__all__ = ["bare_environment", "server", "settings"]

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}


def says(server: ScriptedServer, *replies: Reply) -> None:
    server.script = Script(select="call", replies=list(replies))


def data_of(text: str) -> list[str]:
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


async def test_inference_answers_in_text(people: People, server: ScriptedServer) -> None:
    says(server, Reply(text="Oslo."))

    response = await people.operator.post(
        "/models/inference",
        json={
            "model": "scripted-large",
            "prompt": "And of Norway?",
            "history": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "What is the capital of Sweden?\n"},
                {"role": "assistant", "content": "Stockholm."},
            ],
            "settings": {"temperature": 0.1, "stop": "\n"},
        },
    )

    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["output"], body["response"]) == ("Oslo.", "Oslo.")
    assert (body["model"], body["provider"]) == ("scripted-large", "openai")
    assert body["usage"]["total_tokens"] == 30
    assert body["cost"] is None
    asked = server.last.body
    assert [m["role"] for m in asked["messages"]] == ["system", "user", "assistant", "user"]
    assert asked["messages"][1]["content"] == "What is the capital of Sweden?\n"
    assert (asked["temperature"], asked["stop"]) == (0.1, ["\n"])
    assert server.last.key == OPERATOR_KEY


async def test_generate_answers_a_chat_completion(people: People, server: ScriptedServer) -> None:
    says(server, Reply(text="Hello."))
    await made(
        people, parameters={"temperature": 0.7}, input_price=1, output_price=2, cached_price=0.5
    )

    response = await people.operator.post(
        "/models/generate", json={"model_id": "own", "prompt": "Hi", "max_tokens": 7}
    )

    assert response.status_code == 200, response.text
    body = response.json()
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello.", "tool_calls": None},
            "finish_reason": "stop",
        }
    ]
    assert body["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "total_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert body["cost"] == pytest.approx((15 * 1 + 5 * 0.5 + 10 * 2) / 1_000_000)
    asked = server.last.body
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == (
        "scripted-small",
        0.7,
        7,
    )


async def test_tools_are_offered_and_their_calls_handed_on(
    people: People, server: ScriptedServer
) -> None:
    call = {"id": "call_1", "name": "add", "arguments": {"a": 1}}
    says(server, Reply(tool_calls=[call]), Reply(text="Three."))
    body = {
        "model": "openai:scripted-large",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Add"}]}],
        "tools": [ADD],
    }

    first = (await people.operator.post("/models/generate", json=body)).json()
    message = first["choices"][0]["message"]
    turns = [
        *body["messages"],
        {"role": "assistant", "content": None, "tool_calls": message["tool_calls"]},
        {"role": "tool", "content": "3", "tool_call_id": "call_1", "name": "add"},
    ]
    second = await people.operator.post("/models/generate", json=body | {"messages": turns})

    assert first["choices"][0]["finish_reason"] == "tool_calls"
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    ]
    assert second.json()["choices"][0]["message"]["content"] == "Three."
    sent = server.last.body["messages"]
    assert sent[0]["content"] == "Add"
    assert sent[1]["tool_calls"][0]["function"]["name"] == "add"
    assert (sent[2]["role"], sent[2]["tool_call_id"]) == ("tool", "call_1")


async def test_arguments_that_are_no_json_pass_both_ways(
    people: People, server: ScriptedServer
) -> None:
    says(server, Reply(tool_calls=[{"id": "c", "name": "add", "arguments": "{broken"}]))
    body = {"model": "scripted-large", "prompt": "Add", "tools": [ADD]}

    first = (await people.operator.post("/models/generate", json=body)).json()
    calls = first["choices"][0]["message"]["tool_calls"]
    turns = [
        {"role": "user", "content": "Add"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "content": "no", "tool_call_id": "c"},
    ]
    second = await people.operator.post(
        "/models/generate", json={"model": "scripted-large", "messages": turns, "tools": [ADD]}
    )

    assert calls[0]["function"]["arguments"] == "{broken"
    assert second.status_code == 200, second.text


async def test_a_stream_ends_with_usage_and_done(people: People, server: ScriptedServer) -> None:
    call = {"id": "call_1", "name": "add", "arguments": {"a": 1}}
    says(server, Reply(thinking="Let me see.", text="Hello there.", tool_calls=[call]))

    response = await people.operator.post(
        "/models/generate",
        json={"model": "scripted-large", "prompt": "Hi", "stream": True, "tools": [ADD]},
    )

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    *pieces, end = data_of(response.text)
    assert end == "[DONE]"
    chunks = [json.loads(piece) for piece in pieces]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    assert "".join(d.get("content") or "" for d in deltas) == "Hello there."
    assert "".join(d.get("reasoning_content") or "" for d in deltas) == "Let me see."
    calls = [d["tool_calls"][0] for d in deltas if "tool_calls" in d]
    assert [(c["index"], c["id"], c["function"]["name"]) for c in calls] == [(0, "call_1", "add")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["usage"]["total_tokens"] == 30


async def test_a_stream_that_fails_before_it_begins_is_a_status(
    people: People, server: ScriptedServer
) -> None:
    says(server, Reply(status=401))

    response = await people.operator.post(
        "/models/generate", json={"model": "scripted-large", "prompt": "Hi", "stream": True}
    )

    assert (response.status_code, response.json()["error"]) == (502, "model_failed")


async def test_a_stream_that_breaks_says_so_as_its_last_event(
    people: People, server: ScriptedServer
) -> None:
    says(server, Reply(text="A long answer that will break off somewhere.", drop="middle"))

    response = await people.operator.post(
        "/models/generate", json={"model": "scripted-large", "prompt": "Hi", "stream": True}
    )

    assert response.status_code == 200
    *_, failure, end = data_of(response.text)
    assert end == "[DONE]"
    assert json.loads(failure)["error"]["code"] == "llm_unreachable"


async def test_failures_are_told_without_secrets(people: People, server: ScriptedServer) -> None:
    says(server, Reply(status=400, message=f"bad request with {OPERATOR_KEY}"))

    for path in ("/models/inference", "/models/generate"):
        response = await people.operator.post(path, json={"model": "scripted-large", "prompt": "x"})
        assert (response.status_code, response.json()["error"]) == (502, "model_failed")
        assert OPERATOR_KEY not in response.text


async def test_a_server_that_is_down_is_unreachable(people: People, server: ScriptedServer) -> None:
    await made(people, base_url="http://127.0.0.1:9/v1", parameters={"timeout": 1})

    response = await people.operator.post(
        "/models/inference", json={"model": "own", "prompt": "Hi"}
    )

    assert (response.status_code, response.json()["error"]) == (502, "llm_unreachable")


async def test_a_server_that_hangs_is_a_timeout(people: People, server: ScriptedServer) -> None:
    says(server, Reply(hang=True))

    response = await people.operator.post(
        "/models/generate", json={"model": "scripted-large", "prompt": "Hi", "timeout": 0.3}
    )

    assert (response.status_code, response.json()["error"]) == (504, "model_timeout")


@pytest.mark.parametrize("path", ["/models/inference", "/models/generate"])
async def test_models_that_cannot_be_called_are_409(people: People, path: str) -> None:
    await made(people, name="off", enabled=False)
    await made(people, name="keyless", api_key_name="missing")
    await made(people, name="cloud", provider="databricks", base_url="https://1.1.1.1/v1")

    for reference, code in (
        ("nobody", "model_unknown"),
        ("off", "model_disabled"),
        ("keyless", "model_not_ready"),
        ("cloud", "offline_provider_blocked"),
    ):
        response = await people.operator.post(path, json={"model": reference, "prompt": "Hi"})
        assert (response.status_code, response.json()["error"]) == (409, code)


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "Hi"},
        {"model": "m", "model_id": "m", "prompt": "Hi"},
        {"model": "m"},
        {"model": "m", "messages": []},
        {"model": "m", "messages": [], "history": []},
        {"model": "m", "messages": [{"role": "tool", "content": "x"}]},
        {"model": "m", "messages": [{"role": "robot", "content": "x"}]},
        {"model": "m", "prompt": "Hi", "temperature": 3},
        {"model": "m", "prompt": "Hi", "surprise": 1},
        {"model": "m", "prompt": "Hi", "tools": [{"function": {"name": "a b"}}]},
    ],
)
async def test_requests_that_are_not_whole_are_refused(
    people: People, body: dict[str, Any]
) -> None:
    response = await people.operator.post("/models/generate", json=body)

    assert response.status_code == 422, response.text


async def test_viewers_may_not_call(people: People, anonymous: Any) -> None:
    body = {"model": "builtin/extractive", "prompt": "Hi"}

    for path in ("/models/inference", "/models/generate"):
        assert (await people.viewer.post(path, json=body)).status_code == 403
        assert (await anonymous.post(path, json=body)).status_code == 401


async def test_the_built_in_model_answers_from_what_it_is_given(people: People) -> None:
    prompt = (
        "What is the tallest mountain of Norway?\n\n"
        "Galdhøpiggen is the tallest mountain of Norway. Its top is at 2469 metres."
    )

    for model in ("builtin/extractive", "mine"):
        if model == "mine":
            await made(people, name="mine", provider="builtin", model="extractive")
        response = await people.operator.post(
            "/models/inference", json={"model": model, "prompt": prompt}
        )
        assert response.status_code == 200, response.text
        assert "Galdhøpiggen" in response.json()["output"]
        assert response.json()["cost"] == 0


async def test_the_key_of_the_project_goes_to_the_address_of_the_operator(
    people: People, server: ScriptedServer
) -> None:
    await stored_key(people, key="sk-project-key")
    await made(people, api_key_name="openai_api_key")

    await people.operator.post("/models/inference", json={"model": "own", "prompt": "Hi"})
    first = server.last.key
    await people.editor.put("/api-keys/openai_api_key", json={"key": "sk-changed-key"})
    await people.operator.post("/models/inference", json={"model": "own", "prompt": "Hi"})

    assert (first, server.last.key) == ("sk-project-key", "sk-changed-key")


async def test_the_key_of_the_operator_never_goes_to_an_address_of_a_user(people: People) -> None:
    async with model_server([Reply(text="Caught.")]) as other:
        await made(people, base_url=other.base_url)
        response = await people.operator.post(
            "/models/inference", json={"model": "own", "prompt": "Hi"}
        )

        assert response.json()["output"] == "Caught."
        assert OPERATOR_KEY not in str(other.last.headers)


async def test_an_address_that_turns_inside_later_is_refused_at_the_call(
    people: People, muster: Muster
) -> None:
    """The guard judges each connection, not only the address at the time of saving."""
    from sqlalchemy import update

    from muster.domains.catalogue.models.models import Model

    await made(people, base_url="http://127.0.0.1:9/v1", parameters={"timeout": 2})
    async with muster.database.write() as session:
        await session.execute(update(Model).values(base_url="http://10.1.2.3/v1"))

    response = await people.operator.post(
        "/models/inference", json={"model": "own", "prompt": "Hi"}
    )

    assert (response.status_code, response.json()["error"]) == (502, "model_failed")
    assert "private address" in response.json()["message"]


async def test_calls_are_counted(people: People, server: ScriptedServer) -> None:
    says(server, Reply(text="One."), Reply(status=400))
    await made(people, name="counted", input_price=1, output_price=1)

    def count(status: str) -> float:
        return metrics.MODEL_CALLS.labels("openai", "counted", status)._value.get()

    before = count("ok"), count("error")
    for _ in range(2):
        await people.operator.post("/models/generate", json={"model": "counted", "prompt": "x"})

    assert (count("ok"), count("error")) == (before[0] + 1, before[1] + 1)
    assert metrics.MODEL_COST.labels("openai", "counted")._value.get() > 0
