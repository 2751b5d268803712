"""Launching: one thing is named, found or read, frozen and started once."""

import asyncio
from typing import Any

import pytest

from muster.domains.work.plans import PlanNotReady, Target
from muster.domains.work.runs import Dispatcher
from muster.entrypoints.assembly import Muster
from muster.kernel.errors import NotFound
from muster.kernel.ids import new_id
from muster.platform.access import Caller
from tests.support.model_server import Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, open_approval, spans, until
from tests.work.plan_setting import MODEL, between

pytestmark = pytest.mark.anyio

CREW = {
    "agents_yaml": {"a": {"role": "A", "llm": MODEL}},
    "tasks_yaml": {"one": {"description": "Do {what}.", "agent": "a"}},
}
WORKFLOW = {
    "name": "Echo",
    "nodes": between({"name": "say", "type": "output", "prompt": "{{ what }}"}),
}


async def launched(working: Muster, people: People, target: Target, run_id: str) -> str:
    caller = Caller.system(people.project_id)
    given = {"what": "it"}
    launcher = working.app.state.launcher
    return await launcher.launch(caller, target, given, run_id=run_id, origin="trigger")


async def test_the_same_id_starts_once(working: Muster, people: People) -> None:
    run_id = new_id()
    target = Target("workflow", definition=WORKFLOW)
    started = await asyncio.gather(*[launched(working, people, target, run_id) for _ in range(4)])
    assert set(started) == {run_id}
    run = await until(people.viewer, run_id)
    assert (run["result"], run["origin"]) == ("it", "trigger")
    assert await launched(working, people, target, run_id) == run_id
    assert (await people.viewer.get("/executions")).json()["total"] == 1


async def test_a_crew_in_place_and_an_agent_by_name(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(rounds=0)
    agent = await make_agent(people.editor, name="Ada")
    for target in (Target("crew", definition=CREW), Target("agent", agent["id"])):
        run_id = await launched(working, people, target, new_id())
        run = await until(people.viewer, run_id)
        assert (run["status"], run["execution_type"]) == ("completed", target.kind)


@pytest.mark.parametrize("kind", ["agent", "task", "crew", "workflow"])
async def test_what_is_not_there(working: Muster, people: People, kind: str) -> None:
    with pytest.raises(NotFound):
        await launched(working, people, Target(kind, "nothing"), new_id())  # type: ignore[arg-type]


async def test_what_lacks_something(working: Muster, people: People) -> None:
    lacking = {"nodes": between({"name": "a", "type": "agent", "agent": "nobody"})}
    with pytest.raises(PlanNotReady, match="nobody"):
        await launched(working, people, Target("workflow", definition=lacking), new_id())


async def test_one_thing_at_a_time(people: People) -> None:
    both = await people.operator.post("/executions", json={**CREW, "workflow": WORKFLOW})
    assert (both.status_code, both.json()["error"]) == (422, "run_target_ambiguous")
    both = await people.operator.post("/executions", json={"agent_id": "a", "crew_id": "b"})
    assert (both.status_code, both.json()["error"]) == (422, "run_target_ambiguous")
    none = await people.operator.post("/executions", json={"inputs": {}})
    assert (none.status_code, none.json()["error"]) == (400, "run_target_missing")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"agent_id": "a"}, "agent"),
        ({"task_id": "a"}, "task"),
        ({"crew_id": "a"}, "crew"),
        ({"flow_id": "a"}, "workflow"),
        (CREW, "crew"),
        ({"workflow": WORKFLOW}, "workflow"),
    ],
)
async def test_the_kind_that_is_said_is_the_kind_that_is_run(
    people: People, given: dict[str, Any], kind: str
) -> None:
    for said in ("agent", "task", "crew", "workflow", "flow"):
        body = {**given, "execution_type": said}
        answer = await people.operator.post("/executions", json=body)
        fits = said == kind or (said, kind) == ("flow", "workflow")
        assert (answer.json().get("error") == "run_target_mistyped") is not fits
        if not fits:
            assert answer.status_code == 422
            wanted = [{"field": "execution_type", "message": f"must be {kind}"}]
            assert answer.json()["errors"] == wanted


async def test_nodes_that_wait_for_each_other(people: People) -> None:
    circle = {
        "mode": "graph",
        "nodes": [
            {"name": "a", "type": "output", "depends_on": ["b"]},
            {"name": "b", "type": "output", "depends_on": ["a"]},
        ],
    }
    refused = await people.operator.post("/executions", json={"workflow": circle})
    assert (refused.status_code, refused.json()["error"]) == (409, "plan_not_ready")
    assert "depend on one another" in refused.json()["message"]


async def test_what_is_within_is_as_strict(people: People) -> None:
    lost = {"name": "x", "type": "if", "condition": "y ==", "then": "nowhere"}
    made = await people.editor.post("/workflows", json={"name": "Lost", "nodes": between(lost)})
    assert made.status_code == 201, made.text
    tasks = {"one": {"description": "Do it.", "agent": "a", "guardrail": "len(("}}
    crew = {"name": "Loose", "agents_yaml": {"a": {"role": "A"}}, "tasks_yaml": tasks}
    made = await people.editor.post("/crews", json=crew)
    assert made.status_code == 201, made.text
    inner = {"name": "inner", "type": "subworkflow", "workflow": "Lost", "next": "team"}
    team = {"name": "team", "type": "crew", "crew": "Loose"}
    body = {"workflow": {"nodes": between(inner, team)}, "model": MODEL}
    refused = await people.operator.post("/executions", json=body)
    assert (refused.status_code, refused.json()["error"]) == (409, "plan_not_ready")
    found = {issue["field"]: issue["message"] for issue in refused.json()["details"]["issues"]}
    assert "no node 'nowhere'" in found["nodes.inner"]
    assert "'len((' cannot be read" in found["nodes.team"]


