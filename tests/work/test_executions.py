"""Executions through HTTP: started, followed, stopped, taken up again."""

import asyncio
import time
from typing import Any

import pytest

from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, spans, start, until

pytestmark = pytest.mark.anyio


def calling(tool: str, **arguments: Any) -> Reply:
    return Reply(tool_calls=[{"name": tool, "arguments": arguments}])


async def test_a_run_calls_models_and_tools_and_ends(
    people: People, scripted: ScriptedServer
) -> None:
    agent = await make_agent(people.editor)
    scripted.script = Script(
        select="turn",
        replies=[calling("calculator", expression="6*7"), Reply(text="It is 42.")],
    )
    run_id = await start(people.operator, agent)
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"]) == ("completed", "It is 42.")
    assert run["result_data"] == {"value": "It is 42."}
    assert (run["usage"]["model_calls"], run["usage"]["tool_calls"]) == (2, 1)
    assert run["usage"]["input_tokens"] == 40
    assert run["usage"]["cost"] is None  # the price of a scripted model is not known
    assert run["usage"]["unpriced_calls"] == 2

    trace = (await people.viewer.get(f"/execution-trace/{run_id}")).json()
    keys = [span["key"] for span in trace["spans"]]
    assert keys == ["start", "m1", "t1.0", "m2", "end"]
    tool = trace["spans"][2]
    assert tool["parent_span_id"] == f"{run_id}/m1"
    assert tool["input"] == {"expression": "6*7"}
    assert tool["output"]["result"] == 42
    assert tool["decision"]["action"] == "allow"
    assert (await people.viewer.get(f"/execution-trace/{run_id}/verify")).json()["valid"]

    logs = (await people.viewer.get(f"/execution-logs/{run_id}")).json()
    assert len(logs["items"]) == 5
    assert "calculator" in logs["items"][2]["content"]

    events = (await people.viewer.get("/events", params={"subject_id": run_id})).json()["items"]
    assert [e["type"] for e in events] == ["run.completed", "run.started", "run.created"]


async def test_an_answer_at_once_and_the_documented_fields(people: People) -> None:
    agent = await make_agent(people.editor, name="Research Team")
    body = {"agent_id": agent["key"], "inputs": {"topic": "AI developments in 2024"}}
    answer = await people.operator.post("/executions", json=body)
    assert answer.status_code == 201
    started = answer.json()
    assert started["status"] == "pending"
    assert started["message"] == "Execution started successfully"
    assert started["run_name"] == "Research Team - AI Developments 2024"
    await until(people.viewer, started["execution_id"])


async def test_refusals(people: People) -> None:
    agent = await make_agent(people.editor, llm="no/such-model", tools=["no_such_tool"])
    refused = await people.operator.post("/executions", json={"agent_id": agent["id"]})
    assert refused.status_code == 409
    assert refused.json()["error"] == "agent_not_ready"
    fields = [issue["field"] for issue in refused.json()["details"]["issues"]]
    assert fields == ["llm", "tools.no_such_tool"]
    assert (await people.operator.post("/executions", json={})).status_code == 400
    unknown = await people.operator.post("/executions", json={"agent_id": "nobody"})
    assert unknown.status_code == 404
    assert (
        await people.viewer.post("/executions", json={"agent_id": agent["id"]})
    ).status_code == 403
    assert (
        await people.outsider.post("/executions", json={"agent_id": agent["id"]})
    ).status_code == 404


async def test_tenancy(people: People) -> None:
    agent = await make_agent(people.editor)
    run_id = await start(people.operator, agent)
    await until(people.viewer, run_id)
    for path in (
        f"/executions/{run_id}",
        f"/executions/{run_id}/status",
        f"/execution-history/{run_id}",
        f"/execution-logs/{run_id}",
        f"/execution-logs/{run_id}/stream",
        f"/execution-trace/{run_id}",
        f"/execution-trace/{run_id}/verify",
    ):
        assert (await people.outsider.get(path)).status_code == 404, path
    for verb in ("cancel", "stop", "force-stop", "resume", "retry"):
        answer = await people.outsider.post(f"/executions/{run_id}/{verb}")
        assert answer.status_code == 404, verb
    assert (await people.outsider.get("/executions")).json()["items"] == []


async def test_lists_and_filters(people: People) -> None:
    agent = await make_agent(people.editor)
    runs = [await start(people.operator, agent, run_name=f"run {n}") for n in range(3)]
    for run_id in runs:
        await until(people.viewer, run_id)

    async def found(**params: Any) -> list[str]:
        answer = await people.viewer.get("/executions", params=params)
        assert answer.status_code == 200, answer.text
        return [item["run_name"] for item in answer.json()["items"]]

    assert await found() == ["run 2", "run 1", "run 0"]
    assert await found(limit=1, offset=1) == ["run 1"]
    assert await found(status="COMPLETED", search="run 2") == ["run 2"]
    assert await found(status="failed,cancelled") == []
    assert await found(agent_id="other") == []
    history = (await people.viewer.get("/execution-history")).json()
    assert history["total"] == 3
    bad = await people.viewer.get("/executions", params={"status": "sleeping"})
    assert bad.status_code == 422
    assert (await people.viewer.get("/executions", params={"limit": 0})).status_code == 422
    assert (await people.viewer.get("/executions", params={"limit": 201})).status_code == 422


