"""The scripted server itself: what others rely on when a run is broken off and starts anew."""

import asyncio
import json
import socket
import sys
from pathlib import Path

import pytest

from muster.adapters.models import Message, ModelRequest, ProviderConfig, build
from muster.kernel.egress import Egress, EgressPolicy
from tests.adapters.models.support import ADD, KEY, asked, request
from tests.support.model_server import Script, example, script_from

pytestmark = pytest.mark.anyio


async def test_tools_are_called_from_the_conversation_alone() -> None:
    async with asked(Script(select="tools", rounds=2, text="Finished.")) as it:
        conversation = list(request("What is it?").messages)
        for _ in range(2):
            asking = ModelRequest(messages=conversation, tools=[ADD])
            reply = await it.model.request(asking)
            assert await it.model.request(asking) == reply  # the same again after a restart
            conversation.append(reply.as_message())
            call = reply.tool_calls[0]
            assert call.arguments == {"a": 1, "b": 1}
            conversation.append(Message(role="tool", content="2", tool_call_id=call.id))
        reply = await it.model.request(ModelRequest(messages=conversation, tools=[ADD]))

        assert reply.content == "Finished."
        assert it.server.count == 5
        assert sorted(it.server.by_hash.values()) == [1, 2, 2]


async def test_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"select": "turn", "replies": [{"text": "First."}]}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.model_server", "--port", str(port), "--script", str(script)),
    )
    egress = Egress(EgressPolicy())
    client = egress.client(trusted=True)
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    await client.get(f"{url}/_calls")
                    break
                except Exception:  # noqa: BLE001 - not up yet
                    await asyncio.sleep(0.05)
        config = ProviderConfig(family="openai", name="P", api_key=KEY, base_url=f"{url}/v1")
        model = build(config, "scripted-large", client=client)
        assert (await model.request(request())).content == "First."
        await client.post(f"{url}/_script", json=[{"text": "Second."}])
        assert (await model.request(request())).content == "Second."

        calls = (await client.get(f"{url}/_calls")).json()
        assert calls["count"] == 2
        assert calls["by_key"] == {KEY: 2}
        assert calls["repeated"] == [calls["calls"][0]["hash"]]
        assert (await client.post(f"{url}/_reset")).json()["count"] == 0
    finally:
        process.terminate()
        await process.wait()
        await egress.aclose()


def test_examples_fit_their_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a", "b"]},
            "fixed": {"const": 7},
            "either": {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}]},
            "list": {"type": "array", "items": {"type": ["string", "null"], "maxLength": 2}},
            "flag": {"type": "boolean"},
            "left_out": {"type": "string"},
        },
        "required": ["kind", "fixed", "either", "list", "flag"],
    }

    assert example(schema, "text") == {
        "kind": "a",
        "fixed": 7,
        "either": 3,
        "list": ["te"],
        "flag": True,
    }


def test_a_list_is_a_script() -> None:
    script = script_from([{"text": "One."}, {"status": 500}])

    assert script.select == "call"
    assert [reply.status for reply in script.replies] == [None, 500]
