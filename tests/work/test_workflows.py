"""Workflows over HTTP: kept in every notation, changed, versioned, checked, drawn."""

import asyncio
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from muster.entrypoints.assembly import Muster
from tests.catalogue.models_setting import bare_environment
from tests.platform.recorded import recorded
from tests.support.people import People
from tests.work.workflow_texts import ACTIONS, DOCUMENT, STEPS

pytestmark = pytest.mark.anyio
__all__ = ["bare_environment"]


@pytest.fixture
async def people(muster: Muster, connected: Any) -> People:
    """Everybody, with no engine: nothing runs here."""
    return await connected(muster)


async def made(people: People, **fields: Any) -> dict[str, Any]:
    answer = await people.editor.post("/workflows", json={"name": "Triage", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_the_workflow_of_the_fleet_family(people: People, muster: Muster) -> None:
    body = {"name": "Flow", "description": "d", "is_template": True, "config": {"retries": 2}}
    answer = await people.editor.post("/workflows/", json=body)
    assert answer.status_code == 201, answer.text
    flow = answer.json()
    assert {name: flow[name] for name in body} == body
    assert (flow["steps"], flow["version"], flow["notation"]) == ([], 1, "steps")
    assert [p["message"] for p in flow["problems"]] == ["The workflow has no nodes; add one."]
    (event,) = await recorded(muster, "workflow.created", chain=people.project_id)
    assert event.data["name"] == "Flow"

    path = f"/workflows/{flow['id']}"
    first = await people.editor.post(
        f"{path}/steps",
        json={"name": "Read", "step_type": "agent_task", "order": 1, "config": {"prompt": "x"}},
    )
    assert first.status_code == 201, first.text
    assert first.json()["version"] == 2
    second = await people.editor.post(
        f"{path}/steps",
        json={"name": "Sum", "step_type": "tool_call", "depends_on": ["Read"], "agent_id": None},
    )
    assert (second.json()["order"], second.json()["depends_on"]) == (2, ["Read"])
    shown = (await people.viewer.get(path)).json()
    assert [s["name"] for s in shown["steps"]] == ["Read", "Sum"]
    assert [s["step_type"] for s in shown["steps"]] == ["agent_task", "tool_call"]
    assert shown["steps"][0]["config"] == {"prompt": "x"}
    assert (await people.editor.delete(path)).status_code == 204
    assert (await people.viewer.get(path)).status_code == 404
    assert len(await recorded(muster, "workflow.deleted", chain=people.project_id)) == 1


async def test_steps_are_changed_and_removed(people: People) -> None:
    flow = await made(people, steps=STEPS)
    path = f"/workflows/{flow['id']}/steps"
    renamed = await people.editor.put(f"{path}/collect", json={"name": "gather"})
    assert renamed.status_code == 200, renamed.text
    steps = {s["name"]: s for s in (await people.viewer.get(path[:-6])).json()["steps"]}
    assert steps["write"]["depends_on"] == ["gather", "ask"]
    assert (await people.editor.delete(f"{path}/gather")).status_code == 204
    steps = {s["name"]: s for s in (await people.viewer.get(path[:-6])).json()["steps"]}
    assert steps["write"]["depends_on"] == ["ask"]

    taken = await people.editor.post(path, json={"name": "ask"})
    assert (taken.status_code, taken.json()["error"]) == (409, "step_name_taken")
    taken = await people.editor.put(f"{path}/ask", json={"name": "write"})
    assert (taken.status_code, taken.json()["error"]) == (409, "step_name_taken")
    missing = await people.editor.put(f"{path}/nobody", json={"order": 3})
    assert (missing.status_code, missing.json()["error"]) == (404, "step_not_found")
    added = (await people.editor.post(path, json={"name": "a/b"})).json()
    by_id = await people.editor.put(f"{path}/{added['id']}", json={"config": {"prompt": "p"}})
    assert by_id.json()["config"] == {"prompt": "p"}
    other = await made(people, name="Other", definition=DOCUMENT)
    refused = await people.editor.post(f"/workflows/{other['id']}/steps", json={"name": "x"})
    assert (refused.status_code, refused.json()["error"]) == (409, "workflow_not_of_steps")


async def test_every_notation_is_kept_as_it_was_written(people: People) -> None:
    given = yaml.safe_load(DOCUMENT)
    ways: list[tuple[dict[str, Any], str]] = [
        ({"definition": DOCUMENT}, "document"),
        ({"workflow": given}, "document"),
        ({**given}, "document"),
        ({"workflow_definition": ACTIONS}, "actions"),
        ({"actions": ACTIONS["actions"], "version": 2}, "actions"),
        ({"config": {"steps": STEPS, "kept": 1}}, "steps"),
        ({"nodes": [{"name": "a", "type": "start"}]}, "native"),
    ]
    for number, (body, notation) in enumerate(ways):
        answer = await people.editor.post("/workflows", json={**body, "name": f"W{number}"})
        assert answer.status_code == 201, answer.text
        assert answer.json()["notation"] == notation, number
        path = f"/workflows/{answer.json()['id']}"
        same = await people.viewer.get(f"{path}/export", params={"format": "json"})
        assert same.json() == {**answer.json()["definition"], "name": f"W{number}"}
        native = await people.viewer.get(f"{path}/export", params={"notation": "native"})
        assert native.headers["content-type"].startswith("application/yaml")
        again = await people.editor.post(
            "/workflows", json={"name": f"Again {number}", "definition": native.text}
        )
        assert [s["name"] for s in again.json()["steps"]] == [
            s["name"] for s in answer.json()["steps"]
        ]
    unnamed = await people.editor.post("/workflows", json={"definition": DOCUMENT})
    assert unnamed.json()["name"] == "Support triage"


async def test_what_cannot_be_written_is_refused_with_the_node(people: People) -> None:
    flow = await made(people, definition=DOCUMENT)
    for notation, node in (("actions", "classify"), ("steps", "sure")):
        answer = await people.viewer.get(
            f"/workflows/{flow['id']}/export", params={"notation": notation}
        )
        assert (answer.status_code, answer.json()["error"]) == (409, "workflow_not_expressible")
        assert answer.json()["details"]["node"] == node


async def test_versions(people: People, muster: Muster) -> None:
    flow = await made(people, definition=DOCUMENT)
    path = f"/workflows/{flow['id']}"
    renamed = await people.editor.patch(path, json={"name": "New"})
    assert (renamed.json()["version"], renamed.json()["notation"]) == (2, "document")
    same = await people.editor.put(path, json={"name": "New"})
    assert same.json()["version"] == 2
    changed = await people.editor.put(path, json={"steps": STEPS, "description": None})
    assert (changed.json()["version"], changed.json()["notation"]) == (3, "steps")
    listed = (await people.viewer.get(f"{path}/versions")).json()
    assert [v["version"] for v in listed["items"]] == [3, 2, 1]
    first = (await people.viewer.get(f"{path}/versions/1")).json()
    assert (first["content"]["name"], first["created_by_name"]) == ("Triage", "Editor")
    restored = (await people.editor.post(f"{path}/versions/1/restore")).json()
    assert (restored["version"], restored["name"], restored["notation"]) == (
        4,
        "Triage",
        "document",
    )
    assert restored["definition"] == flow["definition"]
    facts = await recorded(muster, "workflow.updated", chain=people.project_id)
    assert [fact.data["version"] for fact in facts] == [2, 3, 4]
    assert [fact.data["changed"] for fact in facts][:2] == [["name"], ["definition", "notation"]]
    missing = await people.editor.post(f"{path}/versions/9/restore")
    assert (missing.status_code, missing.json()["error"]) == (404, "workflow_version_not_found")


async def test_the_list(people: People) -> None:
    await made(people, name="First one", definition=DOCUMENT)
    await made(people, name="Second", is_template=True, description="about a ONE")
    listed = (await people.viewer.get("/workflows")).json()
    assert [w["name"] for w in listed["items"]] == ["Second", "First one"]
    assert [w["node_count"] for w in listed["items"]] == [0, 8]
    assert "definition" not in listed["items"][0]
    for params, names in (
        ({"search": "one"}, ["Second", "First one"]),
        ({"search": "%"}, []),
        ({"is_template": True}, ["Second"]),
        ({"is_template": False, "limit": 1}, ["First one"]),
        ({"offset": 1}, ["First one"]),
    ):
        page = (await people.viewer.get("/workflows", params=params)).json()
        assert [w["name"] for w in page["items"]] == names, params


async def test_names_are_unique_in_the_project(people: People) -> None:
    await made(people)
    taken = await people.editor.post("/workflows", json={"name": "Triage"})
    assert (taken.status_code, taken.json()["error"]) == (409, "workflow_name_taken")
    other = await made(people, name="Other")
    taken = await people.editor.patch(f"/workflows/{other['id']}", json={"name": "Triage"})
    assert taken.status_code == 409
    assert (await people.outsider.post("/workflows", json={"name": "Triage"})).status_code == 201


async def test_two_who_add_steps_at_once_both_do(people: People) -> None:
    flow = await made(people)
    path = f"/workflows/{flow['id']}"
    answers = await asyncio.gather(
        *(people.editor.post(f"{path}/steps", json={"name": f"s{i}"}) for i in range(6))
    )
    assert [a.status_code for a in answers] == [201] * 6
    shown = (await people.viewer.get(path)).json()
    assert {s["name"] for s in shown["steps"]} == {f"s{i}" for i in range(6)}
    assert shown["version"] == 7


async def test_who_may(people: People) -> None:
    flow = await made(people)
    path = f"/workflows/{flow['id']}"
    for client in (people.viewer, people.operator):
        assert (await client.get(path)).status_code == 200
        assert (await client.post(f"{path}/validate")).status_code == 200
        assert (await client.post("/workflows", json={"name": "x"})).status_code == 403
        assert (await client.patch(path, json={"name": "x"})).status_code == 403
        assert (await client.delete(path)).status_code == 403
    for suffix in ("", "/svg", "/export", "/versions"):
        assert (await people.outsider.get(path + suffix)).status_code == 404
    assert (await people.outsider.delete(path)).status_code == 404
    assert (await people.outsider.post(f"{path}/validate")).status_code == 404


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"definition": "nodes: ["}, "line 2, column 1"),
        ({"definition": "a: &x [1]\nb: *x"}, "line 2, column 4: Aliases"),
        ({"definition": "nodes:\n- name: a\n  type: llm\n  prompt: [1]"}, "nodes.0.prompt"),
        ({"definition": {"nodes": 5}}, "nodes: must be a list"),
        ({"definition": {"steps": [{"order": "x"}]}}, "steps.0.order"),
        ({"definition": {"version": 1, "actions": []}}, "version: must be 2"),
        ({"definition": {"nodes": [{"name": "a", "type": "x", "inputs": 3}] * 2}}, "inputs"),
        ({"definition": {"nodes": [{"name": "n" * 101, "type": "end"}]}}, "nodes.0.name"),
        ({"definition": {"nodes": [{}] * 501}}, "nodes"),
        ({"definition": {"nodes": [], "big": "x" * 1_000_001}}, "1000000 bytes"),
        ({"steps": [], "mistake": 1}, "mistake"),
        ({"description": "no name"}, "name"),
    ],
)
async def test_what_is_no_workflow_is_refused(
    people: People, body: dict[str, Any], text: str
) -> None:
    given = body if "description" in body else {"name": "Bad", **body}
    answer = await people.editor.post("/workflows", json=given)
    assert answer.status_code == 422, answer.text
    assert text in answer.text


