"""Pictures of crews, and of runs with how far they are."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import httpx2
import pytest

from muster.domains.work.plans import WorkflowSpec
from muster.entrypoints.assembly import Muster
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, open_approval, start, until
from tests.work.plan_setting import crew, flow, start_plan, task

pytestmark = pytest.mark.anyio

SVG = "{http://www.w3.org/2000/svg}"
LINES = [
    {"name": "start", "type": "start", "next": "count"},
    {"name": "count", "type": "loop", "condition": "n < 3", "body": "add", "next": "fork"},
    {"name": "add", "type": "transform", "assign": {"n": "n + 1"}},
    {"name": "fork", "type": "parallel", "branches": ["left", "right"], "next": "each"},
    {"name": "left", "type": "approval", "title": "Left?", "next": "each"},
    {"name": "right: *", "type": "transform", "assign": {"r": "n * 3"}, "next": "each"},
    {"name": "each", "type": "map", "items": "[n]", "body": "double", "next": "which"},
    {"name": "double", "type": "transform", "inputs": {"twice": "{{ item * 2 }}"}},
    {"name": "which", "type": "if", "condition": "n > 9", "then": "more", "otherwise": "end"},
    {"name": "more", "type": "transform", "inputs": {"v": 1}, "next": "end"},
    {"name": "end", "type": "end"},
]


async def picture(client: httpx2.AsyncClient, path: str, **params: Any) -> dict[str, str]:
    """Return what a picture says below each name, and check that it is one."""
    answer = await client.get(f"{path}/svg", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("image/svg+xml")
    boxes: dict[str, str] = {}
    for group in ET.fromstring(answer.text).iter(f"{SVG}g"):
        rect, *texts = [*group.iter(f"{SVG}rect"), *group.iter(f"{SVG}text")]
        if rect.get("width") == "168":
            name, kind = (text.text or "" for text in texts)
            boxes[name] = kind
    return boxes


async def states(client: httpx2.AsyncClient, run_id: str) -> dict[str, str]:
    boxes = await picture(client, f"/executions/{run_id}")
    return {name: kind.rpartition(" · ")[2] for name, kind in boxes.items()}


def fork(*names: str) -> WorkflowSpec:
    nodes = [dict(node) for node in LINES]
    nodes[3]["branches"] = [*names]
    return flow(*nodes)


async def test_a_run_that_waits_and_goes_on(working: Muster, people: People) -> None:
    run_id = await start_plan(working, people.project_id, fork("left", "right: *"), n=0)
    asked = await open_approval(people.owner, run_id)
    done = {"start", "count", "add", "right: *"}
    waiting = {"left": "waiting", "fork": "waiting"}
    shown = await states(people.viewer, run_id)
    assert shown == {
        node["name"]: "completed" if node["name"] in done else waiting.get(node["name"], "pending")
        for node in LINES
    }
    await people.owner.post(f"/approvals/{asked['id']}/approve", json={})
    await until(people.owner, run_id)
    assert await states(people.viewer, run_id) == {
        node["name"]: "skipped" if node["name"] == "more" else "completed" for node in LINES
    }


async def test_a_run_that_was_rejected_or_cancelled(working: Muster, people: People) -> None:
    spec = fork("left", "right: *")
    rejected = await start_plan(working, people.project_id, spec, n=2)
    asked = await open_approval(people.owner, rejected)
    await people.owner.post(f"/approvals/{asked['id']}/reject", json={"reason": "No"})
    await until(people.owner, rejected, "rejected")
    shown = await states(people.viewer, rejected)
    assert (shown["left"], shown["fork"], shown["each"]) == ("failed", "failed", "skipped")
    cancelled = await start_plan(working, people.project_id, spec, n=2)
    await open_approval(people.owner, cancelled)
    await people.owner.post(f"/executions/{cancelled}/cancel")
    shown = await states(people.viewer, cancelled)
    assert (shown["add"], shown["left"], shown["each"]) == ("completed", "skipped", "skipped")
    assert "waiting" not in shown.values()


async def test_tools_and_failures(working: Muster, people: People) -> None:
    spec = flow(
        {"name": "start", "type": "start", "next": "sum"},
        {
            "name": "sum",
            "type": "tool",
            "tool": "calculator",
            "arguments": {"expression": "1 + 1"},
            "next": "wrong",
        },
        {
            "name": "wrong",
            "type": "tool",
            "tool": "calculator",
            "arguments": {"expression": "1 /"},
            "retry": {"attempts": 1, "wait_s": 0},
            "on_error": "told",
        },
        {"name": "told", "type": "transform", "inputs": {"v": 1}, "next": "worse"},
        {"name": "worse", "type": "transform", "assign": {"x": "nothing"}, "next": "end"},
        {"name": "end", "type": "end"},
    )
    run_id = await start_plan(working, people.project_id, spec)
    await until(people.owner, run_id, "failed")
    assert await states(people.viewer, run_id) == {
        "start": "completed",
        "sum": "completed",
        "wrong": "failed",
        "told": "completed",
        "worse": "failed",
        "end": "skipped",
    }


async def test_agents_at_work(working: Muster, people: People, scripted: ScriptedServer) -> None:
    scripted.reset()
    scripted.script = Script(
        select="call", replies=[Reply(text="A draft."), Reply(text="Late.", delay_s=30)]
    )
    spec = crew(task("draft"), task("edit", "editor", name="Edit it"), task("check"))
    run_id = await start_plan(working, people.project_id, spec)
    shown: dict[str, str] = {}
    while shown.get("Edit it") != "editor · running":
        shown = await picture(people.viewer, f"/executions/{run_id}", theme="light")
        assert "failed" not in str(shown), shown
    assert shown == {
        "draft": "writer · completed",
        "Edit it": "editor · running",
        "check": "writer · pending",
    }
    await people.owner.post(f"/executions/{run_id}/cancel")
    await until(people.owner, run_id, "cancelled")
    assert (await states(people.viewer, run_id))["Edit it"] == "skipped"


async def test_runs_of_agents_have_no_plan(working: Muster, people: People) -> None:
    agent = await make_agent(people.owner)
    run_id = await start(people.owner, agent)
    answer = await people.viewer.get(f"/executions/{run_id}/svg")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/execution_without_plan")
    assert (await people.outsider.get(f"/executions/{run_id}/svg")).status_code == 404
    params = {"theme": "pink"}
    assert (await people.viewer.get(f"/executions/{run_id}/svg", params=params)).status_code == 422


async def test_a_stored_crew(people: People) -> None:
    stored = await people.editor.post("/tasks", json={"name": "Publish", "agent": "writer"})
    body = {
        "name": "Desk",
        "agents_yaml": {"writer": {"role": "Writer"}, "editor": {"role": "Editor"}},
        "tasks_yaml": {
            "draft": {"description": "Write", "agent": "writer"},
            "edit": {"description": "Edit", "agent": "editor", "context": ["draft"]},
        },
        "task_ids": [stored.json()["id"]],
    }
    made = (await people.editor.post("/crews", json=body)).json()
    path = f"/crews/{made['id']}"
    assert await picture(people.viewer, path) == {
        "draft": "writer",
        "edit": "editor",
        "Publish": "writer",
    }
    await people.editor.patch(path, json={"process": "hierarchical", "manager_llm": "a/b"})
    assert (await picture(people.viewer, path, theme="light"))["a/b"] == "manager"
    light, dark = [
        (await people.viewer.get(f"{path}/svg", params={"theme": theme})).text
        for theme in ("light", "dark")
    ]
    assert re.sub(r"#\w{6}", "", light) == re.sub(r"#\w{6}", "", dark) != light
    assert (await people.outsider.get(f"{path}/svg")).status_code == 404
    empty = (await people.editor.post("/crews", json={"name": "Empty"})).json()
    assert await picture(people.viewer, f"/crews/{empty['id']}") == {}
