"""Schedules: the view of the crews family on triggers of type cron."""

from typing import Any

import pytest

from tests.support.people import People
from tests.work.external_setting import code
from tests.work.trigger_setting import Process, history, people, process, time

__all__ = ["people", "process", "time"]

pytestmark = pytest.mark.anyio

PATH = "/scheduler/schedules"
DOCUMENTED = {
    "name": "Daily Reports",
    "cron_expression": "0 9 * * *",
    "crew_id": "crew-uuid",
    "inputs": {"report_date": "today"},
    "enabled": True,
}
YAML = {"agents_yaml": {"a": {"role": "R"}}, "tasks_yaml": {"t": {"agent": "a"}}}


async def made(people: People, **body: Any) -> dict[str, Any]:
    answer = await people.editor.post(PATH, json={**DOCUMENTED, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_as_it_is_documented(people: People) -> None:
    schedule = await made(people)
    for name, value in DOCUMENTED.items():
        assert schedule[name] == value
    assert schedule["is_active"] is True
    assert schedule["next_run_at"].endswith("T09:00:00.000000Z")
    assert schedule["last_run_at"] is None
    assert (await people.viewer.get(PATH)).json()["items"] == [schedule]
    assert (await people.viewer.get(f"{PATH}/{schedule['id']}")).json() == schedule
    trigger = (await people.viewer.get(f"/triggers/{schedule['id']}")).json()
    assert (trigger["type"], trigger["action"]["crew"]) == ("cron", "crew-uuid")
    toggled = (await people.editor.patch(f"{PATH}/{schedule['id']}/toggle")).json()
    assert (toggled["enabled"], toggled["is_active"], toggled["next_run_at"]) == (
        False,
        False,
        None,
    )
    toggled = (await people.editor.post(f"{PATH}/{schedule['id']}/toggle")).json()
    assert (toggled["enabled"], toggled["next_run_at"]) == (True, schedule["next_run_at"])
    deleted = await people.editor.delete(f"{PATH}/{schedule['id']}")
    assert (deleted.status_code, deleted.json()) == (200, {"message": "Schedule deleted"})
    answer = await people.editor.get(f"{PATH}/{schedule['id']}")
    assert code(answer) == (404, "schedule_not_found")


async def test_defined_in_place(people: People) -> None:
    body = {name: DOCUMENTED[name] for name in ("name", "cron_expression", "inputs")}
    given = {**body, "is_active": False, "model": "gpt-4o", **YAML}
    answer = await people.editor.post(PATH, json=given)
    assert answer.status_code == 201, answer.text
    schedule = answer.json()
    assert schedule["agents_yaml"] == YAML["agents_yaml"]
    assert schedule["tasks_yaml"] == YAML["tasks_yaml"]
    assert (schedule["model"], schedule["execution_type"]) == ("gpt-4o", "crew")
    assert schedule["is_active"] is False
    trigger = (await people.viewer.get(f"/triggers/{schedule['id']}")).json()
    assert trigger["action"]["definition"] == {**YAML, "model": "gpt-4o"}
    path = f"{PATH}/{schedule['id']}"
    changed = (await people.editor.put(path, json={"tasks_yaml": "t: {}"})).json()
    assert changed["agents_yaml"] == YAML["agents_yaml"]
    assert changed["tasks_yaml"] == "t: {}"
    changed = (await people.editor.put(path, json={"crew_id": "c"})).json()
    assert (changed["crew_id"], changed["agents_yaml"]) == ("c", None)
    assert changed["inputs"] == DOCUMENTED["inputs"]
    changed = (await people.editor.patch(path, json={"inputs": {"a": 1}})).json()
    assert (changed["crew_id"], changed["inputs"]) == ("c", {"a": 1})


async def test_workflows_and_agents(people: People) -> None:
    flow = await made(people, crew_id=None, flow_id="f", execution_type="flow")
    assert (flow["flow_id"], flow["execution_type"]) == ("f", "flow")
    nodes = await made(people, crew_id=None, nodes=[{"id": "a"}], edges=[], execution_type="flow")
    assert (nodes["nodes"], nodes["edges"], nodes["execution_type"]) == ([{"id": "a"}], [], "flow")
    one = await made(people, crew_id=None, agent_id="a")
    assert (one["agent_id"], one["execution_type"]) == ("a", "agent")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"cron_expression": "nonsense"}, 400),
        ({"cron_expression": ""}, 400),
        ({"timezone": "Nowhere"}, 400),
        ({"crew_id": None}, 400),
        ({"crew_id": None, "agents_yaml": {}}, 400),
        ({"flow_id": "f"}, 400),
        ({"name": ""}, 422),
        ({"unheard": 1}, 422),
    ],
)
async def test_what_is_no_schedule(people: People, change: dict[str, Any], status: int) -> None:
    answer = await people.editor.post(PATH, json={**DOCUMENTED, **change})
    assert answer.status_code == status, answer.text
    if "cron_expression" in change:
        assert answer.json()["message"].startswith("Invalid cron expression: ")


