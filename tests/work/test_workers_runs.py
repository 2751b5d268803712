"""What a worker node does is a run like any other: in lists, trace, costs and chain."""

import asyncio
from typing import Any

import pytest

from muster.domains.work.workers import WorkerWatch
from muster.entrypoints.assembly import Muster
from tests.platform.recorded import recorded
from tests.support.people import People
from tests.work.tasks_setting import read
from tests.work.test_workers_tasks import at_work, claim, lapse, queued, report

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
USAGE = {"model": "openai/gpt-4o", "input_tokens": 1_000, "output_tokens": 100, "cost": 0.25}


async def get(people: People, path: str, **params: Any) -> Any:
    answer = await people.viewer.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def run_of(people: People, task: Json) -> Json:
    """Return the last run of a task."""
    run_id = (await read(people.viewer, task))["last_run_id"]
    found: Json = await get(people, f"/executions/{run_id}")
    return found


async def taken(people: People, **fields: Any) -> tuple[Json, Json]:
    """Return a worker and the task that it has."""
    worker = await at_work(people)
    (task,) = await queued(people, worker["id"], **fields)
    assert (await claim(people, worker, task)).status_code == 200
    return worker, task


async def test_a_claimed_task_is_a_run_until_its_result_is_reported(people: People) -> None:
    worker, task = await taken(people, inputs={"topic": "bees"})
    run = await run_of(people, task)
    assert (run["status"], run["execution_type"]) == ("running", "external")
    assert (run["task_id"], run["run_name"]) == (task["id"], "Research")
    assert (run["inputs"], run["origin"]) == ({"topic": "bees"}, "queue")
    agent = await get(people, f"/agents/{run['agent_id']}")
    assert agent["status"] == "running"
    await report(people, worker, task, result={"pages": 3}, usage=USAGE)
    run = await run_of(people, task)
    assert (run["status"], run["result"]) == ("completed", {"pages": 3})
    usage = run["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["cost"]) == (1_000, 100, 0.25)
    assert usage["model_calls"] == 1
    trace = await get(people, f"/execution-trace/{run['id']}")
    assert [(s["kind"], s["name"]) for s in trace["spans"]] == [
        ("task.start", "Research"),
        ("step.model", "openai/gpt-4o"),
        ("task.end", "Result"),
    ]
    assert {s["status"] for s in trace["spans"]} == {"OK"}
    start, _, end = trace["spans"]
    assert start["input"] == {"topic": "bees"}
    assert start["properties"]["worker_id"] == worker["id"]
    assert end["output"] == {"pages": 3}
    checked = await get(people, f"/execution-trace/{run['id']}/verify")
    assert checked["valid"] is True
    assert (await get(people, f"/agents/{run['agent_id']}"))["status"] == "idle"


async def test_it_is_in_the_lists(people: People) -> None:
    worker, task = await taken(people)
    await report(people, worker, task, result="Done", usage=USAGE)
    run = await run_of(people, task)
    for path, params in (
        ("/executions", {"task_id": task["id"]}),
        ("/executions", {"execution_type": "external"}),
        ("/execution-history", {}),
        (f"/tasks/{task['id']}/history", {}),
    ):
        assert [r["id"] for r in (await get(people, path, **params))["items"]] == [run["id"]], path
    logs = await get(people, "/logs", task_id=run["id"], agent_id=run["agent_id"])
    assert {log["kind"] for log in logs["items"]} == {"task.start", "step.model", "task.end"}
    costs = await get(people, "/cost/by-agent")
    assert [(row["agent_id"], row["cost"]) for row in costs["agents"]] == [(run["agent_id"], 0.25)]
    costs = await get(people, "/cost/by-provider")
    assert [(row["provider"], row["cost"]) for row in costs["providers"]] == [("openai", 0.25)]


async def test_its_costs_are_in_the_budgets(people: People) -> None:
    made = await people.owner.post("/budgets", json={"name": "Month", "limit": 1})
    worker, task = await taken(people)
    for _ in range(2):
        await report(people, worker, task, result="Done", usage=USAGE)
    budget = await get(people, f"/budgets/{made.json()['id']}")
    assert budget["usage"]["spent"] == 0.25


@pytest.mark.parametrize("usage", [{"model": "openai/gpt-4o", "input_tokens": 1_000}, {}])
async def test_what_it_cost_may_be_left_out(people: People, usage: Json) -> None:
    worker, task = await taken(people)
    await report(people, worker, task, usage=usage)
    told = (await run_of(people, task))["usage"]
    assert (told["cost"] is None) is (not usage)
    assert told["unpriced_calls"] == (0 if usage else 1)


async def test_a_failure_is_that_of_the_run(people: People, muster: Muster) -> None:
    worker, task = await taken(people)
    error = {"code": "no_disk", "message": "No disk left"}
    await report(people, worker, task, status="failed", error=error, result="half")
    run = await run_of(people, task)
    assert (run["status"], run["error"], run["result"]) == ("failed", error, "half")
    assert run["status_reason"] == "No disk left"
    trace = await get(people, f"/execution-trace/{run['id']}")
    assert (trace["spans"][-1]["status"], trace["spans"][-1]["error"]) == ("ERROR", error)
    (fact,) = await recorded(muster, "run.failed", chain=people.project_id)
    assert fact.subject_id == run["id"]


async def test_the_same_report_again_changes_nothing(people: People, muster: Muster) -> None:
    worker, task = await taken(people)
    body: Json = {"status": "failed", "error": "No disk", "result": {"a": 1}, "usage": USAGE}
    answers = [await report(people, worker, task, **body) for _ in range(2)]
    assert {a.status_code for a in answers} == {200}
    assert answers[0].json() == answers[1].json()
    assert (await run_of(people, task))["steps"] == 3
    assert len(await recorded(muster, "task.failed", chain=people.project_id)) == 1
    body["error"] = "Something else"
    other = await report(people, worker, task, **body)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/task_not_leased")


async def test_a_lease_that_lapses_ends_the_run_and_the_next_is_another(
    people: People, muster: Muster
) -> None:
    worker, task = await taken(people)
    await lapse(muster, task)
    late = await report(people, worker, task, result="late")
    assert late.json()["type"] == "/problems/task_not_leased"
    await WorkerWatch(muster.database).once()
    lost = await run_of(people, task)
    assert (lost["status"], lost["result"]) == ("failed", None)
    assert lost["error"] == {"code": "task_returned", "message": "The lease has lapsed"}
    assert (await read(people.viewer, task))["status"] == "pending"
    await claim(people, worker, task)
    await report(people, worker, task, result="in time")
    history = await get(people, f"/tasks/{task['id']}/history")
    assert [run["status"] for run in history["items"]] == ["completed", "failed"]
    assert history["items"][1]["id"] == lost["id"]
    assert (await read(people.viewer, task))["result"] == "in time"
    # Nobody runs what a worker has lost from the dead letters: the task is in the queue again.
    assert (await people.admin.get("/dead-letter")).json()["items"] == []


async def test_a_worker_that_is_rejected_loses_its_run(people: People) -> None:
    worker, task = await taken(people)
    path = f"/admin/workers/{worker['id']}/approve"
    await people.admin.patch(path, json={"is_approved": False})
    run = await run_of(people, task)
    assert (run["status"], run["status_reason"]) == ("failed", "The worker was rejected")


@pytest.mark.parametrize("of", ["task", "run"])
async def test_task_and_run_are_cancelled_together(people: People, of: str) -> None:
    worker, task = await taken(people)
    run = await run_of(people, task)
    path = f"/tasks/{task['id']}" if of == "task" else f"/executions/{run['id']}"
    assert (await people.editor.post(f"{path}/cancel")).status_code == 200
    assert (await run_of(people, task))["status"] == "cancelled"
    shown = await read(people.viewer, task)
    assert (shown["status"], shown["lease_until"]) == ("cancelled", None)
    late = await report(people, worker, task, result=1)
    assert (late.status_code, "cancelled" in late.json()["detail"]) == (409, True)


async def test_it_can_be_neither_stopped_nor_retried_here(people: People) -> None:
    worker, task = await taken(people)
    run = await run_of(people, task)
    stopped = await people.editor.post(f"/executions/{run['id']}/stop", json={})
    assert (stopped.status_code, stopped.json()["type"]) == (409, "/problems/run_is_external")
    await report(people, worker, task)
    again = await people.editor.post(f"/executions/{run['id']}/retry")
    assert again.status_code == 409


async def test_policies_judge_what_a_worker_tells(people: People) -> None:
    policy = {
        "name": "No models",
        "rule_type": "execution_max_steps",
        "params": {"step_type": "step.model", "max_steps": 0},
        "severity": "critical",
        "scope": "step_execution",
    }
    assert (await people.editor.post("/policies", json=policy)).status_code == 201
    worker, task = await taken(people)
    await report(people, worker, task, usage=USAGE)
    run = await run_of(people, task)
    incidents = (await get(people, "/incidents"))["items"]
    assert [incident["execution_id"] for incident in incidents] == [run["id"]]


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -1},
        {"input_tokens": 2**31},
        {"cost": "NaN"},
        {"cost": -1},
        {"model": "a\x00b"},
        {"tokens": 1},
        3,
    ],
)
async def test_what_is_no_usage_is_refused(people: People, usage: Any) -> None:
    worker, task = await taken(people)
    answer = await report(people, worker, task, usage=usage)
    assert answer.status_code == 422
    assert (await run_of(people, task))["status"] == "running"


