"""A JSON Schema that is none is told where it is looked at, and nothing is run with it."""

from typing import Any

import pytest

from tests.support.people import People

pytestmark = pytest.mark.anyio

BOGUS = {"type": "object", "properties": {"age": {"type": "strng"}}}
WHERE = "output_schema.properties.age.type"
AGENT = {"role": "Clerk", "llm": "builtin/extractive"}
TASKS = """\
t:
  description: Do it
  agent: a
  output_json:
    type: object
    properties:
      age: {type: strng}
"""


async def made(people: People, path: str, **body: Any) -> dict[str, Any]:
    answer = await people.editor.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def refused(people: People, **body: Any) -> dict[str, Any]:
    answer = await people.operator.post("/executions", json=body)
    assert answer.status_code == 409, answer.text
    return answer.json()


async def test_an_agent_says_that_its_schema_is_none(people: People) -> None:
    agent = await made(people, "/agents", name="Clerk", **AGENT, output_schema=BOGUS)
    status = agent["configuration_status"]
    assert [(i["field"], i["code"]) for i in status["issues"]] == [(WHERE, "schema_invalid")]
    assert "Did you mean 'string'?" in status["issues"][0]["message"]
    problem = await refused(people, agent_id=agent["id"])
    assert problem["error"] == "agent_not_ready"
    assert WHERE in problem["message"]


async def test_a_task_says_that_its_schema_is_none(people: People) -> None:
    agent = await made(people, "/agents", name="Clerk", **AGENT)
    task = await made(people, "/tasks", name="T", agent=agent["id"], output_json=BOGUS)
    status = task["configuration_status"]
    assert [p["field"] for p in status["problems"]] == [WHERE]
    run = await people.operator.post(f"/tasks/{task['id']}/run")
    assert (run.status_code, run.json()["error"]) == (409, "task_not_ready")
    problem = await refused(people, task_id=task["id"])
    assert "properties.age.type" in problem["message"]
    node = {"name": "t", "type": "task", "task": task["id"]}
    problem = await refused(people, workflow={"mode": "graph", "nodes": [node]})
    assert [i["field"] for i in problem["details"]["issues"]] == ["nodes.t.output_schema"]


async def test_a_crew_tells_the_place_of_a_schema_that_is_none(people: People) -> None:
    crew = {"agents_yaml": {"a": {**AGENT, "output_schema": BOGUS}}, "tasks_yaml": TASKS}
    answer = await people.viewer.post("/crews/debug", json=crew)
    problems = {p["path"]: p for p in answer.json()["problems"]}
    assert set(problems) == {f"agents.a.{WHERE}", "tasks.t.output_json.properties.age.type"}
    assert {p["suggestion"] for p in problems.values()} == {"string"}
    assert problems["tasks.t.output_json.properties.age.type"]["line"] == 7
    stored = await made(people, "/crews", name="Desk", **crew)
    assert len(stored["configuration_status"]["problems"]) == 2
    problem = await refused(people, crew_id=stored["id"])
    assert len(problem["details"]["issues"]) == 2


FLOW = """\
nodes:
- {name: start, type: start, next: a}
- {name: a, type: llm, prompt: x, model: builtin/extractive, next: end,
   output_schema: {type: object,
      properties: {age: {type: strng}}}}
- {name: end, type: end}
"""
STEPS = """\
steps:
- name: a
  step_type: llm_call
  config:
    prompt: x
    model: builtin/extractive
    output_schema:
      properties:
        age: {type: strng}
"""
GRAPH = """\
mode: graph
nodes:
- name: a
  type: task
  task:
    description: x
    agent: clerk
    output_schema:
      properties:
        age: {type: strng}
"""


@pytest.mark.parametrize(
    ("workflow", "path", "line"),
    [
        (FLOW, f"nodes.1.{WHERE}", 5),
        (STEPS, f"steps.0.config.{WHERE}", 9),
        (GRAPH, f"nodes.0.task.{WHERE}", 10),
    ],
)
async def test_a_workflow_tells_the_place_of_a_schema_that_is_none(
    people: People, workflow: str, path: str, line: int
) -> None:
    await made(people, "/agents", name="Clerk", key="clerk", **AGENT)
    answer = await people.viewer.post("/workflows/validate", json={"workflow": workflow})
    body = answer.json()
    assert not body["valid"]
    (problem,) = [p for p in body["problems"] if p["severity"] == "error"]
    assert (problem["path"], problem["line"], problem["suggestion"]) == (path, line, "string")
    stored = await made(people, "/workflows", name="Flow", definition=workflow)
    again = await people.viewer.post(f"/workflows/{stored['id']}/validate")
    assert [p["path"] for p in again.json()["problems"] if p["severity"] == "error"] == [path]
    refusal = await refused(people, workflow_id=stored["id"])
    assert [i["field"] for i in refusal["details"]["issues"]] == [path]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"pattern": "a{99999999999999999999}"}}},
        {"$schema": []},
        {"$schema": "http://["},
        {"properties": {"a": {"$ref": "#/$defs/none"}}},
    ],
)
async def test_schemas_that_the_library_stumbles_over_are_refused(
    people: People, schema: dict[str, Any]
) -> None:
    tool = {
        "name": "lookup",
        "tool_type": "custom",
        "configuration": {"api_endpoint": "https://example.com/"},
    }
    answer = await people.editor.post("/tools", json={**tool, "input_schema": schema})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"].startswith("input_schema")
    agent = await made(people, "/agents", name="Clerk", **AGENT, output_schema=schema)
    assert not agent["configuration_status"]["is_ready"]
    offered = {"type": "function", "function": {"name": "f", "parameters": schema}}
    asked = {"model": "builtin/extractive", "prompt": "x", "tools": [offered]}
    called = await people.operator.post("/models/generate", json=asked)
    assert called.status_code == 422, called.text
