"""What is wrong with a crew: each problem, its place and what was probably meant."""

from typing import Any

import pytest

from muster.domains.work.crews import Known, problems_of, read_definitions
from muster.domains.work.crews.cycles import cycles_in
from muster.domains.work.plans import CrewMember, CrewSpec, PlanProblem, TaskSpec

KNOWN = Known(
    agents=frozenset({"stored-agent", "Stored Agent", "broken", "asking"}),
    placeholders={"asking": ["who"]},
    tools=frozenset({"calculator", "web_search"}),
    models=frozenset({"builtin/extractive", "openai/gpt-4o"}),
    agent_faults={"broken": "The agent broken cannot run yet."},
    tool_faults={("agents.a", "web_search"): "The tool web_search is disabled."},
    model_faults={"gone": "The model 'gone' is disabled."},
)
AGENTS: dict[str, Any] = {"a": {"role": "Researcher", "llm": "builtin/extractive"}}
TASKS: dict[str, Any] = {"t": {"description": "Do it", "agent": "a"}}


def found(agents: Any = None, tasks: Any = None, **fields: Any) -> list[tuple[Any, ...]]:
    spec = read_definitions(
        AGENTS if agents is None else agents, TASKS if tasks is None else tasks, **fields
    )
    return shown(problems_of(spec, KNOWN))


def shown(problems: list[PlanProblem]) -> list[tuple[Any, ...]]:
    return [(p.path, p.severity, p.suggestion) for p in problems]


def tasks(**changes: Any) -> dict[str, Any]:
    return {"t": {**TASKS["t"], **changes}}


def agents(**changes: Any) -> dict[str, Any]:
    return {"a": {**AGENTS["a"], **changes}}


def test_a_crew_in_order_has_no_problems() -> None:
    assert found() == []
    assert found({"a": "stored-agent"}, process="sequential") == []
    assert found({}, tasks(agent="Stored Agent")) == []
    assert found(agents(llm=None), model="openai/gpt-4o") == []


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"tasks": {}}, [("tasks", "error", None)]),
        (
            {"agents": {}, "tasks": {"t": {"description": "d"}}},
            [("agents", "error", None), ("tasks.t.agent", "error", None)],
        ),
        ({"agents": agents(llm=None)}, [("agents.a.llm", "error", None)]),
        (
            {"agents": agents(llm="openai/gpt-40")},
            [("agents.a.llm", "error", "openai/gpt-4o")],
        ),
        ({"agents": agents(llm="gone")}, [("agents.a.llm", "error", None)]),
        ({"agents": agents(tools=["calculater"])}, [("agents.a.tools", "error", "calculator")]),
        ({"agents": agents(tools=["web_search"])}, [("agents.a.tools", "error", None)]),
        ({"agents": agents(goal="About {topic}")}, [("agents.a", "warning", None)]),
        ({"agents": agents(goal="{topic}", inputs={"topic": "x"})}, []),
        ({"agents": {**AGENTS, "b": "stored-agnet"}}, [("agents.b", "error", "stored-agent")]),
        ({"agents": {**AGENTS, "b": "broken"}}, [("agents.b", "error", None)]),
        ({"tasks": tasks(description=" ")}, [("tasks.t.description", "error", None)]),
        ({"tasks": tasks(agent="")}, [("tasks.t.agent", "error", None)]),
        ({"tasks": tasks(agent="resaercher")}, [("tasks.t.agent", "error", None)]),
        ({"tasks": tasks(tools=["web-search"])}, [("tasks.t.tools", "error", "web_search")]),
        ({"tasks": tasks(context=["tt"])}, [("tasks.t.context", "error", "t")]),
        ({"tasks": tasks(context=["t"])}, [("tasks.t.context", "error", None)]),
        ({"tasks": tasks(guardrail="len(output")}, [("tasks.t.guardrail", "error", None)]),
        ({"tasks": tasks(condition="(" * 400)}, [("tasks.t.condition", "error", None)]),
        ({"tasks": tasks(condition="-" * 4_900 + "1")}, [("tasks.t.condition", "error", None)]),
        ({"tasks": tasks(guardrail="'x' in output")}, []),
        (
            {"tasks": tasks(llm_guardrail={"description": "d", "llm_model": "nope"})},
            [("tasks.t.llm_guardrail", "error", None)],
        ),
        (
            {"tasks": tasks(description="{topic}"), "inputs": {"topics": 1}},
            [("tasks.t", "warning", "topics")],
        ),
        ({"tasks": tasks(description="{topic}"), "inputs": {"topic": None}}, []),
        ({"tasks": tasks(description='{"a": 1} {{ x }}')}, []),
        ({"model": "openai/gpt4o"}, [("model", "warning", "openai/gpt-4o")]),
        (
            {"model": "openai/gpt4o", "agents": agents(llm=None)},
            [("model", "error", "openai/gpt-4o")],
        ),
        (
            {"model": "nope", "process": "hierarchical"},
            [("model", "error", None), ("manager_llm", "warning", None)],
        ),
        ({"agents": {"a": "Stored Agent"}}, []),
        ({"agents": {"a": "asking"}}, [("agents.a", "warning", None)]),
        ({"agents": {"a": "asking"}, "inputs": {"who": "x"}}, []),
        ({"process": "hierarchical"}, [("manager_llm", "warning", None)]),
        (
            {"process": "hierarchical", "manager_llm": "nope"},
            [("manager_llm", "error", None)],
        ),
        (
            {"process": "hierarchical", "manager_agent": "stored agent"},
            [("manager_agent", "error", "Stored Agent")],
        ),
        ({"process": "hierarchical", "manager_agent": "a", "tasks": tasks(agent=None)}, []),
    ],
)
def test_each_problem(given: dict[str, Any], wanted: list[tuple[Any, ...]]) -> None:
    assert found(**given) == wanted


