"""Generation: what a model writes is checked, asked for again, and answered as it can be used."""

import json
from typing import Any

import pytest

from muster.domains.work.plans import CrewMember, CrewSpec, TaskSpec, WorkflowSpec
from muster.entrypoints.assembly import Muster
from tests.platform.recorded import recorded
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People

pytestmark = pytest.mark.anyio

BUILTIN = "builtin/extractive"
AGENT = {
    "name": "Customer Service Agent",
    "role": "Customer Support Specialist",
    "goal": "Resolve inquiries",
    "backstory": "You have answered customers for years.",
    "tools": ["Calculator", "email_tool", "calculator"],
}
TASK = {
    "name": "Analyse feedback",
    "description": "Read the feedback and group it.",
    "expected_output": "A table of groups.",
    "tools": ["read_file"],
}
CREW: dict[str, Any] = {
    "name": "Content Marketing",
    "description": "Writes articles",
    "process": "sequential",
    "agents": [
        {**AGENT, "key": "Lead Researcher", "name": "Researcher", "tools": []},
        {**AGENT, "key": "writer", "name": "Writer", "tools": ["write_file"]},
    ],
    "tasks": [
        {**TASK, "key": "research", "agent": "lead researcher", "context": ["later"]},
        {**TASK, "key": "write", "agent": "Writer", "context": ["research"]},
    ],
}
WORKFLOW: dict[str, Any] = {
    "name": "Invoices",
    "inputs": ["invoice"],
    "result": "answer",
    "nodes": [
        {"name": "begin", "type": "start", "next": "total"},
        {
            "name": "total",
            "type": "tool",
            "tool": "Calculator",
            "arguments": {"expression": "{{ invoice }}"},
            "next": "large",
        },
        {
            "name": "large",
            "type": "if",
            "condition": "number(nodes.total) > limit",
            "then": "ask",
            "otherwise": "answer",
        },
        {
            "name": "ask",
            "type": "approval",
            "title": "Large",
            "message": "Pay {{ invoice }}?",
            "next": "answer",
        },
        {
            "name": "answer",
            "type": "llm",
            "prompt": "Write about {{ nodes.total }}",
            "tools": ["nothing"],
            "output": "answer",
            "next": "finish",
        },
        {"name": "finish", "type": "end"},
    ],
}


def says(server: ScriptedServer, *answers: Any) -> None:
    replies = [
        answer
        if isinstance(answer, Reply)
        else Reply(text=answer if isinstance(answer, str) else json.dumps(answer))
        for answer in answers
    ]
    server.script = Script(select="call", replies=replies)


async def generate(
    people: People, what: str, expected: int = 200, /, **body: Any
) -> dict[str, Any]:
    if "prompt" not in body and "text" not in body:
        body = {"description": "Create something useful", **body}
    answer = await people.operator.post(f"/{what}-generation/generate", json=body)
    assert answer.status_code == expected, answer.text
    return answer.json()


async def test_an_agent_that_a_model_wrote(people: People, scripted: ScriptedServer) -> None:
    says(scripted, AGENT)
    body = await generate(
        people, "agent", description="A customer service agent", model="scripted-large"
    )
    agent = body["agent"]
    assert agent == {**AGENT, "tools": ["calculator"], "llm": "openai/scripted-large"}
    assert {name: body[name] for name in agent} == agent
    assert (body["generator"], body["model"]) == ("model", "openai/scripted-large")
    assert body["advanced_config"]["llm"] == "openai/scripted-large"
    assert body["warnings"] == [
        "The tool 'email_tool' is not at hand in this project and was left out."
    ]
    assert body["usage"] == {"input_tokens": 20, "output_tokens": 10}
    asked = scripted.last.body
    assert asked["messages"][1]["content"] == "A customer service agent"
    assert "- calculator: " in asked["messages"][0]["content"]
    made = await people.editor.post("/agents", json=agent)
    assert made.status_code == 201
    assert made.json()["configuration_status"]["is_ready"]


async def test_without_a_model_the_first_at_hand_is_asked(
    people: People, scripted: ScriptedServer
) -> None:
    says(scripted, AGENT)
    assert (await generate(people, "agent"))["model"] == "openai/scripted-large"
    own = {"name": "own", "provider": "openai", "model": "scripted-small"}
    disabled = {**own, "name": "a-disabled", "enabled": False}
    embedding = {**own, "name": "an-embedding"}
    for model in (own, disabled, embedding):
        body = {**model, "base_url": None, "api_key_name": None}
        created = await people.editor.post(
            "/models", json={k: v for k, v in body.items() if v is not None}
        )
        assert created.status_code == 201, created.text
    body = await generate(people, "agent", prompt="An agent")
    assert (body["model"], body["agent"]["llm"]) == ("own", "own")
    assert scripted.last.body["model"] == "scripted-small"


