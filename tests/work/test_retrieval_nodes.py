"""Nodes that look into the files of the project and of the run, in every notation."""

from pathlib import Path
from typing import Any

import pytest

from muster.domains.work.workflows.notations import read_workflow, write_workflow
from muster.entrypoints.assembly import Muster
from tests.support.model_server import ScriptedServer
from tests.support.people import People
from tests.work.driving import spans, until
from tests.work.plan_setting import between

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
FILES = [
    {"path": "policies/leave.md", "content": "Employees have 30 days of leave.\n"},
    {"path": "policies/travel.md", "content": "Trains come before planes.\n\nBook early.\n"},
    {"path": "leave.txt", "content": "Leave the door open.\n"},
]
DOCUMENT: Json = {
    "name": "Find",
    "nodes": [
        {"name": "start", "type": "start", "next": "find"},
        {
            "name": "find",
            "type": "rag_query",
            "query": "{{ question }}",
            "top_k": 2,
            "output": "found",
            "next": "end",
        },
        {"name": "end", "type": "end", "output": "found"},
    ],
}


def finding(**fields: Any) -> Json:
    """Return a workflow that only looks for something."""
    node = {"name": "find", "type": "retrieval", "query": "days of leave", **fields}
    return {"name": "Find", "mode": "flow", "nodes": between(node)}


async def ran(people: People, workflow: Json, **body: Any) -> Json:
    given = {"workflow": workflow, "files": FILES, **body}
    answer = await people.operator.post("/executions", json=given)
    assert answer.status_code == 201, answer.text
    return await until(people.viewer, answer.json()["execution_id"])


async def test_passages_are_found_in_one_step(people: People) -> None:
    run = await ran(people, finding())
    first, second = run["result"]
    assert first["path"] == "workspace/policies/leave.md"
    assert (first["title"], first["line"]) == ("leave.md", 1)
    assert first["text"] == "Employees have 30 days of leave."
    assert first["score"] > second["score"] > 0
    steps = [s for s in await spans(people.viewer, run["id"]) if s["key"] not in {"start", "end"}]
    (step,) = [s for s in steps if s["name"] == "search_files"]
    assert step["input"] == {"query": "days of leave", "limit": 5}
    assert step["decision"]["action"] == "allow"
    assert [r["path"] for r in step["output"]["results"]] == [r["path"] for r in run["result"]]
    status = (await people.viewer.get(f"/executions/{run['id']}/status")).json()
    assert status["progress"]["completed_tasks"] == status["progress"]["total_tasks"] == 3


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"top_k": 1}, ["workspace/policies/leave.md"]),
        ({"glob": "*.txt"}, ["workspace/leave.txt"]),
        ({"glob": "policies/*", "query": "{{ what }} planes"}, ["workspace/policies/travel.md"]),
        ({"query": "elephants"}, []),
        ({"query": "trains " * 500, "top_k": 1}, ["workspace/policies/travel.md"]),
    ],
)
async def test_what_is_looked_for(people: People, fields: Json, paths: list[str]) -> None:
    run = await ran(people, finding(**fields), inputs={"what": "trains and"})
    assert [found["path"] for found in run["result"]] == paths


async def test_documents_of_the_project_are_searched_too(people: People, working: Muster) -> None:
    folder: Path = working.settings.data_dir / "documents" / people.project_id
    folder.mkdir(parents=True)
    (folder / "handbook.md").write_text("Visitors sign the book at the gate.")
    run = await ran(people, finding(query="visitors at the gate"))
    assert [found["path"] for found in run["result"]] == ["documents/handbook.md"]


async def test_only_the_text_is_wanted(people: People, scripted: ScriptedServer) -> None:
    find = {"name": "find", "type": "retrieval", "query": "days leave", "store": "content"}
    tell = {"name": "tell", "type": "output", "prompt": "Read: {{ nodes.find }}"}
    nodes = between({**find, "top_k": 1, "next": "tell"}, tell)
    run = await ran(people, {"name": "Find", "nodes": nodes, "mode": "flow"})
    assert run["result"] == "Read: Employees have 30 days of leave."


async def test_nothing_to_look_for_is_a_failure_that_can_be_caught(people: People) -> None:
    run = await ran(people, finding(query="{{ what }}"), inputs={"what": " "})
    assert run["status"] == "failed"
    run = await ran(people, finding(query="{{ what }}", fallback=[]), inputs={"what": ""})
    assert (run["status"], run["result"]) == ("completed", [])


async def test_a_search_that_is_disabled_is_told_before(people: People) -> None:
    await people.owner.patch("/tools/search_files", json={"enabled": False})
    answer = await people.operator.post("/executions", json={"workflow": finding()})
    assert answer.status_code == 409
    assert "search_files" in answer.json()["detail"]


@pytest.mark.parametrize(
    "workflow",
    [
        DOCUMENT,
        {
            "name": "Find",
            "steps": [
                {
                    "name": "find",
                    "step_type": "rag_query",
                    "config": {"query": "{{ question }}", "top_k": 2},
                }
            ],
        },
        {
            "name": "Find",
            "mode": "graph",
            "nodes": [{"name": "find", "type": "retrieval", "query": "{{ question }}", "top_k": 2}],
        },
    ],
)
async def test_each_notation(people: People, workflow: Json) -> None:
    run = await ran(people, workflow, inputs={"question": "days of leave"})
    assert run["status"] == "completed", run["error"]
    found = run["result"]["find"] if isinstance(run["result"], dict) else run["result"]
    assert [one["title"] for one in found] == ["leave.md", "leave.txt"]


def test_it_is_written_as_it_was_read() -> None:
    spec = read_workflow(DOCUMENT).spec
    for notation in ("document", "native", "steps"):
        again = read_workflow(write_workflow(spec, notation)).spec
        node = next(node for node in again.nodes if node.name == "find")
        assert (node.type, node.query, node.top_k) == ("retrieval", "{{ question }}", 2)


@pytest.mark.parametrize(
    ("place", "fields"),
    [
        ("nodes.1.collection", {"collection": "laws"}),
        ("nodes.1.min_similarity", {"min_similarity": 0.5}),
        ("nodes.1.top_k", {"top_k": 0}),
        ("nodes.1.store", {"store": "x"}),
    ],
)
async def test_what_a_search_in_files_has_not_is_refused(
    people: People, place: str, fields: Json
) -> None:
    start, find, end = DOCUMENT["nodes"]
    workflow = {**DOCUMENT, "nodes": [start, {**find, **fields}, end]}
    answer = await people.editor.post("/workflows/validate", json={"workflow": workflow})
    if answer.status_code == 422:
        assert [error["field"] for error in answer.json()["errors"]] == [place]
    else:
        assert place in [problem["path"] for problem in answer.json()["problems"]]
    refused = await people.operator.post("/executions", json={"workflow": workflow})
    assert refused.status_code in {409, 422}


async def test_a_collection_of_the_whole_document_is_refused_too(people: People) -> None:
    workflow = {**DOCUMENT, "rag_collection": "laws"}
    answer = await people.editor.post("/workflows/validate", json={"workflow": workflow})
    errors = [p["path"] for p in answer.json()["problems"] if p["severity"] == "error"]
    assert errors == ["rag_collection"]


async def test_it_is_drawn(people: People) -> None:
    answer = await people.viewer.post("/workflows/render-svg", json={"workflow": finding()})
    assert answer.status_code == 200
    assert "retrieval" in answer.text
    assert "#0f766e" in answer.text
