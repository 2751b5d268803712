"""Crews over HTTP: kept, changed, looked at, rated; tenancy, roles and events."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.crews import (
    CrewNotFound,
    Known,
    find_crew,
    problems_of,
    read_known,
    spec_of,
)
from muster.domains.work.plans import TaskSpec
from muster.entrypoints.assembly import Muster
from muster.kernel.ids import new_id
from tests.platform.recorded import recorded
from tests.support.people import People

pytestmark = pytest.mark.anyio

AGENTS = """\
# the team
researcher:
  role: Senior Researcher
  goal: Find out about {topic}
  llm: builtin/extractive
  tools: [calculator]
"""
TASKS = {
    "z_first": {"description": "Gather facts about {topic}", "agent": "researcher"},
    "a_second": {"description": "Write it up", "agent": "researcher", "context": ["z_first"]},
}
TEAM = {
    "name": "Research Team",
    "description": "Team specialized in research and analysis",
    "agents_yaml": AGENTS,
    "tasks_yaml": TASKS,
    "model": "builtin/extractive",
    "process": "sequential",
    "verbose": True,
    "inputs": {"topic": "AI"},
}
FACTS = ("created_at", "updated_at", "configuration_status")


async def made(people: People, **fields: Any) -> dict[str, Any]:
    answer = await people.editor.post("/crews", json={"name": f"Crew {new_id()}", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def debugged(people: People, **body: Any) -> dict[str, Any]:
    answer = await people.viewer.post("/crews/debug", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_fields_that_are_misspelt_are_told(people: People) -> None:
    body = {
        "model": "builtin/extractive",
        "agents_yaml": "a:\n  role: A\n  backstry: long\n  colour: red\n",
        "tasks_yaml": {
            "one": {"description": "x", "agent": "a"},
            "two": {"description": "y", "agent": "a", "contxt": ["one"], "vendor": {"x": 1}},
        },
    }
    answer = (await people.editor.post("/crews/debug", json=body)).json()
    assert answer["valid"] is True, answer
    told = {p["path"]: (p["severity"], p["line"], p["suggestion"]) for p in answer["problems"]}
    assert told == {
        "agents_yaml.a.backstry": ("warning", 3, "backstory"),
        "tasks_yaml.two.contxt": ("warning", None, "context"),
    }


async def test_make_and_read(people: People, working: Muster) -> None:
    crew = await made(people, **TEAM)
    assert {name: crew[name] for name in TEAM} == TEAM
    assert list(crew["tasks_yaml"]) == list(TASKS)
    assert crew["group_id"] == people.project_id
    assert crew["configuration_status"] == {"is_ready": True, "problems": []}
    read = (await people.viewer.get(f"/crews/{crew['id']}")).json()
    assert read == crew
    assert list(read["tasks_yaml"]) == list(TASKS)
    (event,) = await recorded(working, "crew.created", chain=people.project_id)
    assert event.data == {"crew_id": crew["id"], "name": "Research Team"}


async def test_the_documented_body_is_taken(people: People) -> None:
    """The published example holds words in place of definitions."""
    crew = await made(
        people,
        name="Research Team",
        agents_yaml="agent_configs_here",
        tasks_yaml="task_definitions_here",
        model="gpt-4",
    )
    assert crew["agents_yaml"] == "agent_configs_here"
    status = crew["configuration_status"]
    assert not status["is_ready"]
    assert {p["path"] for p in status["problems"]} >= {"agents_yaml", "tasks_yaml", "agents"}
    looked = await debugged(
        people, agents_yaml="agent_config_to_validate", tasks_yaml="task_config_to_validate"
    )
    assert (looked["status"], looked["valid"]) == ("success", False)


async def test_what_is_unknown_is_saved_and_named(people: People) -> None:
    agent = {"role": "r", "llm": "builtin/extractiv", "tools": ["calculatr"]}
    crew = await made(
        people,
        agents_yaml={"a": agent, "b": "no-such-agent"},
        tasks_yaml={"t": {"description": "d", "agent": "c"}},
        agent_ids=[new_id()],
        task_ids=[new_id()],
    )
    problems = {p["path"]: p for p in crew["configuration_status"]["problems"]}
    assert problems["agents.a.tools"]["suggestion"] == "calculator"
    assert problems["agents.a.llm"]["suggestion"] == "builtin/extractive"
    assert {"agents.b", "tasks.t.agent", f"agents.{crew['agent_ids'][0]}"} <= set(problems)
    assert f"tasks.{crew['task_ids'][0]}.description" in problems
    assert (
        crew["configuration_status"]
        == ((await people.viewer.get(f"/crews/{crew['id']}")).json()["configuration_status"])
    )


async def test_yaml_that_cannot_be_read_is_refused_with_its_place(people: People) -> None:
    body = {"name": "Broken", "agents_yaml": "a:\n  role: x\n b: y", "tasks_yaml": TASKS}
    answer = await people.editor.post("/crews", json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["error"] == "definitions_invalid"
    assert problem["errors"][0]["field"] == "agents_yaml"
    assert problem["errors"][0]["message"].startswith("line 3, column 2: ")
    assert problem["details"]["problems"][0]["line"] == 3
    crew = await made(people)
    for method in ("PUT", "PATCH"):
        path = f"/crews/{crew['id']}"
        answer = await people.editor.request(method, path, json={"tasks_yaml": "t: ["})
        assert answer.status_code == 422, method
        assert answer.json()["errors"][0]["field"] == "tasks_yaml"


async def test_a_name_is_taken_once(people: People, working: Muster) -> None:
    crew = await made(people, **TEAM)
    again = await people.editor.post("/crews", json=TEAM)
    assert again.status_code == 409
    text = "A crew with the name 'Research Team' already exists. Please choose a different name."
    assert again.json()["message"] == again.json()["detail"] == text

    body = {"name": "Research Team", "agents_yaml": {"a": {"role": "new"}}}
    replaced = await people.editor.post("/crews", params={"overwrite": "true"}, json=body)
    assert replaced.status_code == 201
    assert replaced.json()["id"] == crew["id"]
    assert replaced.json()["agents_yaml"] == body["agents_yaml"]
    assert (replaced.json()["tasks_yaml"], replaced.json()["inputs"]) == (None, {})
    (event,) = await recorded(working, "crew.updated", chain=people.project_id)
    assert "tasks_yaml" in event.data["changed"]

    other = await made(people)
    renamed = await people.editor.patch(f"/crews/{other['id']}", json={"name": "Research Team"})
    assert renamed.status_code == 409
    assert renamed.json()["message"] == text
    fresh = await people.editor.post(
        "/crews",
        params={"overwrite": "true", "group_id": people.project_id},
        json={"name": "Not there before"},
    )
    assert fresh.status_code == 201


async def test_many_at_once_make_one(people: People) -> None:
    body = {"name": "At once", "agents_yaml": AGENTS}
    answers = await asyncio.gather(*(people.editor.post("/crews", json=body) for _ in range(5)))
    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409, 409]
    body["name"] = "Over each other"
    answers = await asyncio.gather(
        *(people.editor.post("/crews", params={"overwrite": "true"}, json=body) for _ in range(5))
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1


async def test_change_parts_and_the_whole(people: People, working: Muster) -> None:
    crew = await made(people, **TEAM, max_rpm=5)
    path = f"/crews/{crew['id']}"
    put = (await people.editor.put(path, json={"name": "Updated Research Team"})).json()
    assert (put["name"], put["description"], put["max_rpm"]) == (
        "Updated Research Team",
        TEAM["description"],
        5,
    )
    patched = await people.editor.patch(path, json={"max_rpm": None, "agent_ids": None})
    assert (patched.json()["max_rpm"], patched.json()["agent_ids"]) == (None, [])
    same = (await people.editor.patch(path, json=patched.json())).json()
    assert same == patched.json()

    turned = {key: TASKS[key] for key in reversed(TASKS)}
    other = (await people.editor.patch(path, json={"tasks_yaml": turned})).json()
    assert list(other["tasks_yaml"]) == ["a_second", "z_first"]
    (problem,) = other["configuration_status"]["problems"]
    assert problem["path"] == "tasks.a_second.context"

    whole = await people.editor.put(f"{path}/full", json={"name": "Whole"})
    assert (whole.json()["id"], whole.json()["agents_yaml"]) == (crew["id"], None)
    facts = await recorded(working, "crew.updated", chain=people.project_id)
    assert [fact.data["changed"] for fact in facts[:3]] == [["name"], ["max_rpm"], ["tasks_yaml"]]


async def test_list_search_and_delete(people: People, working: Muster) -> None:
    first = await made(people, name="Alpha", description="writes 100% of it")
    second = await made(people, name="Beta")
    page = (await people.viewer.get("/crews", params={"limit": 1})).json()
    assert [item["id"] for item in page["items"]] == [second["id"]]
    assert (page["total"], page["has_more"], page["offset"]) == (2, True, 0)
    for text, ids in (("alp", [first["id"]]), ("100%", [first["id"]]), ("%", [first["id"]])):
        found = (await people.viewer.get("/crews", params={"search": text})).json()["items"]
        assert [item["id"] for item in found] == ids
    path = f"/crews/{first['id']}"
    assert (await people.editor.delete(path)).status_code == 204
    assert (await people.editor.delete(path)).status_code == 404
    assert (await people.viewer.get(path)).json()["error"] == "crew_not_found"
    (event,) = await recorded(working, "crew.deleted", chain=people.project_id)
    assert event.data["name"] == "Alpha"
    await made(people, name="Alpha")


async def test_debug_tells_lines_and_suggestions(people: People) -> None:
    tasks = "t:\n  description: d\n  agent: reseacher\n  tools:\n    - calculator\n    - nope\n"
    looked = await debugged(people, name="Try", agents_yaml=AGENTS, tasks_yaml=tasks)
    assert not looked["valid"]
    assert looked["data"] == {
        "name": "Try",
        "agent_ids": ["researcher"],
        "task_ids": ["t"],
        "node_count": 0,
        "edge_count": 0,
    }
    problems = {p["path"]: p for p in looked["problems"]}
    assert problems["tasks.t.agent"]["line"] == 3
    assert problems["tasks.t.agent"]["suggestion"] == "researcher"
    assert problems["tasks.t.tools"]["line"] == 4
    assert problems["agents.researcher"]["severity"] == "warning"

    broken = await debugged(people, agents_yaml="a: [", tasks_yaml=tasks, nodes=[{"id": "n"}])
    assert broken["problems"][0]["path"] == "agents_yaml"
    assert broken["problems"][0]["line"] == 2
    assert broken["data"]["node_count"] == 1
    assert not (await debugged(people))["valid"]


async def test_debug_of_a_stored_crew(people: People) -> None:
    crew = await made(people, **TEAM, edges=[{"source": "a", "target": "b"}])
    for reference in (crew["id"], "Research Team"):
        looked = await debugged(people, crew_id=reference)
        assert (looked["valid"], looked["problems"]) == (True, [])
        assert looked["message"] == "The crew can run."
        assert looked["data"]["edge_count"] == 1
    missing = await people.viewer.post("/crews/debug", json={"crew_id": new_id()})
    assert missing.status_code == 404


async def test_stored_agents_are_looked_at(people: People) -> None:
    ready = {"name": "Ready", "llm": "builtin/extractive", "tools": ["calculator"]}
    lacking = {"name": "Lacking", "tools": ["no_such_tool"]}
    agents = [(await people.editor.post("/agents", json=b)).json() for b in (ready, lacking)]
    crew = await made(
        people,
        agent_ids=[agent["id"] for agent in agents],
        tasks_yaml={"t": {"description": "d", "agent": "Ready"}},
    )
    (problem,) = crew["configuration_status"]["problems"]
    assert problem["path"] == f"agents.{agents[1]['id']}"
    assert "no_such_tool" in problem["message"]


async def test_secrets_of_tools_go_to_the_vault(people: People) -> None:
    crew = await made(people, tool_configs={"web": {"api_key": "sk-very-secret", "depth": 2}})
    assert "sk-very-secret" not in str(crew)
    assert crew["tool_configs"]["web"]["depth"] == 2
    shown = (await people.viewer.get("/api-keys")).json()["items"]
    assert [s["name"] for s in shown] == [crew["tool_configs"]["web"]["api_key"]["$secret"]]
    back = await people.editor.patch(
        f"/crews/{crew['id']}", json={"tool_configs": crew["tool_configs"]}
    )
    assert back.json() == crew


async def test_secrets_in_definitions_are_warned_of(people: People) -> None:
    agents = {"a": {"llm": "builtin/extractive", "tool_configs": {"web": {"api_key": "sk-1"}}}}
    tasks = """\