def test_context_in_the_order_of_the_tasks() -> None:
    later = {"t": {**TASKS["t"], "context": "u"}, "u": TASKS["t"]}
    assert found(tasks=later) == [("tasks.t.context", "error", None)]
    assert found(tasks=later, process="hierarchical", manager_agent="a") == []
    knot = {**later, "u": {**TASKS["t"], "context": "t"}}
    spec = read_definitions(AGENTS, knot, process="hierarchical", manager_agent="a")
    (cycle,) = problems_of(spec, KNOWN)
    assert "t → u → t" in cycle.message


def test_what_is_there_twice() -> None:
    spec = CrewSpec(
        agents=[CrewMember(key="a", reference="stored-agent")] * 2,
        tasks=[TaskSpec(key="t", name="Same", description="d", agent="a")] * 2,
    )
    assert shown(problems_of(spec, KNOWN)) == [
        ("agents.a", "error", None),
        ("tasks.t", "error", None),
        ("tasks.t.name", "warning", None),
    ]


def test_a_stored_task_that_is_gone() -> None:
    spec = CrewSpec(
        process="hierarchical",
        manager_agent="stored-agent",
        agents=[CrewMember(key="a", reference="stored-agent")],
        tasks=[TaskSpec(key="0190")],
    )
    (problem,) = problems_of(spec, KNOWN)
    assert "There is no task '0190'" in problem.message


def test_names_of_the_crew_are_suggested_too() -> None:
    team = {"a": {**AGENTS["a"], "name": "Senior Researcher"}}
    (problem,) = problems_of(read_definitions(team, tasks(agent="Senior Reseacher")), KNOWN)
    assert problem.suggestion == "Senior Researcher"


@pytest.mark.parametrize(
    ("needs", "cycles"),
    [
        ({"a": ["b"], "b": ["c"], "c": []}, []),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, []),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, [["b", "c"]]),
        ({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]}, [["a", "b"], ["c", "d"]]),
        ({"a": ["c"], "b": ["a"], "c": ["b"]}, [["a", "c", "b"]]),
    ],
)
def test_cycles(needs: dict[str, list[str]], cycles: list[list[str]]) -> None:
    assert cycles_in(needs) == cycles


def test_a_long_chain_of_tasks_is_no_trouble() -> None:
    needs = {str(n): [str(n + 1)] for n in range(5_000)}
    assert cycles_in(needs) == []


def test_warnings_do_not_hide_errors() -> None:
    many = " ".join(f"{{name_{n}}}" for n in range(50))
    team = {f"a{n}": {"role": many, "llm": "builtin/extractive"} for n in range(20)}
    work = {f"t{n}": {"description": many, "agent": "nobody at all"} for n in range(300)}
    problems = problems_of(read_definitions(team, work), KNOWN)
    severities = [problem.severity for problem in problems]
    assert (severities.count("warning"), severities.count("error")) == (200, 200)