async def test_changing_the_time(people: People) -> None:
    schedule = await made(people)
    path = f"{PATH}/{schedule['id']}"
    changed = (await people.editor.put(path, json={"timezone": "Asia/Tokyo", "name": "N"})).json()
    assert changed["next_run_at"].endswith("T00:00:00.000000Z")
    assert (changed["name"], changed["crew_id"]) == ("N", "crew-uuid")
    answer = await people.editor.put(path, json={"cron_expression": "x"})
    assert answer.status_code == 400
    assert (await people.viewer.get(path)).json() == changed


async def test_only_schedules(people: People) -> None:
    body = {"name": "E", "type": "event", "config": {"events": ["a"]}, "action": {"crew": "c"}}
    other = (await people.editor.post("/triggers", json=body)).json()
    await made(people)
    assert (await people.viewer.get(PATH)).json()["total"] == 1
    assert (await people.viewer.get(f"{PATH}/{other['id']}")).status_code == 404
    assert (await people.viewer.get(PATH, params={"crew_id": "crew-uuid"})).json()["total"] == 1
    assert (await people.viewer.get(PATH, params={"crew_id": "x"})).json()["total"] == 0
    assert (await people.viewer.post(PATH, json=DOCUMENTED)).status_code == 403
    assert (await people.outsider.get(PATH)).json()["items"] == []


CREW = {
    "agents_yaml": {"a": {"role": "R", "llm": "builtin/extractive"}},
    "tasks_yaml": {"t": {"description": "Say {what}.", "agent": "a"}},
}


async def fired(people: People, process: Process, definition: dict[str, Any]) -> dict[str, Any]:
    """Fire a schedule of what is defined in place; returns the firing."""
    schedule = await made(people, crew_id=None, **{"inputs": {"what": "it"}, **definition})
    assert (await people.editor.post(f"/triggers/{schedule['id']}/fire")).status_code == 202
    await process.settle()
    (firing,) = await history(people.viewer, schedule)
    return firing


async def test_what_is_defined_in_place_is_run(people: People, process: Process) -> None:
    others = {"planning": True, "flow_config": {"a": 1}, "edges": [], "process": "sequential"}
    given = {**CREW, **others, "model": "builtin/extractive"}
    firing = await fired(people, process, given)
    assert (firing["status"], firing["reason"]) == ("started", None)
    run = (await people.viewer.get(f"/executions/{firing['run_id']}")).json()
    assert (run["execution_type"], run["inputs"]) == ("crew", {"what": "it"})

    nodes = [
        {"name": "start", "type": "start", "next": "end"},
        {"name": "end", "type": "end", "inputs": {"said": "{{ what }}"}},
    ]
    given = {"nodes": nodes, "planning": False, "flow_config": {"a": 1}, "model": "gpt-4o"}
    firing = await fired(people, process, given)
    assert (firing["status"], firing["reason"]) == ("started", None)


async def test_the_workflow_may_stand_in_the_flow_config(people: People, process: Process) -> None:
    steps = [{"name": "say", "step_type": "output", "config": {"prompt": "{{ what }}"}}]
    firing = await fired(people, process, {"flow_config": {"name": "Says", "steps": steps}})
    assert (firing["status"], firing["reason"]) == ("started", None)
    run = (await people.viewer.get(f"/executions/{firing['run_id']}")).json()
    assert (run["execution_type"], run["inputs"]) == ("workflow", {"what": "it"})
    empty = {**DOCUMENTED, "crew_id": None, "flow_config": {"theme": "dark"}}
    refused = await people.editor.post(PATH, json=empty)
    assert (refused.status_code, "flow_config" in refused.json()["message"]) == (400, True)


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({**CREW, "process": "by turns"}, "process: Input should be 'sequential' or"),
        ({**CREW, "tasks_yaml": "- ["}, "tasks_yaml: line 2"),
        ({**CREW, "tasks_yaml": {}}, "task"),
        ({"nodes": [{"id": "a"}], "edges": []}, "nodes.0"),
    ],
)
async def test_what_cannot_be_run_is_a_failed_firing(
    people: People, process: Process, definition: dict[str, Any], reason: str
) -> None:
    firing = await fired(people, process, definition)
    assert (firing["status"], firing["attempts"], firing["run_id"]) == ("failed", 1, None)
    assert reason in firing["reason"]