@pytest.mark.parametrize("number", range(3))
async def test_of_ends_that_race_one_holds(people: People, muster: Muster, number: int) -> None:
    worker = await at_work(people, group="gpu")
    other = await at_work(people, "other", group="gpu")
    tasks = await queued(people, "gpu", *(f"T{n}" for n in range(6)))
    for task in tasks:
        await claim(people, worker, task)
    runs = [await run_of(people, task) for task in tasks]
    for task in tasks[::2]:
        await lapse(muster, task)
    editor, approve = people.editor, f"/admin/workers/{worker['id']}/approve"
    answers = await asyncio.gather(
        *(report(people, worker, task, result=number) for task in tasks),
        *(editor.post(f"/tasks/{task['id']}/cancel") for task in tasks[:2]),
        *(editor.post(f"/executions/{run['id']}/cancel") for run in runs[2:4]),
        *(claim(people, other, task) for task in tasks[::2]),
        people.admin.patch(approve, json={"is_approved": False}),
        editor.post(f"/workers/{worker['id']}/heartbeat"),
    )
    await asyncio.gather(*(WorkerWatch(muster.database).once() for _ in range(2)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    for task, run in zip(tasks, runs, strict=True):
        shown, last = await read(people.viewer, task), await run_of(people, task)
        assert shown["status"] == {"failed": "pending"}.get(last["status"], last["status"])
        first = await get(people, f"/executions/{run['id']}")
        assert first["status"] in {"completed", "failed", "cancelled"}
        checked = await get(people, f"/execution-trace/{run['id']}/verify")
        assert checked["valid"] is True