async def test_validation_looks_at_what_is_named(people: People) -> None:
    agent = {"name": "Helper", "key": "helper", "llm": "builtin/extractive"}
    assert (await people.editor.post("/agents", json=agent)).status_code == 201
    text = """
name: Check
mode: graph
nodes:
  - {name: a, type: agent, agent: helper}
  - {name: b, type: agent, agent: helpr, depends_on: [a]}
  - {name: c, type: tool, tool: calculatr, depends_on: [b]}
  - {name: d, type: llm, model: nowhere/nothing, prompt: "{{ nodes.a }}", depends_on: [c]}
  - {name: e, type: subworkflow, workflow: Missing, depends_on: [d]}
  - {name: f, type: tool, tool: calculator, depends_on: [e]}
  - {name: g, type: crew, crew: Desk, depends_on: [f]}
  - {name: h, type: crew, crew: Desks, depends_on: [g]}
"""
    assert (await people.editor.post("/crews", json={"name": "Desk"})).status_code == 201
    await people.outsider.post("/crews", json={"name": "Desks"})
    answer = await people.viewer.post("/workflows/validate", json={"workflow": text})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["valid"] is False
    found = {p["path"]: (p["line"], p["suggestion"]) for p in body["problems"]}
    assert found == {
        "nodes.1.agent": (6, "helper"),
        "nodes.2.tool": (7, "calculator"),
        "nodes.3.model": (8, None),
        "nodes.4.workflow": (9, None),
        "nodes.7.crew": (12, "Desk"),
    }
    flow = await made(people, definition=text)
    assert flow["problems"] == []
    stored = await people.viewer.post(f"/workflows/{flow['id']}/validate")
    assert {p["path"] for p in stored.json()["problems"]} == set(found)
    good = {"workflow": {"steps": [{"name": "a", "step_type": "agent_task", "agent_id": "helper"}]}}
    answer = await people.viewer.post("/workflows/validate", json=good)
    assert answer.json() == {"valid": True, "problems": []}
    bad = await people.viewer.post("/workflows/validate", json={"workflow": "a: ["})
    assert (bad.status_code, bad.json()["details"]["line"]) == (422, 2)


async def test_pictures(people: People) -> None:
    document = yaml.safe_load(DOCUMENT)
    flow = await made(people, definition=DOCUMENT)
    ways: list[Any] = [{"workflow": document}, document, {"workflow": DOCUMENT}, {}, {"x": [1]}]
    for body in ways:
        answer = await people.viewer.post("/workflows/render-svg", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("image/svg+xml")
        assert answer.text.startswith("<svg")
        ET.fromstring(answer.text)
    stored = await people.viewer.get(f"/workflows/{flow['id']}/svg")
    shown = await people.viewer.post("/workflows/render-svg", json={"workflow": DOCUMENT})
    assert stored.text == shown.text
    light = await people.viewer.get(f"/workflows/{flow['id']}/svg", params={"theme": "light"})
    assert light.text != stored.text
    wrong = await people.viewer.get(f"/workflows/{flow['id']}/svg", params={"theme": "pink"})
    assert wrong.status_code == 422
    bad = await people.viewer.post("/workflows/render-svg", json={"workflow": "a: ["})
    assert (bad.status_code, bad.json()["error"]) == (400, "workflow_unrenderable")
    assert "Could not render workflow" in bad.text
