"""Agent projects: built by one person, validated, published as an agent and a workflow."""

from typing import Any

import pytest

from muster.entrypoints.assembly import Muster
from tests.catalogue.models_setting import bare_environment
from tests.platform.recorded import recorded
from tests.support.people import People
from tests.work.workflow_texts import ACTIONS

pytestmark = pytest.mark.anyio
__all__ = ["bare_environment"]

ASK, FIND, TELL = ACTIONS["actions"]
TOLD = {"version": 2, "actions": [ASK, {**TELL, "variable_refs": ["q"]}]}


@pytest.fixture
async def people(muster: Muster, connected: Any) -> People:
    """Everybody, with no engine: nothing runs here."""
    return await connected(muster)


async def made(people: People, **fields: Any) -> dict[str, Any]:
    body = {"id": "intake", "name": "Intake", "workflow_definition": TOLD, **fields}
    answer = await people.editor.post("/agent-projects", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["agent_project"]


async def test_the_life_of_an_agent_project(people: People, muster: Muster) -> None:
    spec = {"name": "Intake", "instructions": "Ask.", "workflow_definition": TOLD}
    answer = await people.editor.post("/agent-projects", json={"id": "intake", "spec": spec})
    assert answer.status_code == 201, answer.text
    project = answer.json()["agent_project"]
    assert (project["id"], project["current_version"], project["visibility"]) == (
        "intake",
        1,
        "private",
    )
    assert project["published_agent_id"] is None
    assert project["spec"]["agent_type"] == "workflow"

    changed = await people.editor.put(
        "/agent-projects/intake", json={"description": "d", "visibility": "public"}
    )
    assert changed.json()["agent_project"]["current_version"] == 2
    assert changed.json()["agent_project"]["spec"]["instructions"] == "Ask."
    same = await people.editor.put("/agent-projects/intake", json={"visibility": "public"})
    assert same.json()["agent_project"]["current_version"] == 2
    checked = (await people.editor.post("/agent-projects/intake/validate")).json()
    assert (checked["validation"]["valid"], checked["validation"]["errors"]) == (True, [])

    published = await people.editor.post("/agent-projects/intake/publish")
    assert published.status_code == 200, published.text
    result = published.json()["publish_result"]
    assert result["agent_id"] == "agent.project.intake"
    assert result["catalog_agent"]["version"] == 1
    again = (await people.editor.post("/agent-projects/intake/publish")).json()
    assert again["publish_result"]["workflow_id"] == result["workflow_id"]
    workflow = (await people.viewer.get(f"/workflows/{result['workflow_id']}")).json()
    assert (workflow["name"], workflow["notation"]) == ("agent.project.intake", "actions")
    agent = (await people.viewer.get(f"/agents/{result['catalog_agent']['id']}")).json()
    assert (agent["key"], agent["kind"]) == ("agent.project.intake", "platform")
    listed = (await people.editor.get("/agent-projects")).json()
    assert [p["published_agent_id"] for p in listed["agent_projects"]] == ["agent.project.intake"]
    for kind, count in (("created", 1), ("updated", 1), ("published", 2)):
        facts = await recorded(muster, f"agent_project.{kind}", chain=people.project_id)
        assert len(facts) == count


async def test_what_is_shown_can_be_sent_back(people: People) -> None:
    await made(people, tool_refs=["calculator"])
    assert (await people.editor.post("/agent-projects/intake/publish")).status_code == 200
    shown = (await people.editor.get("/agent-projects/intake")).json()["agent_project"]
    back = await people.editor.put("/agent-projects/intake", json=shown)
    assert (back.status_code, back.json()) == (200, {"agent_project": shown})
    again = await people.editor.post("/agent-projects", json={**shown, "id": "copy"})
    assert again.status_code == 201, again.text
    assert again.json()["agent_project"]["spec"] == shown["spec"]


async def test_only_the_owner_sees_it(people: People) -> None:
    await made(people)
    for client in (people.owner, people.viewer, people.outsider):
        assert (await client.get("/agent-projects")).json()["items"] == []
        answer = await client.get("/agent-projects/intake")
        assert (answer.status_code, answer.json()["error"]) == (404, "project_not_found")
    assert (await people.owner.put("/agent-projects/intake", json={})).status_code == 404
    assert (await people.owner.post("/agent-projects/intake/publish")).status_code == 404
    assert (await people.viewer.post("/agent-projects", json={"name": "x"})).status_code == 403


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"id": "a b"}, 400, "invalid_project_id"),
        ({"id": ""}, 400, "invalid_project_id"),
        ({"visibility": "secret"}, 400, "invalid_visibility"),
        ({"agent_type": "react"}, 400, "unsupported_agent_type"),
        ({"workflow_definition": {"version": 1, "steps": []}}, 400, "invalid_workflow_definition"),
        ({"workflow_definition": {"actions": [TELL]}}, 400, "invalid_workflow_definition"),
        ({"workflow_definition": {"actions": 5}}, 400, "invalid_workflow_definition"),
        ({"tool_policy": ["calculator"]}, 400, "invalid_tool_policy"),
        ({"mistake": 1}, 422, "validation_error"),
    ],
)
async def test_what_is_refused(
    people: People, fields: dict[str, Any], status: int, code: str
) -> None:
    answer = await people.editor.post("/agent-projects", json={"name": "X", **fields})
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    if "id" in fields:
        return
    await made(people)
    answer = await people.editor.put("/agent-projects/intake", json=fields)
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text