async def test_only_the_given_tools_are_offered(people: People, scripted: ScriptedServer) -> None:
    says(scripted, {**AGENT, "tools": ["calculator", "read_file"]})
    body = await generate(
        people, "agent", tools=["READ_FILE", {"title": "Unheard of", "more": 1}, {"id": "x"}]
    )
    assert body["tools"] == ["read_file"]
    assert [text.split("'")[1] for text in body["warnings"]] == ["Unheard of", "x", "calculator"]
    told = scripted.last.body["messages"][0]["content"]
    assert "read_file" in told
    assert "calculator" not in told


async def test_a_model_that_is_named_is_checked(people: People, scripted: ScriptedServer) -> None:
    says(scripted, {**AGENT, "llm": "no/such"}, {**AGENT, "llm": BUILTIN})
    body = await generate(people, "agent", model="openai/scripted-large")
    assert body["llm"] == "openai/scripted-large"
    assert "'no/such'" in body["warnings"][-1]
    assert (await generate(people, "agent", model="openai/scripted-large"))["llm"] == BUILTIN


async def test_what_cannot_be_used_is_asked_for_again(
    people: People, scripted: ScriptedServer
) -> None:
    says(scripted, "I would rather talk.", {**AGENT, "name": ""}, {**AGENT, "tools": []})
    body = await generate(people, "agent")
    assert body["agent"]["name"] == AGENT["name"]
    assert body["warnings"] == []
    assert body["usage"] == {"input_tokens": 60, "output_tokens": 30}
    turns = scripted.last.body["messages"]
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[-1]["content"].startswith("This cannot be used. ")


@pytest.mark.parametrize(
    "answer",
    [
        "rubbish",
        "[1]",
        '{"name": "\\ud800", "role": "r", "goal": "g", "backstory": "b"}',
        json.dumps({**AGENT, "goal": "g" * 30_000}),
        json.dumps({**AGENT, "tools": ["t"] * 500}),
    ],
)
async def test_after_three_useless_answers_it_is_given_up(
    people: People, scripted: ScriptedServer, answer: str
) -> None:
    says(scripted, answer)
    before = len(scripted.calls)
    body = await generate(people, "agent", 502)
    assert body["error"] == "generation_failed"
    assert body["details"]["model"] == "openai/scripted-large"
    assert "choose another model" in body["message"]
    assert len(scripted.calls) - before == 3


async def test_failures_of_models_are_told_as_of_other_calls(
    people: People, scripted: ScriptedServer
) -> None:
    unknown = await generate(people, "agent", 409, model="no-such-model/x")
    assert unknown["error"] == "model_unknown"
    says(scripted, Reply(status=401, message="bad key"))
    failed = await generate(people, "agent", 502, model="openai/scripted-large")
    assert failed["error"] == "model_failed"