t:
  description: d
  agent: a
  tool_configs:
    web: {url: "http://x.test/?token=1"}
    safe: {api_key: {$secret: name}}
"""
    looked = await debugged(people, agents_yaml=agents, tasks_yaml=tasks)
    assert looked["valid"]
    assert [(p["path"], p["line"], p["severity"]) for p in looked["problems"]] == [
        ("agents.a.tool_configs.web", None, "warning"),
        ("tasks.t.tool_configs.web", 4, "warning"),
    ]
    assert "sk-1" not in str(looked)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 256},
        {"name": 5},
        {"process": "chaotic"},
        {"max_rpm": 0},
        {"agents_yaml": 5},
        {"agents_yaml": "x" * 1_000_001},
        {"tasks_yaml": {"t": {"retry_on_fail": 99}}},
        {"nodes": [{"id": "x" * 1_000_001}]},
        {"nodes": [{}] * 2_001},
        {"nodes": ["text"]},
        {"agent_ids": ["x" * 65]},
        {"inputs": []},
        {"favourite_colour": "blue"},
    ],
)
async def test_bodies_that_are_refused(people: People, fields: dict[str, Any]) -> None:
    answer = await people.editor.post("/crews", json={"name": "Refused", **fields})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


async def test_ratings(people: People, working: Muster) -> None:
    crew, other = await made(people, name="Rated"), await made(people, name="Not rated")
    path = f"/crews/{crew['id']}/feedback"
    down = await people.operator.post(path, json={"rating": "down"})
    assert down.status_code == 422
    assert [error["field"] for error in down.json()["errors"]] == ["comment"]
    for body in (
        {"rating": "up"},
        {"rating": "up", "comment": "Good"},
        {"rating": "down", "comment": "Too long"},
    ):
        answer = await people.operator.post(path, json=body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["rating"] == body["rating"]
    for body in (
        {"rating": "sideways"},
        {"rating": "down", "comment": " "},
        {"rating": "up", "comment": "x" * 4001},
    ):
        assert (await people.operator.post(path, json=body)).status_code == 422
    assert (await people.viewer.post(path, json={"rating": "up"})).status_code == 403
    listed = (await people.viewer.get(path)).json()
    assert [item["comment"] for item in listed["items"]] == ["Too long", "Good", None]
    summary = (await people.viewer.get("/crews/feedback-summary")).json()
    counted = [(i["crew_id"], i["up"], i["down"], i["share_up"]) for i in summary["items"]]
    assert counted == [(other["id"], 0, 0, None), (crew["id"], 2, 1, 0.6667)]
    facts = await recorded(working, "crew.rated", chain=people.project_id)
    assert [fact.data["rating"] for fact in facts] == ["up", "up", "down"]
    assert (await people.editor.delete(f"/crews/{crew['id']}")).status_code == 204
    assert (await people.viewer.get(path)).status_code == 404


async def test_roles_and_tenancy(people: People) -> None:
    crew = await made(people, **TEAM)
    path = f"/crews/{crew['id']}"
    for person in (people.viewer, people.operator):
        assert (await person.post("/crews", json={"name": "No"})).status_code == 403
        assert (await person.patch(path, json={"name": "No"})).status_code == 403
        assert (await person.delete(path)).status_code == 403
    for method, where, body in (
        ("GET", path, None),
        ("PUT", path, {"name": "No"}),
        ("PATCH", path, {"name": "No"}),
        ("PUT", f"{path}/full", {"name": "No"}),
        ("DELETE", path, None),
        ("GET", f"{path}/feedback", None),
        ("POST", f"{path}/feedback", {"rating": "up"}),
        ("POST", "/crews/debug", {"crew_id": crew["id"]}),
        ("POST", "/crews/debug", {"crew_id": crew["name"]}),
    ):
        answer = await people.outsider.request(method, where, json=body)
        assert answer.status_code == 404, (method, where)
    assert (await people.outsider.get("/crews")).json()["items"] == []
    assert (await people.outsider.post("/crews", json=TEAM)).status_code == 201


async def test_what_others_build_on(people: People, working: Muster) -> None:
    stored_id, missing_id = new_id(), new_id()

    async def stored(
        session: AsyncSession, project_id: str, ids: Sequence[str], /
    ) -> Mapping[str, TaskSpec]:
        assert project_id == people.project_id
        assert session.is_active
        found = TaskSpec(name="Stored", description="d", agent="researcher", context=["z_first"])
        return {one: found for one in ids if one == stored_id}

    working.app.state.stored_tasks = stored
    crew = await made(
        people,
        **{**TEAM, "task_ids": [stored_id, missing_id], "manager_agent": "researcher"},
        tool_configs={"calculator": {"digits": 3}, "other": {"x": 1}},
    )
    problems = crew["configuration_status"]["problems"]
    assert [p["path"] for p in problems if p["path"].startswith("tasks")] == [
        f"tasks.{missing_id}.description",
        f"tasks.{missing_id}.agent",
    ]
    async with working.database.read() as session:
        row = await find_crew(session, people.project_id, "Research Team")
        assert row.id == crew["id"]
        assert (await find_crew(session, people.project_id, row.id)).id == row.id
        for project, reference in (
            (people.project_id, "research team"),
            (people.other_project_id, row.id),
        ):
            with pytest.raises(CrewNotFound):
                await find_crew(session, project, reference)
        spec = await spec_of(session, row, stored)
    assert [task.key for task in spec.tasks] == [*TASKS, stored_id, missing_id]
    assert spec.tasks[2].agent == "researcher"
    (member,) = spec.agents
    assert member.definition is not None
    assert member.definition.tool_configs == {"calculator": {"digits": 3}}
    known = await read_known(
        working.database, people.project_id, spec, models=working.models, tools=working.tools
    )
    assert isinstance(known, Known)
    assert any(problem.severity == "error" for problem in problems_of(spec, known))
