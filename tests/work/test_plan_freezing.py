"""Freezing: what is named is found, and all that is missing is told at once."""

from typing import Any

import pytest

from muster.domains.work.plans import (
    CrewSpec,
    Freezer,
    NodeSpec,
    PlanNotReady,
    Shelf,
    TaskSpec,
    WorkflowSpec,
)
from muster.entrypoints.assembly import Muster
from muster.kernel.errors import NotFound
from tests.support.people import People
from tests.work.driving import make_agent
from tests.work.plan_setting import MODEL, crew, flow, task

pytestmark = pytest.mark.anyio


class Stored:
    """What a test stores."""

    def __init__(self, **definitions: TaskSpec | CrewSpec | WorkflowSpec) -> None:
        self._definitions = definitions

    def _find(self, reference: str) -> Any:
        if reference not in self._definitions:
            raise NotFound(f"There is no {reference}.")
        return f"id-{reference}", self._definitions[reference]

    async def task(self, _: str, reference: str) -> tuple[str, TaskSpec]:
        return self._find(reference)

    async def crew(self, _: str, reference: str, __: str | None) -> tuple[str, CrewSpec]:
        return self._find(reference)

    async def workflow(self, _: str, reference: str) -> tuple[str, WorkflowSpec]:
        return self._find(reference)


@pytest.fixture
async def people(working: Muster, connected: Any) -> People:
    return await connected(working)


@pytest.fixture
def freeze(working: Muster, people: People) -> Any:
    def make(model: str | None = None, **definitions: Any) -> Freezer:
        parts = working.running.parts
        shelf = Shelf(
            reading=parts.database.read,
            models=parts.models,
            tools=parts.tools,
            stored=Stored(**definitions),
        )
        return Freezer(shelf, people.project_id, model)

    return make


def issues(refused: pytest.ExceptionInfo[PlanNotReady]) -> dict[str, str]:
    return {i["field"]: i["message"] for i in refused.value.details["issues"]}


async def test_all_that_a_crew_lacks_is_told_at_once(freeze: Any) -> None:
    spec = CrewSpec.model_validate(
        {
            "name": "Desk",
            "agents": [
                {"key": "ghost"},
                {"key": "mute", "definition": {"name": "Mute"}},
                {"key": "handy", "definition": {"name": "Handy", "llm": MODEL, "tools": ["no"]}},
            ],
            "tasks": [
                {"key": "silent", "agent": "handy"},
                {"key": "idle", "description": "x"},
                {"key": "lost", "description": "x", "agent": "nobody"},
                {"key": "tooled", "description": "x", "agent": "handy", "tools": ["nothing"]},
                {"key": "haunted", "description": "x", "agent": "ghost"},
            ],
        }
    )
    with pytest.raises(PlanNotReady, match="Desk cannot run yet") as refused:
        await freeze().crew(spec)
    found = issues(refused)
    assert set(found) == {
        "agents.ghost",
        "agents.mute.llm",
        "agents.handy.tools.no",
        "tasks.silent",
        "tasks.idle.agent",
        "tasks.lost.agent",
        "tasks.tooled.tools.nothing",
    }
    assert "says nothing" in found["tasks.silent"]
    assert "has no agent" in found["tasks.idle.agent"]
    assert all(message in refused.value.detail for message in found.values())


async def test_an_empty_crew_and_an_empty_workflow(freeze: Any) -> None:
    with pytest.raises(PlanNotReady) as refused:
        await freeze().crew(CrewSpec(name="Nothing"))
    assert issues(refused) == {"tasks": "The crew has no task."}
    with pytest.raises(PlanNotReady) as refused:
        await freeze().workflow(WorkflowSpec())
    assert issues(refused) == {"nodes": "The workflow has no node."}