async def test_a_task_that_a_model_wrote(people: People, scripted: ScriptedServer) -> None:
    says(scripted, TASK)
    body = await generate(people, "task", prompt="Analyse feedback", agent="analyst", markdown=True)
    task = body["task"]
    assert task == {**TASK, "agent": "analyst", "markdown": True}
    assert {name: body[name] for name in task} == task
    assert TaskSpec.model_validate(task).expected_output == TASK["expected_output"]
    asked = scripted.last.body["messages"][1]["content"]
    assert "for this agent:\nanalyst" in asked
    assert "Markdown" in asked
    answer = await people.operator.post(
        "/task-generation/generate-task",
        json={
            "text": "Analyse feedback",
            "agent": {"name": "Analyst", "role": "reads", "id": "7", "llm": "x"},
            "available_tools": [{"name": "calculator"}],
        },
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["agent"] == "7"
    assert answer.json()["tools"] == []
    assert "role: reads" in scripted.last.body["messages"][1]["content"]


async def test_a_crew_that_a_model_wrote(people: People, scripted: ScriptedServer) -> None:
    says(scripted, CREW)
    body = await generate(people, "crew")
    assert [agent["key"] for agent in body["agents"]] == ["lead_researcher", "writer"]
    assert [(task["key"], task["agent"], task["context"]) for task in body["tasks"]] == [
        ("research", "lead_researcher", []),
        ("write", "writer", ["research"]),
    ]
    assert list(body["tasks_yaml"]) == ["research", "write"]
    assert body["tasks_yaml"]["write"]["agent"] == "writer"
    assert body["agents_yaml"]["writer"]["tools"] == ["write_file"]
    assert "key" not in body["agents_yaml"]["writer"]
    assert body["agents_yaml"]["writer"]["llm"] == "openai/scripted-large"
    assert "'later'" in body["warnings"][0]
    readable(body)


async def test_a_crew_is_stored_when_asked_for(
    people: People, scripted: ScriptedServer, muster: Muster
) -> None:
    assert (await generate(people, "crew", model=BUILTIN))["crew_id"] is None
    assert (await people.viewer.get("/crews")).json()["total"] == 0
    says(scripted, CREW)
    body = {"description": "A crew", "save": True}
    calls = len(scripted.calls)
    refused = await people.operator.post("/crew-generation/generate", json=body)
    assert (refused.status_code, refused.json()["error"]) == (403, "saving_refused")
    assert len(scripted.calls) == calls
    names: list[str] = []
    for _ in range(3):
        answer = await people.editor.post("/crew-generation/generate", json=body)
        assert answer.status_code == 200, answer.text
        made = answer.json()
        stored = (await people.viewer.get(f"/crews/{made['crew_id']}")).json()
        assert stored["name"] == made["name"]
        assert (stored["agents_yaml"], stored["tasks_yaml"]) == (
            made["agents_yaml"],
            made["tasks_yaml"],
        )
        assert stored["configuration_status"]["is_ready"] is True, stored["configuration_status"]
        names.append(made["name"])
    assert names == ["Content Marketing", "Content Marketing 2", "Content Marketing 3"]
    facts = await recorded(muster, "crew.created", chain=people.project_id)
    assert len(facts) == 3
    assert (await people.outsider.get("/crews")).json()["total"] == 0


def readable(body: dict[str, Any]) -> None:
    """Read a crew as it is executed."""
    members = [
        CrewMember.model_validate({"key": key, "definition": definition})
        for key, definition in body["agents_yaml"].items()
    ]
    tasks = [TaskSpec.model_validate({"key": k, **t}) for k, t in body["tasks_yaml"].items()]
    crew = CrewSpec(name=body["name"], agents=members, tasks=tasks)
    keys = {member.key for member in crew.agents}
    assert crew.tasks
    assert all(task.agent in keys for task in crew.tasks)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tasks": []}, "tasks"),
        ({"agents": []}, "agents"),
        ({"tasks": [{**TASK, "key": "a", "agent": "nobody"}]}, "nobody"),
        ({"agents": [CREW["agents"][1]] * 2}, "key of its own"),
        ({"tasks": [CREW["tasks"][1]] * 2}, "key of its own"),
    ],
)
async def test_a_crew_that_does_not_hold_together(
    people: People, scripted: ScriptedServer, change: dict[str, Any], told: str
) -> None:
    says(scripted, {**CREW, **change}, CREW)
    assert len((await generate(people, "crew"))["tasks"]) == 2
    assert told in scripted.last.body["messages"][-1]["content"]
    says(scripted, {**CREW, **change})
    assert told in (await generate(people, "crew", 502))["details"]["reason"]


async def test_a_workflow_that_a_model_wrote(people: People, scripted: ScriptedServer) -> None:
    says(scripted, WORKFLOW)
    body = await generate(people, "workflow", model="openai/scripted-large")
    spec = WorkflowSpec.model_validate(body["workflow"])
    assert (spec.name, spec.mode, spec.model) == ("Invoices", "flow", "openai/scripted-large")
    assert [node.name for node in spec.nodes] == [n["name"] for n in WORKFLOW["nodes"]]
    assert spec.nodes[1].tool == "calculator"
    assert spec.nodes[4].tools == []
    assert spec.inputs == {"invoice": "", "limit": ""}
    assert spec.result == "answer"
    assert [text.split()[0] for text in body["warnings"]] == ["The", "limit"]