async def test_errors_of_the_actions_are_listed(people: People) -> None:
    definition = {"version": 2, "actions": [ASK, ASK, {**TELL, "variable_refs": ["z"]}]}
    body = {"name": "X", "workflow_definition": definition}
    answer = await people.editor.post("/agent-projects", json=body)
    paths = {error["path"] for error in answer.json()["details"]["errors"]}
    assert {"actions.1.variables.0.name", "actions.2.variable_refs.0"} <= paths


async def test_an_id_is_taken_once(people: People) -> None:
    await made(people)
    taken = await people.editor.post("/agent-projects", json={"id": "intake", "name": "Y"})
    assert (taken.status_code, taken.json()["error"]) == (409, "duplicate_project")


async def test_what_is_unfinished_is_kept_and_not_published(people: People) -> None:
    await made(people, workflow_definition={}, tool_refs=["calculator"])
    checked = (await people.editor.post("/agent-projects/intake/validate")).json()["validation"]
    assert (checked["valid"], checked["resolved_tools"]) == (False, ["calculator"])
    refused = await people.editor.post("/agent-projects/intake/publish")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_workflow_definition")
    named = await made(people, id="second", workflow_definition=ACTIONS)
    assert named["id"] == "second"
    checked = (await people.editor.post("/agent-projects/second/validate")).json()["validation"]
    assert checked["resolved_mcp_servers"] == ["kb"]
    assert checked["derived_runtime_requirements"]["internet_required"] is True
    assert [error["path"] for error in checked["errors"]] == ["actions.1.exposed_tool_name"]


async def test_what_it_names_and_is_not_there_is_told(people: People) -> None:
    names = {"tool_refs": ["read_file", "calculater"], "mcp_server_refs": ["kb"]}
    await made(people, **names, default_model_ref="builtin/extractve")
    found = await validated(people)
    assert {error["path"]: error["suggestion"] for error in found["errors"]} == {
        "default_model_ref": "builtin/extractive",
        "tool_refs.1": "calculator",
        "mcp_server_refs.0": None,
    }
    assert (found["valid"], found["warnings"]) == (False, [])
    # It is saved all the same, as any agent is; to run it is refused.
    published = await people.editor.post("/agent-projects/intake/publish")
    assert published.status_code == 200, published.text
    agent_id = published.json()["publish_result"]["catalog_agent"]["id"]
    refused = await people.operator.post("/executions", json={"agent_id": agent_id})
    assert refused.status_code == 409, refused.text
    assert "calculater" in refused.json()["message"]


