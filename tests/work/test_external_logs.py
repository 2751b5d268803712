"""Steps of agents that run elsewhere: into the journal, in order, once."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from muster.domains.work.logs import ExternalTask
from muster.entrypoints.assembly import Muster
from tests.platform.recorded import recorded
from tests.support.accounts import find_accounts
from tests.support.people import People, signed_in
from tests.work.external_setting import agent_client, code, logged, registered, steps_of

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]


@pytest.fixture
async def people(muster: Muster, connect: Connect) -> People:
    """The people of the application that executes nothing."""
    return signed_in(await find_accounts(muster), connect)


@pytest.fixture
async def agent(people: People, connect: Connect) -> httpx2.AsyncClient:
    return await agent_client(people.owner, connect)


@pytest.fixture
async def agent_id(agent: httpx2.AsyncClient) -> str:
    return await registered(agent)


async def test_a_task_from_its_first_step_to_its_last(
    muster: Muster, people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    first = await logged(agent, agent_id, kind="task.start", verb=None, step_name="Invoice 7")
    assert (first["steps_logged"], first["first_seq"], first["last_seq"]) == (1, 1, 1)
    assert (first["incidents"], first["task_id"], first["agent_id"]) == ([], "t-1", agent_id)
    run_id = first["execution_id"]

    run = (await people.viewer.get(f"/executions/{run_id}")).json()
    assert (run["execution_type"], run["status"], run["agent_id"]) == (
        "external",
        "running",
        agent_id,
    )
    assert (run["agent_name"], run["run_name"]) == ("Invoices", "Invoices: t-1")
    assert (await people.viewer.get(f"/agents/{agent_id}")).json()["status"] == "running"

    sent = {
        "kind": "step.model",
        "verb": "POST",
        "step_name": "Read",
        "input": {"document": "a.pdf"},
        "output": "42 euros",
        "properties": {"usage": {"input_tokens": 10, "output_tokens": 3}, "cost": 0.5},
        "meta": {"try": 1},
        "timestamp": "2026-05-04T12:00:01",
        "duration_ms": 250,
        "own_field": [1],
    }
    second = await logged(agent, agent_id, **sent)
    await logged(agent, agent_id, kind="step.exec", verb=None, status="blocked")
    await logged(agent, agent_id, kind="task.error", verb=None, error="No paper")
    last = await logged(agent, agent_id, kind="task.end", verb=None, output={"total": 42})
    assert (last["last_seq"], last["execution_id"]) == (5, run_id)

    steps = await steps_of(people.viewer)
    assert [s["kind"] for s in steps] == [
        "task.start",
        "step.model",
        "step.exec",
        "task.error",
        "task.end",
    ]
    assert [s["status"] for s in steps] == ["ok", "ok", "blocked", "error", "ok"]
    model = steps[1]
    assert (model["hash"], steps[-1]["hash"]) == (second["hash_tail"], last["hash_tail"])
    assert model["previous_hash"] == first["hash_tail"]
    assert (model["input"], model["output"]) == ({"document": "a.pdf"}, "42 euros")
    assert (model["input_tokens"], model["output_tokens"], model["cost"]) == (10, 3, 0.5)
    assert model["timestamp"] == "2026-05-04T12:00:01.000000Z"
    assert model["started_at"] == "2026-05-04T12:00:00.750000Z"
    properties = model["properties"]
    assert properties["cost"] == 0.5
    assert properties["sent"]["own_field"] == [1]
    assert properties["sent"]["meta"] == {"try": 1}
    assert not {"input", "output", "agent_id", "task_id", "properties"} & set(properties["sent"])
    assert steps[3]["error"] == {"message": "No paper"}

    run = (await people.viewer.get(f"/executions/{run_id}")).json()
    assert (run["status"], run["result"], run["steps"]) == ("completed", {"total": 42}, 5)
    assert (run["usage"]["input_tokens"], run["usage"]["cost"]) == (10, 0.5)
    events = await recorded(
        muster, "run.created", "run.started", "run.completed", chain=people.project_id
    )
    assert [e.type for e in events] == ["run.created", "run.started", "run.completed"]
    assert events[0].data["kind"] == "external"
    assert (await people.viewer.get(f"/agents/{agent_id}")).json()["status"] == "offline"

    body = {"agent_id": agent_id, "task_id": "t-1", "kind": "step.exec"}
    late = await agent.post("/logs", json=body)
    assert code(late) == (409, "task_ended")
    for path in ("/logs", "/logs/batch"):
        again = {**body, "steps": [{"kind": "task.start"}], "kind": "task.end"}
        assert code(await agent.post(path, json=again)) == (409, "task_ended")


async def test_what_runs_show_works_for_external_ones(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    run_id = (await logged(agent, agent_id, node_type="START_NODE", kind=None, verb=None))[
        "execution_id"
    ]
    for output in (
        "text",
        1,
        [1],
        {"content": "hi"},
        {"content": 1, "tool_calls": [{"name": "f"}]},
    ):
        await logged(agent, agent_id, kind="step.model", verb="POST", output=output)
    await logged(agent, agent_id, kind="step.unknown", verb=None, output="?")
    await logged(agent, agent_id, kind="task.idle", verb=None)
    await logged(agent, agent_id, kind="step.model", verb="POST", status="failed")
    lines = (await people.viewer.get(f"/execution-logs/{run_id}")).json()["items"]
    words = [line["content"] for line in lines]
    assert "Started: task.start" in words
    assert "Unfinished: task.idle" in words
    assert "step.unknown (ok): ?" in words
    assert "Model step.model calls f (0 tokens in, 0 out)" in words
    assert "Model step.model failed: failed" in words
    trace = (await people.viewer.get(f"/execution-trace/{run_id}")).json()
    assert [span["key"] for span in trace["spans"]] == [f"x{n}" for n in range(1, 10)]
    verified = (await people.viewer.get(f"/execution-trace/{run_id}/verify")).json()
    assert (verified["valid"], verified["steps"]) == (True, 9)
    status = (await people.viewer.get(f"/executions/{run_id}/status")).json()
    assert status["progress"]["running_tasks"] == 1

    for verb in ("stop", "force-stop", "resume", "retry", "fork"):
        body = {"from_seq": 1} if verb == "fork" else {}
        sent = None if verb == "force-stop" else body
        refused = await people.operator.post(f"/executions/{run_id}/{verb}", json=sent)
        assert code(refused) == (409, "run_is_external"), verb
    closed = await people.operator.post(f"/executions/{run_id}/cancel")
    assert closed.json()["status"] == "cancelled"
    body = {"agent_id": agent_id, "task_id": "t-1", "kind": "step.exec"}
    assert code(await agent.post("/logs", json=body)) == (409, "task_ended")


async def test_the_end_says_how_the_task_went(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    failed = {"kind": "task.end", "verb": None, "output": {"status": "failed", "error": "No ink"}}
    for number, fields, status, reason in (
        (1, failed, "failed", "No ink"),
        (2, {"kind": None, "verb": None, "node_type": "END_NODE"}, "completed", None),
        (3, {"kind": "task.end", "verb": None, "status": "blocked"}, "failed", "The task ended"),
    ):
        done = await logged(agent, agent_id, task_id=f"end-{number}", **fields)
        run = (await people.viewer.get(f"/executions/{done['execution_id']}")).json()
        assert run["status"] == status
        assert (run["status_reason"] or "").startswith(reason or "")
        assert run["started_at"] is not None


async def test_batches(people: People, agent: httpx2.AsyncClient, agent_id: str) -> None:
    steps: list[dict[str, Any]] = [
        {"kind": "task.start", "step_name": "A"},
        {"step_type": "resource", "scope": "step", "verb": "get", "step_name": "B"},
        {"node_type": "LLM_CALL", "node_name": "C", "task_id": "t-1", "agent_id": agent_id},
    ]
    body = {"agent_id": agent_id, "task_id": "t-1", "steps": steps}
    headers = {"X-Kyvvu-Wire-Version": "1", "X-Kyvvu-Instance-Id": "i-1"}
    answer = await agent.post("/logs/batch", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["steps_logged"], answer.json()["last_seq"]) == (3, 3)
    more = await agent.post("/logs/batch", json={**body, "steps": [{"kind": "step.exec"}] * 1000})
    assert (more.json()["first_seq"], more.json()["last_seq"]) == (4, 1003)
    ended = {**body, "steps": [{"kind": "step.exec"}, {"kind": "task.end"}]}
    assert (await agent.post("/logs/batch", json=ended)).json()["last_seq"] == 1005
    found = (await people.viewer.get("/logs/tasks/t-1/verify")).json()
    assert (found["valid"], found["steps"]) == (True, 1005)
    steps = await steps_of(people.viewer, limit=3)
    assert [(s["kind"], s["step_name"], s["verb"]) for s in steps] == [
        ("task.start", "A", None),
        ("step.resource", "B", "GET"),
        ("step.model", "C", "POST"),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"steps": []}, "steps"),
        ({"steps": [{"kind": "step.exec"}] * 1001}, "steps"),
        ({"steps": {}}, "steps"),
        ({"steps": [1]}, "steps.0"),
        ({"steps": [{"kind": "step.exec"}, {"kind": "step.nothing"}]}, "steps.1.kind"),
        ({"steps": [{"kind": "step.exec", "duration_ms": -1}]}, "steps.0.duration_ms"),
        ({"steps": [{"kind": "step.exec", "task_id": "t-2"}]}, "steps.0.task_id"),
        ({"steps": [{"kind": "step.exec", "agent_id": "other"}]}, "steps.0.agent_id"),
        ({"steps": [{"kind": "task.end"}, {"kind": "step.exec"}]}, "steps.1"),
        ({"steps": [{"kind": "step.exec"}], "task_id": ""}, "task_id"),
        ({"steps": [{"kind": "step.exec"}], "agent_id": 5}, "agent_id"),
    ],
)
async def test_refused_batches_log_nothing(
    people: People, agent: httpx2.AsyncClient, agent_id: str, body: dict[str, Any], field: str
) -> None:
    answer = await agent.post("/logs/batch", json={"agent_id": agent_id, "task_id": "t-1", **body})
    assert answer.status_code == 422, answer.text
    assert [item["field"] for item in answer.json()["errors"]] == [field]
    assert code(await people.viewer.get("/logs/tasks/t-1")) == (404, "task_not_found")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": None}, "kind"),
        ({"kind": "step.nothing"}, "kind"),
        ({"node_type": "NOTHING"}, "node_type"),
        ({"verb": "TRACE"}, "verb"),
        ({"properties": [1]}, "properties"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+23:59"}, "timestamp"),
        ({"timestamp": "1969-12-31T23:59:59Z"}, "timestamp"),
        ({"timestamp": 12}, "timestamp"),
        ({"duration_ms": "1"}, "duration_ms"),
        ({"duration_ms": True}, "duration_ms"),
        ({"duration_ms": 1e300}, "duration_ms"),
        ({"task_id": "a" * 256}, "task_id"),
        ({"agent_id": None}, "agent_id"),
    ],
)
async def test_refused_steps(
    agent: httpx2.AsyncClient, agent_id: str, fields: dict[str, Any], field: str
) -> None:
    body = {"agent_id": agent_id, "task_id": "t-1", "kind": "step.resource", "verb": "GET"}
    answer = await agent.post("/logs", json={**body, **fields})
    assert code(answer) == (422, "validation_error")
    assert [item["field"] for item in answer.json()["errors"]] == [field]


async def test_bodies_that_are_no_steps(agent: httpx2.AsyncClient, agent_id: str) -> None:
    del agent_id
    for content, kind in (
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"agent_id": "a\\u0000"}', "application/json"),
        (b"{}", "text/plain"),
        (b"", ""),
    ):
        for path in ("/logs", "/logs/batch", "/copilot/log"):
            answer = await agent.post(path, content=content, headers={"content-type": kind})
            assert code(answer) == (422, "validation_error")
    fine = {"content-type": "application/vnd.agent+json; charset=utf-8"}
    answer = await agent.post("/logs", content=b"{}", headers=fine)
    assert [item["field"] for item in answer.json()["errors"]] == ["agent_id"]


async def test_wire_version(agent: httpx2.AsyncClient, agent_id: str) -> None:
    body = {"agent_id": agent_id, "task_id": "t-1", "steps": [{"kind": "step.exec"}]}
    for path in ("/logs", "/logs/batch", "/copilot/log"):
        answer = await agent.post(path, json=body, headers={"X-Kyvvu-Wire-Version": "2"})
        assert code(answer) == (400, "unsupported_wire_version")


async def test_who_may_log(
    people: People, connect: Connect, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    body = {"agent_id": agent_id, "task_id": "t-1", "kind": "step.exec"}
    same_account = await agent_client(people.owner, connect)
    assert (await same_account.post("/logs", json=body)).status_code == 201
    other_account = await agent_client(people.editor, connect)
    other_project = await agent_client(people.outsider, connect)
    made_up = {**body, "agent_id": "0198d1c0-0000-7000-8000-000000000000"}
    unknown = await agent.post("/logs", json=made_up)
    assert code(unknown) == (404, "agent_not_found")
    for stranger in (other_account, other_project, people.editor, people.outsider):
        refused = await stranger.post("/logs", json=body)
        assert code(refused) == (404, "agent_not_found")
        assert refused.json()["message"] == unknown.json()["message"]
    for person in (people.viewer, people.operator):
        assert code(await person.post("/logs", json=body)) == (403, "insufficient_role")
    # Agents that the project has made itself: people log for them, keys of agents do not.
    own = {"name": "Own", "kind": "external"}
    own_id = (await people.editor.post("/agents", json=own)).json()["id"]
    theirs = {**body, "agent_id": own_id, "task_id": "t-2"}
    assert (await people.owner.post("/logs", json=theirs)).status_code == 201
    assert code(await agent.post("/logs", json=theirs)) == (404, "agent_not_found")
    native = (await people.editor.post("/agents", json={"name": "Native"})).json()["id"]
    refused = await people.editor.post("/logs", json={**body, "agent_id": native})
    assert code(refused) == (404, "agent_not_found")


async def test_a_deactivated_agent_logs_no_more(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    await logged(agent, agent_id)
    assert (await people.editor.delete(f"/agents/{agent_id}")).status_code == 204
    for task in ("t-1", "t-2"):
        body = {"agent_id": agent_id, "task_id": task, "kind": "step.exec"}
        assert code(await agent.post("/logs", json=body)) == (409, "agent_inactive")


async def test_idempotency(
    muster: Muster, people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    body = {"agent_id": agent_id, "task_id": "t-1", "steps": [{"kind": "step.exec"}] * 2}
    headers = {"Idempotency-Key": "batch-1"}
    answers = await asyncio.gather(
        *(agent.post("/logs/batch", json=body, headers=headers) for _ in range(8))
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.text for a in answers}) == 1
    assert len(await steps_of(people.viewer)) == 2
    other = {**body, "steps": [{"kind": "task.end"}]}
    reused = await agent.post("/logs/batch", json=other, headers=headers)
    assert code(reused) == (422, "idempotency_key_reused")
    ended = {"agent_id": agent_id, "task_id": "t-1", "kind": "task.end"}
    for _ in range(2):
        answer = await agent.post("/logs", json=ended, headers={"Idempotency-Key": "end"})
        assert (answer.status_code, answer.json()["last_seq"]) == (201, 3)
    late = await agent.post("/logs", json=ended, headers={"Idempotency-Key": "late"})
    assert code(late) == (409, "task_ended")
    async with muster.database.read() as session:
        assert len((await session.scalars(select(ExternalTask))).all()) == 1


async def test_fifty_at_once_make_one_chain(
    muster: Muster, people: People, connect: Connect, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    other = await agent_client(people.owner, connect)
    answers = await asyncio.gather(
        *(logged(agent if n % 2 else other, agent_id, input=n) for n in range(50))
    )
    assert len({a["execution_id"] for a in answers}) == 1
    assert sorted(a["last_seq"] for a in answers) == list(range(1, 51))
    steps = await steps_of(people.viewer, limit=100)
    assert sorted(s["input"] for s in steps) == list(range(50))
    assert {a["last_seq"]: a["hash_tail"] for a in answers} == {s["seq"]: s["hash"] for s in steps}
    verified = (await people.viewer.get("/logs/tasks/t-1/verify")).json()
    assert (verified["valid"], verified["steps"]) == (True, 50)
    assert len(await recorded(muster, "run.created", chain=people.project_id)) == 1


async def test_many_tasks_at_once_and_their_ends(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    async def task(number: int) -> None:
        for kind in ("task.start", "step.exec", "task.end"):
            await logged(agent, agent_id, task_id=f"t-{number}", kind=kind, verb=None)

    await asyncio.gather(*(task(number) for number in range(12)))
    runs = (await people.viewer.get("/executions", params={"agent_id": agent_id})).json()
    assert {(r["status"], r["steps"]) for r in runs["items"]} == {("completed", 3)}
    assert runs["total"] == 12
    assert (await people.viewer.get(f"/agents/{agent_id}")).json()["status"] == "offline"


async def test_long_payloads(people: People, agent: httpx2.AsyncClient, agent_id: str) -> None:
    text = "a" * 300_000
    await logged(agent, agent_id, input=text, output_data={"text": text})
    [step] = await steps_of(people.viewer)
    assert (step["input"], step["output"]) == (text, {"text": text})
    assert (await people.viewer.get("/logs/tasks/t-1/validate")).json()["valid"] is True


async def test_the_stream_of_an_external_run(
    people: People, agent: httpx2.AsyncClient, agent_id: str
) -> None:
    run_id = (await logged(agent, agent_id))["execution_id"]
    await logged(agent, agent_id, kind="task.end", verb=None)
    answer = await people.viewer.get(f"/execution-logs/{run_id}/stream")
    assert answer.text.count("event: log") == 2
    assert "event: end" in answer.text