async def test_what_a_document_is_started_with_is_its_input(people: People) -> None:
    document = """
data_types: {input: {type: object}, sum: {type: object}}
nodes:
- {name: start, type: start, next: route}
- {name: route, type: switch, expr: context.input.kind, cases: {add: add}, default: end}
- name: add
  type: function
  function: python://calculator
  inputs: {expression: {type: context, value: input.expression}}
  output: sum
  next: end
- {name: end, type: end, output: sum}
"""
    body = {"workflow": document, "inputs": {"kind": "add", "expression": "6*7"}}
    started = await people.operator.post("/executions", json=body)
    assert started.status_code == 201, started.text
    run = await until(people.viewer, started.json()["execution_id"])
    assert (run["status"], run["result"]["result"]) == ("completed", 42), run


async def test_what_nothing_reads_is_not_run(people: People) -> None:
    workflow = {"nodes": between({"name": "say", "type": "output", "promt": "Hello"})}
    refused = await people.operator.post("/executions", json={"workflow": workflow})
    assert refused.status_code == 409, refused.text
    (issue,) = refused.json()["details"]["issues"]
    assert issue["field"] == "nodes.1.promt"
    assert issue["message"].endswith("Did you mean 'prompt'?")
    # It is saved all the same, as it was sent.
    made = await people.editor.post("/workflows", json={"name": "Typo", **workflow})
    assert made.json()["definition"]["nodes"] == workflow["nodes"]
    assert [problem["path"] for problem in made.json()["problems"]] == ["nodes.1.promt"]


async def test_the_model_of_a_judge_must_be_there(people: People) -> None:
    judge = {"description": "It is polite.", "llm_model": "gone"}
    task = {"description": "Do it.", "agent": "helper", "llm_guardrail": judge}
    await make_agent(people.editor, name="helper")
    workflow = {"nodes": between({"name": "work", "type": "task", "task": task})}
    answer = await people.editor.post("/workflows/validate", json={"workflow": workflow})
    (problem,) = answer.json()["problems"]
    assert problem["path"] == "nodes.1.task.llm_guardrail.llm_model"
    refused = await people.operator.post("/executions", json={"workflow": workflow})
    assert refused.status_code == 409, refused.text
    (issue,) = refused.json()["details"]["issues"]
    assert issue["field"] == "nodes.work.llm_guardrail"
    stored = (await people.editor.post("/tasks", json={"name": "Polite", **task})).json()
    refused = await people.operator.post(f"/tasks/{stored['id']}/run", json={})
    assert refused.status_code == 409, refused.text


async def test_workflows_within_workflows(people: People) -> None:
    made = await people.editor.post("/workflows", json=WORKFLOW)
    assert made.status_code == 201, made.text
    inner = {"name": "inner", "type": "subworkflow", "workflow": "Echo", "timeout_s": 60}
    gate = {"name": "gate", "type": "approval", "next": "again"}
    bad = {"name": "bad", "type": "transform", "assign": {"x": "nothing"}, "fallback": 0}
    outer = {
        "name": "Outer",
        "nodes": between(
            {**bad, "next": "inner"},
            {**inner, "inputs": {"what": "this"}, "output": "first", "next": "gate"},
            gate,
            {**inner, "name": "again", "inputs": {"what": "{{ first }} again"}},
        ),
    }
    started = await people.owner.post("/executions", json={"workflow": outer})
    assert started.status_code == 201, started.text
    run_id = started.json()["execution_id"]
    asked = await open_approval(people.owner, run_id)
    await people.owner.post(f"/approvals/{asked['id']}/approve", json={})
    run = await until(people.owner, run_id)
    assert (run["status"], run["result"]) == ("completed", "this again"), run


async def test_what_sleeps_beside_a_question_within_a_workflow(
    working: Muster, people: People
) -> None:
    inner = {
        "name": "Patient",
        "mode": "graph",
        "nodes": [
            {"name": "gate", "type": "approval"},
            {"name": "pause", "type": "delay", "delay_s": 4},
            {"name": "after", "type": "output", "prompt": "slept", "depends_on": ["pause"]},
            {"name": "both", "type": "output", "prompt": "done", "depends_on": ["gate", "after"]},
        ],
    }
    made = await people.editor.post("/workflows", json=inner)
    assert made.status_code == 201, made.text
    outer = {"nodes": between({"name": "inner", "type": "subworkflow", "workflow": "Patient"})}
    started = await people.owner.post("/executions", json={"workflow": outer})
    run_id = started.json()["execution_id"]
    child_id = await only_child(people, run_id)
    asked = await open_approval(people.owner, child_id)
    while "after" not in await steps_of(people, child_id):
        await asyncio.sleep(0.02)
    child = await until(people.owner, child_id, "waiting_for_approval")
    run = await until(people.owner, run_id, "waiting_for_approval")
    assert (child["segment"], run["segment"]) == (2, 2)
    assert await Dispatcher(working.running.parts).wake() == 0, "it has slept"
    await people.owner.post(f"/approvals/{asked['id']}/approve", json={})
    run = await until(people.owner, run_id)
    assert (run["status"], run["segment"]) == ("completed", 3), run


async def only_child(people: People, run_id: str) -> str:
    await until(people.owner, run_id, "waiting_for_approval")
    found = await people.owner.get("/executions", params={"parent_run_id": run_id})
    (child,) = found.json()["items"]
    return str(child["id"])


async def steps_of(people: People, run_id: str) -> set[str]:
    return {span["name"] for span in await spans(people.owner, run_id)}