async def test_members_by_reference_in_place_by_name_and_role(freeze: Any, people: People) -> None:
    stored = await make_agent(people.editor, name="Ada", role="finder")
    given = {
        "agents": [
            {"key": "a", "reference": stored["id"]},
            {"key": "Ada"},
            {"key": "b", "definition": {"name": "Bob", "role": "the boss"}},
        ],
        "tasks": [
            {"key": "one", "description": "x", "agent": "a"},
            {"key": "two", "description": "x", "agent": "Bob"},
            {"key": "three", "description": "x", "agent": "the boss"},
            {"key": "four", "description": "x", "agent": "finder"},
            {"key": "five", "description": "x", "agent": stored["id"]},
        ],
        "model": MODEL,
        "max_rpm": 7,
    }
    frozen = await freeze().crew(CrewSpec.model_validate(given))
    agents = frozen["agents"]
    assert {name: agents[name]["agent_id"] for name in agents} == {
        "a": stored["id"],
        "Ada": stored["id"],
        "b": None,
        "Bob": None,
        "the boss": None,
        "finder": stored["id"],
        stored["id"]: stored["id"],
    }
    assert agents["Bob"]["agent"]["llm"] == MODEL
    assert agents["a"]["version"] == 1
    assert (frozen["max_rpm"], frozen["process"], frozen["manager"]) == (7, "sequential", None)


async def test_the_only_member_does_what_names_nobody(freeze: Any) -> None:
    given = {
        "agents": [{"key": "a", "definition": {"name": "A"}}],
        "tasks": [{"description": "x"}],
    }
    frozen = await freeze(MODEL).crew(CrewSpec.model_validate(given))
    assert frozen["plan"]["nodes"][0]["task"]["agent"] == "a"
    assert frozen["agents"]["a"]["model"] == MODEL


async def test_managers(freeze: Any, people: People) -> None:
    boss = await make_agent(people.editor, name="Boss")
    spec = crew(task("write"), process="hierarchical", manager_agent="Boss")
    assert (await freeze().crew(spec))["manager"]["agent_id"] == boss["id"]
    spec = crew(task("write"), process="hierarchical", manager_agent="editor")
    assert (await freeze().crew(spec))["manager"]["agent"]["role"] == "the editor"
    manager = (await freeze().crew(crew(task("write"), process="hierarchical")))["manager"]
    assert (manager["model"], manager["agent"]["name"]) == (MODEL, "Crew manager")
    spec = crew(task("write"), process="hierarchical", manager_agent="Nobody")
    with pytest.raises(PlanNotReady) as refused:
        await freeze().crew(spec)
    assert list(issues(refused)) == ["manager_agent"]
    unmanned = CrewSpec.model_validate({"tasks": [{"description": "x"}], "process": "hierarchical"})
    with pytest.raises(PlanNotReady) as refused:
        await freeze().crew(unmanned)
    assert list(issues(refused)) == ["manager_llm.llm"]
    assert (await freeze(MODEL).crew(unmanned))["agents"] == {}


async def test_a_task_by_itself(freeze: Any, people: People) -> None:
    await make_agent(people.editor, name="Ada")
    alone = TaskSpec(name="Find", description="x", agent="Ada", context=["other"])
    frozen = await freeze().task(alone)
    assert frozen["agent"] == {"name": "Find", "kind": "platform"}
    assert "context" not in frozen["plan"]["nodes"][0]["task"]


async def test_all_that_a_workflow_lacks_is_told_at_once(freeze: Any) -> None:
    spec = flow(
        {"name": "ask", "type": "agent", "agent": "nobody"},
        {"name": "mute", "type": "llm", "prompt": "x"},
        {"name": "tool", "type": "tool", "tool": "no_tool"},
        {"name": "none", "type": "tool"},
        {"name": "crew", "type": "crew", "crew": "no_crew"},
        {"name": "sub", "type": "subworkflow"},
        {"name": "named", "type": "task", "task": "no_task"},
        {"name": "idle", "type": "task", "task": {"description": "x"}},
        {"name": "void", "type": "task"},
    )
    with pytest.raises(PlanNotReady) as refused:
        await freeze().workflow(spec)
    assert set(issues(refused)) == {
        "nodes.ask.agent",
        "nodes.mute.llm",
        "nodes.tool.tool",
        "nodes.none.tool",
        "nodes.crew",
        "nodes.sub",
        "nodes.named",
        "nodes.void.task",
        "nodes.idle.agent",
    }