FUNCTION = {
    "type": "mcp_tool",
    "id": "add",
    "exposed_tool_name": "calculator",
    "input_bindings": {"expression": {"variable": "q"}},
    "output_variables": [{"name": "hits", "path": "$"}],
}


async def validated(people: People) -> dict[str, Any]:
    answer = await people.editor.post("/agent-projects/intake/validate")
    assert answer.status_code == 200, answer.text
    return answer.json()["validation"]


@pytest.mark.parametrize(
    ("policy", "tools"),
    [
        ({}, ["calculator", "read_file", "kb__find"]),
        ({"allow": ["calculator", "kb"]}, ["calculator", "kb__find"]),
        ({"allowed_tools": ["calculator", "kb"], "denied_tools": ["kb__find"]}, ["calculator"]),
        ({"deny": ["read_file", "nothing"]}, ["calculator", "kb__find"]),
        ({"deny": ["kb"]}, ["calculator", "read_file"]),
        ({"allow": []}, []),
    ],
)
async def test_a_tool_policy_says_which_tools_the_agent_has(
    people: People, policy: dict[str, Any], tools: list[str]
) -> None:
    refs = ["calculator", "read_file", "kb__find"]
    await made(people, tool_refs=refs, tool_policy=policy)
    assert (await validated(people))["resolved_tools"] == tools
    published = await people.editor.post("/agent-projects/intake/publish")
    assert published.status_code == 200, published.text
    agent = published.json()["publish_result"]["catalog_agent"]
    assert agent["tools"] == tools


async def test_a_policy_holds_however_a_tool_is_called(people: People) -> None:
    body = {"name": "Kb", "tool_type": "http", "configuration": {"url": "https://example.com"}}
    tool = (await people.editor.post("/tools", json=body)).json()
    await made(people, tool_refs=[tool["id"]], tool_policy={"deny": [tool["name"]]})
    assert (await validated(people))["resolved_tools"] == []
    await people.editor.put("/agent-projects/intake", json={"tool_policy": {"deny": [tool["id"]]}})
    assert (await validated(people))["resolved_tools"] == []
    only = {"tool_refs": [tool["name"], "calculator"], "tool_policy": {"allow": [tool["id"]]}}
    await people.editor.put("/agent-projects/intake", json=only)
    assert (await validated(people))["resolved_tools"] == [tool["name"]]


async def test_of_a_tool_only_the_functions_that_are_allowed(people: People) -> None:
    await made(people, tool_refs=["kb"], tool_policy={"allow": ["kb__find"]})
    assert (await validated(people))["resolved_tools"] == ["kb__find"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"tool_policy": {"mode": "strict"}}, "tool_policy.mode"),
        ({"tool_policy": {"deny": ["a", 5]}}, "tool_policy.deny.1"),
        ({"tool_policy": {"allow": "calculator"}}, "tool_policy.allow"),
        ({"tool_refs": ["kb"], "tool_policy": {"deny": ["a", "kb__drop"]}}, "tool_policy.deny.1"),
        (
            {
                "workflow_definition": {"version": 2, "actions": [ASK, FUNCTION, TELL]},
                "tool_policy": {"deny": ["calculator"]},
            },
            "actions.1.exposed_tool_name",
        ),
    ],
)
async def test_a_policy_that_cannot_be_kept(
    people: People, fields: dict[str, Any], path: str
) -> None:
    await made(people, **fields)
    found = await validated(people)
    missing = {f"tool_refs.{index}" for index in range(len(fields.get("tool_refs", [])))}
    told = [error["path"] for error in found["errors"] if error["path"] not in missing]
    assert (found["valid"], told) == (False, [path])
    refused = await people.editor.post("/agent-projects/intake/publish")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_tool_policy")
    assert [error["path"] for error in refused.json()["details"]["errors"]] == [path]
    assert (await people.viewer.get("/agents")).json()["items"] == []