async def test_cancel_reaches_a_model_call(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(select="call", replies=[Reply(hang=True)])
    agent = await make_agent(people.editor)
    run_id = await start(people.operator, agent)
    await until(people.viewer, run_id, "running")
    await _asked(scripted)
    cancelled = await people.operator.post(
        f"/executions/{run_id}/cancel", json={"reason": "enough"}
    )
    assert cancelled.json()["status"] == "cancelled"
    run = await until(people.viewer, run_id)
    assert run["status_reason"] == "enough"
    kinds = await _settled(people, run_id)
    assert kinds == [("start", "ok"), ("m1", "cancelled"), ("end", "cancelled")]
    again = await people.operator.post(f"/executions/{run_id}/cancel")
    assert (again.status_code, again.json()["error"]) == (409, "illegal_run_move")


async def _asked(scripted: ScriptedServer, times: int = 1) -> None:
    deadline = time.monotonic() + 30
    while len(scripted.calls) < times:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def _settled(people: People, run_id: str) -> list[tuple[str, str]]:
    """The steps, as soon as the last one is there."""
    deadline = time.monotonic() + 30
    while True:
        found = [(s["key"], s["step_status"]) for s in await spans(people.viewer, run_id)]
        if found[-1][0].startswith("end") or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.02)


async def test_graceful_stop_keeps_partial_results(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(
        select="turn",
        replies=[calling("calculator", expression="1+1"), Reply(text="never said", delay_s=0.3)],
    )
    agent = await make_agent(people.editor)
    run_id = await start(people.operator, agent)
    await _asked(scripted, 2)
    answer = (await people.operator.post(f"/executions/{run_id}/stop")).json()
    assert answer["status"] == "stopping"
    assert answer["partial_results"][0]["content"]["result"] == 2
    run = await until(people.viewer, run_id)
    # The present step ends, and as it was the last one the run has its answer.
    assert run["status"] in {"completed", "stopped"}
    late = (await people.operator.post(f"/executions/{run_id}/stop")).json()
    assert late["message"].startswith("Execution is not running (current status")


async def test_forced_stop_then_resume_goes_on_where_it_was(
    people: People, scripted: ScriptedServer
) -> None:
    hanging = [calling("calculator", expression="2+2"), Reply(hang=True)]
    scripted.script = Script(select="turn", replies=hanging)
    agent = await make_agent(people.editor)
    run_id = await start(people.operator, agent)
    await _asked(scripted, 2)
    stopped = await people.operator.post(f"/executions/{run_id}/stop", json={"stop_type": "force"})
    assert stopped.json()["status"] == "stopped"
    run = await until(people.viewer, run_id)
    assert run["result"]["partial_results"][0]["content"]["result"] == 4
    await _settled(people, run_id)

    asked = len(scripted.calls)
    scripted.script = Script(
        select="turn", replies=[calling("calculator", expression="0"), Reply(text="four")]
    )
    resumed = await people.operator.post(f"/executions/{run_id}/resume")
    assert resumed.status_code == 200
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"], run["segment"]) == ("completed", "four", 2)
    assert len(scripted.calls) == asked + 1
    assert (await people.viewer.get(f"/execution-trace/{run_id}/verify")).json()["valid"]
    refused = await people.operator.post(f"/executions/{run_id}/resume")
    assert refused.status_code == 409


async def test_a_failing_model_fails_the_run_and_resume_tries_it_again(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="call", replies=[Reply(status=400, message="no good")])
    agent = await make_agent(people.editor)
    run_id = await start(people.operator, agent)
    run = await until(people.viewer, run_id)
    assert run["status"] == "failed"
    assert run["error"]["code"] == "model_failed"
    scripted.script = Script(select="call", replies=[Reply(text="better")])
    await people.operator.post(f"/executions/{run_id}/resume")
    run = await until(people.viewer, run_id)
    assert (run["status"], run["result"], run["error"]) == ("completed", "better", None)
    keys = [span["key"] for span in await spans(people.viewer, run_id)]
    assert keys == ["start", "m1", "end", "m1~2", "end~2"]


async def test_retry_and_fork(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(
        select="turn", replies=[calling("calculator", expression="3*3"), Reply(text="nine")]
    )
    agent = await make_agent(people.editor)
    run_id = await start(people.operator, agent)
    await until(people.viewer, run_id)

    retried = await people.operator.post(f"/executions/{run_id}/retry")
    assert retried.status_code == 201
    again = await until(people.viewer, retried.json()["execution_id"])
    assert (again["origin"], again["origin_run_id"], again["result"]) == ("retry", run_id, "nine")

    asked = len(scripted.calls)
    forked = await people.operator.post(f"/executions/{run_id}/fork", json={"from_seq": 3})
    assert forked.status_code == 201, forked.text
    fork = await until(people.viewer, forked.json()["execution_id"])
    assert (fork["origin"], fork["origin_seq"], fork["result"]) == ("fork", 3, "nine")
    assert len(scripted.calls) == asked + 1
    shared = await spans(people.viewer, fork["id"])
    assert [s["key"] for s in shared] == ["start", "m1", "t1.0", "m2", "end"]
    assert shared[1]["properties"]["copied_from"] == {"run_id": run_id, "seq": 2}
    assert fork["usage"]["input_tokens"] == 20
    beyond = await people.operator.post(f"/executions/{run_id}/fork", json={"from_seq": 99})
    assert (beyond.status_code, beyond.json()["error"]) == (409, "fork_point_invalid")


async def test_the_limit_of_iterations_asks_for_a_last_word(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="tools", rounds=99)
    agent = await make_agent(people.editor, max_iter=2)
    run = await until(people.viewer, await start(people.operator, agent))
    assert run["status"] == "completed"
    assert run["status_reason"] == "The limit of iterations was reached."
    assert run["usage"]["model_calls"] == 3


async def test_the_limit_of_time_ends_the_run(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(select="call", replies=[Reply(hang=True)])
    agent = await make_agent(people.editor, max_execution_time=0.3)
    run = await until(people.viewer, await start(people.operator, agent))
    assert (run["status"], run["error"]["code"]) == ("failed", "run_timeout")


async def test_a_tool_that_fails_is_an_answer_for_the_model(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(
        select="turn",
        replies=[
            Reply(
                tool_calls=[
                    {"id": "a", "name": "calculator", "arguments": {"expression": "1/0"}},
                    {"id": "b", "name": "calculator", "arguments": {"wrong": 1}},
                    {"id": "c", "name": "no_such_tool", "arguments": {}},
                    {"id": "d", "name": "calculator", "arguments": "{not json"},
                ]
            ),
            Reply(text="recovered"),
        ],
    )
    agent = await make_agent(people.editor)
    run = await until(people.viewer, await start(people.operator, agent))
    assert (run["status"], run["result"]) == ("completed", "recovered")
    statuses = {s["key"]: s["step_status"] for s in await spans(people.viewer, run["id"])}
    assert statuses["t1.0"] == statuses["t1.1"] == statuses["t1.3"] == "error"
    assert statuses["t1.2"] == "blocked"


async def test_files_and_inputs(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(
        select="turn",
        replies=[calling("read_file", path="workspace/notes.md"), Reply(text="read")],
    )
    agent = await make_agent(
        people.editor,
        tools=["read_file"],
        prompt="About {topic}: {question}",
        role="a {kind} reader",
    )
    run_id = await start(
        people.operator,
        agent,
        inputs={"topic": "bolts", "question": "why?", "kind": "keen", "api_key": "sk-secret"},
        files=[{"path": "notes.md", "content": "Bolts hold."}],
    )
    run = await until(people.viewer, run_id)
    assert run["status"] == "completed"
    assert run["inputs"]["api_key"] == "***REDACTED***"
    steps = await spans(people.viewer, run_id)
    assert steps[2]["output"]["content"] == "Bolts hold."
    messages = scripted.calls[0].body["messages"]
    assert "You are a keen reader." in messages[0]["content"]
    assert messages[1]["content"] == "About bolts: why?"
    bad = await people.operator.post(
        "/executions",
        json={"agent_id": agent["id"], "files": [{"path": "../x", "content": ""}]},
    )
    assert bad.status_code == 422


async def test_names(people: People) -> None:
    body = {"agents_yaml": "research: {role: Market researcher}", "tasks_yaml": "market analysis"}
    answer = await people.operator.post("/executions/generate-name", json=body)
    assert 2 <= len(answer.json()["name"].split()) <= 4


@pytest.mark.parametrize(
    "agents",
    [
        {"a": {"role": "Researcher", "llm": "builtin/extractive", "tools": ["calculator"]}},
        [{"role": "Researcher", "llm": "builtin/extractive"}],
        "a:\n  role: Researcher\n  llm: builtin/extractive\n",
        '{"a": {"role": "Researcher", "llm": "builtin/extractive"}}',
    ],
)
async def test_names_are_made_of_what_is_said(people: People, agents: Any) -> None:
    body = {"agents_yaml": agents, "tasks_yaml": {"t": {"description": "Find heat pumps"}}}
    answer = await people.operator.post("/executions/generate-name", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == "Researcher Find Heat Pumps"


async def test_the_same_start_twice_and_fifty_times(people: People) -> None:
    agent = await make_agent(people.editor)
    body = {"agent_id": agent["id"], "inputs": {"prompt": "once"}}
    headers = {"Idempotency-Key": "start-1"}
    answers = await asyncio.gather(
        *(people.operator.post("/executions", json=body, headers=headers) for _ in range(50))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["execution_id"] for answer in answers}) == 1
    assert (await people.viewer.get("/executions")).json()["total"] == 1
    other = await people.operator.post(
        "/executions", json={**body, "run_name": "x"}, headers=headers
    )
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_key_reused")
    await until(people.viewer, answers[0].json()["execution_id"])