def changed(number: int, **fields: Any) -> dict[str, Any]:
    nodes: Any = WORKFLOW["nodes"]
    return {
        **WORKFLOW,
        "nodes": [n | fields if i == number else n for i, n in enumerate(nodes)],
    }


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (changed(0, next="nowhere"), "'nowhere'"),
        (changed(0, next="answer"), "nothing leads to"),
        (changed(0, next=None), "needs next"),
        (changed(1, name="begin"), "name of its own"),
        (changed(1, tool="unheard_of"), "unheard_of"),
        (changed(2, condition=None), "needs condition"),
        (changed(2, condition="1 +"), "cannot be read"),
        (changed(2, condition="nodes.lost == 1"), "nodes.lost"),
        (changed(4, prompt="{{ ( }}"), "cannot be read"),
        (changed(1, arguments={"a": [{"b": "{{ ) }}"}]}), "cannot be read"),
        (changed(5, type="start"), "exactly one node of type start"),
        (changed(5, type="transform", assign={"x": "1"}, next="begin"), "type end"),
        (changed(1, type="rocket"), "rocket"),
    ],
)
async def test_a_workflow_that_does_not_hold_together(
    people: People, scripted: ScriptedServer, answer: dict[str, Any], told: str
) -> None:
    says(scripted, answer)
    body = await generate(people, "workflow", 502)
    assert told in body["details"]["reason"]


async def test_nothing_of_a_model_breaks_the_answer(
    people: People, scripted: ScriptedServer
) -> None:
    deep: Any = "x"
    for _ in range(90):
        deep = [deep]
    says(scripted, changed(1, arguments={"a": deep}))
    assert "nested" in (await generate(people, "workflow", 502))["details"]["reason"]
    says(scripted, json.dumps({**AGENT, "goal": "a\0b"}))
    assert (await generate(people, "agent"))["goal"] == "ab"


@pytest.mark.parametrize(
    "description",
    [
        "Create a customer service agent that can handle inquiries and escalate complex issues",
        "1. Read the tariff files\n2. Calculate the yearly cost\n3. Get approval by the boss",
        "x",
        "{{ 1/ }} {topic} {{{{",
        "w" * 20_000,
        ", a" * 6_000,
        "\u00dcbersetze Vertr\u00e4ge. Pr\u00fcfe sie.",
        "_",
    ],
)
async def test_without_a_language_model_rules_write(people: People, description: str) -> None:
    given = {"description": description, "model": BUILTIN}
    agent = await generate(people, "agent", **given)
    assert (agent["generator"], agent["model"], agent["cost"]) == ("builtin", BUILTIN, 0)
    made = await people.editor.post("/agents", json=agent["agent"])
    assert made.json()["configuration_status"]["is_ready"], made.text
    task = await generate(people, "task", **given)
    assert TaskSpec.model_validate(task["task"]).description
    readable(await generate(people, "crew", **given))
    workflow = await generate(people, "workflow", **given)
    spec = WorkflowSpec.model_validate(workflow["workflow"])
    assert (spec.nodes[0].type, spec.nodes[-1].type) == ("start", "end")


async def test_rules_take_the_words_of_the_description(people: People) -> None:
    given = {
        "description": "Create a crew for tariffs including reading files: 1\n"
        "- Read the tariff files\n- Calculate the yearly cost\n- Get approval\n- Write a letter",
        "model": BUILTIN,
    }
    crew = await generate(people, "crew", **given)
    assert crew["name"] == "Tariffs Crew"
    assert [task["name"] for task in crew["tasks"]] == [
        "Read the tariff files",
        "Calculate the yearly cost",
        "Get approval",
        "Write a letter",
    ]
    assert [task["tools"] for task in crew["tasks"][:2]] == [["read_file"], ["calculator"]]
    assert crew["tasks"][1]["context"] == [crew["tasks"][0]["key"]]
    workflow = (await generate(people, "workflow", **given))["workflow"]
    types = [node["type"] for node in workflow["nodes"]]
    assert types == ["start", "llm", "llm", "approval", "llm", "end"]
    service = "Create a customer service agent that can handle inquiries"
    agent = await generate(people, "agent", description=service, model=BUILTIN)
    assert agent["name"] == "Customer Service Agent"
    assert agent["goal"] == "Handle inquiries."


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"description": ""},
        {"description": "..."},
        {"description": "d" * 20_001},
        {"description": 7},
        {"description": "d", "model": ""},
        {"description": "d", "tools": "calculator"},
        {"description": "d", "tools": [1]},
        {"description": "d", "save": True},
    ],
)
async def test_what_describes_nothing_is_refused(people: People, body: dict[str, Any]) -> None:
    answer = await people.operator.post("/agent-generation/generate", json=body)
    assert answer.status_code == 422, answer.text