async def test_agents_of_nodes(freeze: Any, people: People) -> None:
    ada = await make_agent(people.editor, name="Ada", tools=["calculator"])
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    spec = flow(
        {
            "name": "ask",
            "type": "agent",
            "agent": ada["id"],
            "model": "builtin/extractive",
            "max_steps": 3,
            "output_schema": schema,
            "tools": ["read_file"],
        },
        {"name": "own", "type": "agent", "tools": ["calculator"], "model": MODEL},
        {"name": "plain", "type": "llm", "tools": ["calculator"], "agent": "Ada"},
        {"name": "job", "type": "task", "task": "stored", "agent": "Ada"},
        model=MODEL,
    )
    frozen = await freeze(stored=TaskSpec(description="x")).workflow(spec)
    agents = frozen["agents"]
    asked = agents["ask"]
    assert (asked["agent_id"], asked["model"]) == (ada["id"], "builtin/extractive")
    assert asked["agent"]["tools"] == ["calculator", "read_file"]
    assert (asked["agent"]["max_iter"], asked["agent"]["output_schema"]) == (3, schema)
    assert agents["own"]["agent"]["tools"] == ["calculator"]
    assert (agents["plain"]["agent"]["tools"], agents["plain"]["agent_id"]) == ([], None)
    job = next(node for node in frozen["plan"]["nodes"] if node["name"] == "job")
    assert (job["task"]["agent"], job["task"]["key"]) == ("Ada", "job")
    assert agents["Ada"]["agent_id"] == ada["id"]


async def test_tools_of_nodes_are_looked_at(freeze: Any, people: People) -> None:
    await make_agent(people.editor, name="Ada")
    spec = flow({"name": "ask", "type": "agent", "agent": "Ada", "tools": ["no_such_tool"]})
    with pytest.raises(PlanNotReady, match="no_such_tool"):
        await freeze().workflow(spec)


def nested(name: str) -> WorkflowSpec:
    node = {"name": "inner", "type": "subworkflow", "workflow": name}
    return WorkflowSpec(name=f"over {name}", nodes=[NodeSpec.model_validate(node)])


async def test_crews_and_workflows_within_each_other(freeze: Any) -> None:
    bottom = flow({"name": "say", "type": "output"}, {"name": "do", "type": "crew", "crew": "desk"})
    stored = {"desk": crew(task("write")), "w0": bottom}
    stored |= {f"w{level}": nested(f"w{level - 1}") for level in range(1, 6)}
    frozen = await freeze(**stored).workflow(stored["w3"])
    for level in (2, 1, 0):
        frozen = frozen["plans"]["inner"]
        assert (frozen["id"], frozen["kind"]) == (f"id-w{level}", "workflow")
    assert (frozen["plans"]["do"]["id"], frozen["plans"]["do"]["kind"]) == ("id-desk", "crew")
    with pytest.raises(PlanNotReady, match="5 levels deep"):
        await freeze(**stored).workflow(stored["w4"])


async def test_a_workflow_that_names_itself(freeze: Any) -> None:
    with pytest.raises(PlanNotReady, match="over myself contains itself"):
        await freeze(myself=nested("myself")).workflow(nested("myself"))


async def test_what_contains_more_and_more(freeze: Any) -> None:
    def many(name: str) -> WorkflowSpec:
        nodes = [{"name": f"n{i}", "type": "subworkflow", "workflow": name} for i in range(20)]
        return flow(*nodes)

    stored = {"a": many("b"), "b": many("c"), "c": flow({"name": "say", "type": "output"})}
    with pytest.raises(PlanNotReady, match="may contain 200"):
        await freeze(**stored).workflow(many("a"))
