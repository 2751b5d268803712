"""Conversations: registered by name, numbered, ended, or taken for left."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import time_machine

from muster.domains.work.logs import IdleSweep
from muster.domains.work.logs.bodies import key_of
from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from tests.platform.recorded import recorded
from tests.support.accounts import find_accounts
from tests.support.people import People, signed_in
from tests.work.external_setting import agent_client, code, steps_of

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]
NAME = "x-ms-entra-agent-name"


@pytest.fixture
async def people(muster: Muster, connect: Connect) -> People:
    """The people of the application that executes nothing."""
    return signed_in(await find_accounts(muster), connect)


@pytest.fixture
async def agent(people: People, connect: Connect) -> httpx2.AsyncClient:
    return await agent_client(people.owner, connect)


def node(kind: str = "USER_INPUT", **fields: Any) -> dict[str, Any]:
    return {
        "conversation_id": "c-1",
        "node_type": kind,
        "node_name": "Node",
        NAME: "Desk",
        **fields,
    }


async def talk(client: httpx2.AsyncClient, kind: str = "USER_INPUT", **fields: Any) -> Any:
    answer = await client.post("/copilot/log", json=node(kind, **fields))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def status_of(people: People, run_id: str) -> tuple[str, str | None]:
    run = (await people.viewer.get(f"/executions/{run_id}")).json()
    return run["status"], run["status_reason"]


async def test_from_start_to_end(muster: Muster, people: People, agent: httpx2.AsyncClient) -> None:
    metadata = {"environment": "tenant-1"}
    first = await talk(agent, "START_NODE", agent_metadata=metadata, input_data="Hello")
    found = (await people.viewer.get(f"/agents/{first['agent_id']}")).json()
    assert (found["name"], found["key"], found["kind"]) == ("Desk", "desk", "external")
    assert (found["metadata"], found["active"]) == (metadata, True)
    numbers = [(await talk(agent, kind))["last_seq"] for kind in ("USER_INPUT", "LLM_CALL")]
    last = await talk(agent, "END_NODE", output_data={"solved": True})
    assert (numbers, last["last_seq"]) == ([2, 3], 4)
    assert await status_of(people, first["execution_id"]) == ("completed", None)
    steps = await steps_of(people.viewer, "c-1")
    assert [s["kind"] for s in steps] == ["task.start", "step.message", "step.model", "task.end"]
    assert {s["agent_id"] for s in steps} == {first["agent_id"]}
    assert (steps[0]["input"], steps[0]["step_name"]) == ("Hello", "Node")
    assert steps[0]["properties"]["sent"]["node_type"] == "START_NODE"
    assert "agent_metadata" not in steps[0]["properties"]["sent"]
    assert len(await recorded(muster, "agent.registered", chain=people.project_id)) == 1
    late = await agent.post("/copilot/log", json=node())
    assert code(late) == (409, "task_ended")
    assert (await people.viewer.get("/logs/tasks/c-1/verify")).json()["valid"] is True


async def test_the_name_may_be_a_header(people: People, agent: httpx2.AsyncClient) -> None:
    body = node()
    del body[NAME]
    answer = await agent.post("/copilot/log", json=body, headers={NAME: "Desk"})
    assert answer.status_code == 201
    agent_id = answer.json()["agent_id"]
    assert (await talk(agent, conversation_id="c-2"))["agent_id"] == agent_id
    other = await talk(agent, conversation_id="c-3", **{NAME: "Döner"})
    assert other["agent_id"] != agent_id
    assert (await people.viewer.get("/agents")).json()["total"] == 2


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_a_name_in_a_header_is_the_same_name(
    agent: httpx2.AsyncClient, encoding: str
) -> None:
    first = await talk(agent, **{NAME: "Désk"})
    body = {key: value for key, value in node().items() if key != NAME}
    headers = [(NAME.encode(), "Désk".encode(encoding))]
    again = await agent.post("/copilot/log", json=body, headers=headers)
    assert again.status_code == 201, again.text
    assert again.json()["agent_id"] == first["agent_id"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({NAME: None}, NAME),
        ({NAME: " "}, NAME),
        ({NAME: "a" * 300}, NAME),
        ({NAME: 5}, NAME),
        ({"conversation_id": ""}, "conversation_id"),
        ({"node_type": None, "kind": "step.exec"}, "node_type"),
        ({"node_type": "WHATEVER"}, "node_type"),
        ({"agent_metadata": []}, "agent_metadata"),
    ],
)
async def test_refusals(agent: httpx2.AsyncClient, fields: dict[str, Any], field: str) -> None:
    answer = await agent.post("/copilot/log", json={**node(), **fields})
    assert answer.status_code == 422
    assert [item["field"] for item in answer.json()["errors"]] == [field]


async def test_fifty_at_once(muster: Muster, people: People, agent: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(talk(agent, input_data=n) for n in range(50)))
    assert sorted(a["last_seq"] for a in answers) == list(range(1, 51))
    assert len({(a["agent_id"], a["execution_id"]) for a in answers}) == 1
    assert len(await recorded(muster, "agent.registered", chain=people.project_id)) == 1
    assert (await people.viewer.get("/logs/tasks/c-1/verify")).json()["valid"] is True


async def test_idempotency_and_tenancy(
    people: People, connect: Connect, agent: httpx2.AsyncClient
) -> None:
    headers = {"Idempotency-Key": "n-1"}
    answers = [await agent.post("/copilot/log", json=node(), headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(await steps_of(people.viewer, "c-1")) == 1
    other = await agent_client(people.editor, connect)
    theirs = await talk(other)
    assert theirs["agent_id"] != answers[0].json()["agent_id"]
    assert theirs["first_seq"] == 1
    assert code(await people.viewer.post("/copilot/log", json=node()))[0] == 403
    narrow = await people.editor.post(
        "/security/api-keys", json={"name": "n", "kind": "user", "scopes": ["logs:write"]}
    )
    client = connect(Authorization=f"Bearer {narrow.json()['key']}")
    refused = await client.post("/copilot/log", json=node(**{NAME: "New"}))
    assert code(refused) == (404, "agent_not_found")
    assert (await client.post("/copilot/log", json=node())).status_code == 201


async def test_a_deactivated_agent(people: People, agent: httpx2.AsyncClient) -> None:
    agent_id = (await talk(agent))["agent_id"]
    await people.editor.delete(f"/agents/{agent_id}")
    assert code(await agent.post("/copilot/log", json=node())) == (409, "agent_inactive")


async def test_left_conversations_are_ended_once(
    muster: Muster, settings: Settings, people: People, agent: httpx2.AsyncClient
) -> None:
    async with Muster(settings, engine="off") as other:
        sweeps = [IdleSweep(m.database, m.running.parts.writer) for m in (muster, other)]
        with time_machine.travel(datetime.now(UTC), tick=False) as time:
            left = await talk(agent, "START_NODE")
            done = await talk(agent, "END_NODE", conversation_id="c-2")
            time.shift(timedelta(minutes=4, seconds=59))
            assert [await sweep.once() for sweep in sweeps] == [0, 0]
            await talk(agent, conversation_id="c-3")
            time.shift(timedelta(seconds=1))
            assert sorted(await asyncio.gather(*(s.once() for s in sweeps))) == [0, 1]
            assert [await sweep.once() for sweep in sweeps] == [0, 0]
    assert await status_of(people, left["execution_id"]) == (
        "stopped",
        "Nothing was logged for five minutes",
    )
    assert (await status_of(people, done["execution_id"]))[0] == "completed"
    steps = await steps_of(people.viewer, "c-1")
    assert [s["kind"] for s in steps] == ["task.start", "task.idle"]
    assert steps[1]["status"] == "error"
    assert steps[1]["properties"]["sent"] == {"node_type": "INTERNAL_TASK_UNFINISHED"}
    assert (await people.viewer.get("/logs/tasks/c-1/verify")).json()["valid"] is True
    [event] = await recorded(muster, "run.stopped", chain=people.project_id)
    assert (event.actor_kind, event.subject_id) == ("system", left["execution_id"])


async def test_a_left_conversation_goes_on(
    muster: Muster, people: People, agent: httpx2.AsyncClient
) -> None:
    sweep = IdleSweep(muster.database, muster.running.parts.writer)
    with time_machine.travel(datetime.now(UTC), tick=False) as time:
        first = await talk(agent, "START_NODE")
        time.shift(timedelta(minutes=6))
        assert await sweep.once() == 1
        again = await talk(agent)
        assert (again["execution_id"], again["last_seq"]) == (first["execution_id"], 3)
        [event] = await recorded(muster, "run.resumed", chain=people.project_id)
        assert event.subject_id == first["execution_id"]
        time.shift(timedelta(minutes=4))
        assert await sweep.once() == 0
        assert (await talk(agent, "END_NODE"))["last_seq"] == 4
        time.shift(timedelta(minutes=6))
        assert await sweep.once() == 0
    assert (await status_of(people, first["execution_id"]))[0] == "completed"
    assert (await people.viewer.get("/logs/tasks/c-1/verify")).json()["valid"] is True


async def test_a_conversation_that_a_person_has_closed(
    muster: Muster, people: People, agent: httpx2.AsyncClient
) -> None:
    sweep = IdleSweep(muster.database, muster.running.parts.writer)
    with time_machine.travel(datetime.now(UTC), tick=False) as time:
        run_id = (await talk(agent))["execution_id"]
        assert (await people.operator.post(f"/executions/{run_id}/cancel")).status_code == 200
        time.shift(timedelta(minutes=6))
        assert [await sweep.once(), await sweep.once()] == [0, 0]
    assert len(await steps_of(people.viewer, "c-1")) == 1
    assert code(await agent.post("/copilot/log", json=node())) == (409, "task_ended")


async def test_the_sweep_goes_on_when_a_look_fails(
    muster: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = asyncio.Event()
    failed = False

    class Failing(IdleSweep):
        async def once(self) -> int:
            nonlocal failed
            if not failed:
                failed = True
                raise RuntimeError("away")
            looks.set()
            return 0

    monkeypatch.setattr("muster.domains.work.logs.idle._INTERVAL_S", 0.01)
    task = asyncio.create_task(Failing(muster.database, muster.running.parts.writer).run())
    await asyncio.wait_for(looks.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_keys_of_names() -> None:
    assert key_of("Help desk") == "help-desk"
    keys = {key_of(name) for name in ("Help desk", "Help  desk", "日本", "日本語", "Help-Desk!")}
    assert len(keys) == 5
