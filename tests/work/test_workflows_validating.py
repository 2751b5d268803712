"""What is found wrong with a workflow, and what is not."""

from typing import Any

import pytest

from muster.domains.work.plans import PlanProblem
from muster.domains.work.workflows import (
    Known,
    WorkflowInvalid,
    problems_of,
    read_workflow,
)
from tests.work.workflow_texts import ACTIONS


def found(*nodes: dict[str, Any], known: Known | None = None, **fields: Any) -> list[PlanProblem]:
    read = read_workflow({"mode": "flow", "nodes": list(nodes), **fields})
    return problems_of(read.spec, known, read=read)


def start(following: str) -> dict[str, Any]:
    return {"name": "start", "type": "start", "next": following}


END = {"name": "end", "type": "end"}


def flow(*nodes: dict[str, Any], **fields: Any) -> list[tuple[str, str]]:
    """Return path and severity of what is wrong with nodes between a start and an end."""
    listed = found(start(nodes[0]["name"]), *nodes, END, **fields)
    return [(p.path, p.severity) for p in listed]


def test_a_good_flow_has_no_problems() -> None:
    node = {"name": "a", "type": "llm", "prompt": "{{ x }}", "next": "end"}
    assert flow(node, inputs={"x": 1}) == []


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"type": "llm"}, [("nodes.1.prompt", "error")]),
        ({"type": "agent"}, [("nodes.1.agent", "error")]),
        ({"type": "agent", "prompt": "x"}, []),
        ({"type": "tool"}, [("nodes.1.tool", "error")]),
        ({"type": "task"}, [("nodes.1.task", "error")]),
        ({"type": "crew"}, [("nodes.1.crew", "error")]),
        ({"type": "subworkflow"}, [("nodes.1.workflow", "error")]),
        ({"type": "delay"}, [("nodes.1.delay_s", "error")]),
        ({"type": "delay", "until": "2030-01-01"}, []),
        ({"type": "transform"}, [("nodes.1.assign", "error")]),
        ({"type": "map"}, [("nodes.1.items", "error"), ("nodes.1.body", "error")]),
        ({"type": "loop"}, [("nodes.1.body", "error"), ("nodes.1.condition", "error")]),
        ({"type": "loop", "body": "a", "max_iterations": 3}, []),
        ({"type": "input"}, [("nodes.1.variables", "warning")]),
        ({"type": "approval"}, []),
        (
            {"type": "switch", "expression": "1"},
            [("nodes.1.cases", "error"), ("nodes.1.default", "warning")],
        ),
        ({"type": "parallel"}, [("nodes.1.branches", "error")]),
        ({"type": "retrieval", "query": "x"}, []),
        ({"type": "retrieval"}, [("nodes.1.query", "error")]),
        (
            {"type": "retrieval", "query": "x", "inputs": {"collection": "c"}},
            [("nodes.1.collection", "error")],
        ),
        ({"type": "lllm"}, [("nodes.1.type", "error")]),
        ({}, [("nodes.1.type", "error")]),
    ],
)
def test_what_each_type_needs(node: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    read_node = {"name": "a", "next": "end", **node}
    assert flow(read_node) == expected


def test_an_if_without_its_branches() -> None:
    node = {"name": "a", "type": "if", "condition": "true"}
    listed = flow(node)
    assert ("nodes.1.then", "error") in listed
    assert ("nodes.1.otherwise", "warning") in listed
    assert flow({**node, "then": "end", "otherwise": "end"}) == []


def test_suggestions() -> None:
    problems = found(start("answr"), {"name": "answer", "type": "llmm", "next": "end"}, END)
    by_path = {p.path: p.suggestion for p in problems}
    assert by_path["nodes.0.next"] == "answer"
    assert by_path["nodes.1.type"] == "llm"


def test_the_shape_of_a_flow() -> None:
    paths = [p.message for p in found({"name": "a", "type": "transform", "assign": {"x": "1"}})]
    assert any("no node of type start" in text for text in paths)
    assert any("no node of type end" in text for text in paths)
    twice = found(start("end"), {**start("end"), "name": "s2"}, END)
    assert any("Only one node" in p.message for p in twice)
    unreachable = found(start("end"), {"name": "x", "type": "delay", "delay_s": 1}, END)
    assert [(p.path, p.severity) for p in unreachable] == [("nodes.1", "warning")]
    same = found(start("end"), END, END)
    assert [p.path for p in same] == ["nodes.2.name"]
    assert [p.message for p in found()] == ["The workflow has no nodes; add one."]


def test_circles_of_dependencies() -> None:
    nodes = [
        {"name": "a", "type": "delay", "delay_s": 1, "depends_on": ["c"]},
        {"name": "b", "type": "delay", "delay_s": 1, "depends_on": ["a"]},
        {"name": "c", "type": "delay", "delay_s": 1, "depends_on": ["b"]},
        {"name": "d", "type": "delay", "delay_s": 1, "depends_on": ["d", "nowhere"]},
    ]
    problems = found(*nodes, mode="graph")
    texts = [p.message for p in problems]
    assert sum("depend on one another" in text for text in texts) == 2
    assert any("no node 'nowhere'" in text for text in texts)


def test_branches_of_a_parallel() -> None:
    def problems(branches: list[str], **others: dict[str, Any]) -> list[str]:
        work = {
            name: {"name": name, "type": "llm", "prompt": "x", "next": "join", "output": name}
            for name in "abc"
        }
        nodes = [{**node, **others.get(name, {})} for name, node in work.items()]
        parallel = {"name": "p", "type": "parallel", "branches": branches, "next": "join"}
        join = {"name": "join", "type": "delay", "delay_s": 1, "next": "end"}
        listed = found(start("p"), parallel, *nodes, join, END)
        return [p.message for p in listed if p.severity == "error"]

    assert problems(["a", "b", "c"]) == []
    assert "is there twice" in problems(["a", "a", "b", "c"])[0]
    assert "share 'c'" in problems(["a", "b"], a={"next": "c"}, b={"next": "c"})[0]
    assert "both make 'same'" in problems(["a", "b"], a={"output": "same"}, b={"output": "same"})[0]
    assert "leads to 'end'" in problems(["a", "b", "c"], b={"next": "end"})[0]
    assert "leads to 'p'" in problems(["a", "b", "c"], c={"next": "p"})[0]


def test_variables_that_nothing_makes() -> None:
    nodes = [
        start("early"),
        {"name": "early", "type": "llm", "prompt": "{{ answr }} {{ context.late }}", "next": "ask"},
        {"name": "ask", "type": "input", "variables": [{"name": "answer"}], "next": "later"},
        {"name": "later", "type": "llm", "prompt": "{{ answer }}", "output": "late", "next": "end"},
        END,
    ]
    problems = found(*nodes)
    assert [(p.path, p.severity, p.suggestion) for p in problems] == [
        ("nodes.1.prompt", "warning", "answer"),
        ("nodes.1.prompt", "warning", None),
    ]
    assert "read before a node makes it" in problems[1].message
    circle = [*nodes[:3], {**nodes[3], "next": "early"}, END]
    assert not any("late is" in p.message for p in found(*circle))


def test_items_of_a_map_are_made_for_its_body() -> None:
    nodes = [
        start("m"),
        {"name": "m", "type": "map", "items": "[1, 2]", "item": "n", "body": "b", "next": "end"},
        {"name": "b", "type": "llm", "prompt": "{{ n }}", "next": "m"},
        END,
    ]
    assert found(*nodes) == []


@pytest.mark.parametrize(
    "field",
    [
        {"prompt": "{{ a + }}"},
        {"prompt": "{{ a "},
        {"prompt": "x", "inputs": {"deep": [{"er": "{{ ) }}"}]}},
        {"prompt": "x", "when": "a ="},
        {"prompt": "{{ " + "-" * 4_000 + "1 }}"},
        {"prompt": "{{ " + "(" * 500 + "1" + ")" * 500 + " }}"},
    ],
)
def test_expressions_that_cannot_be_read(field: dict[str, Any]) -> None:
    problems = found(start("a"), {"name": "a", "type": "llm", "next": "end", **field}, END)
    assert [p.severity for p in problems] == ["error"], problems


def test_what_is_unknown() -> None:
    known = Known(
        agents=["helper"],
        tools=["calculator"],
        models=["m"],
        crews=["crew"],
        workflows=["flow"],
        unusable={"model:off": "The model off is switched off."},
    )
    task = {"description": "x", "agent": "helpr", "tools": ["calcultor"]}
    nodes: list[dict[str, Any]] = [
        {"name": "a", "type": "agent", "agent": "{{ which }}", "tools": ["nothing"]},
        {"name": "b", "type": "crew", "crew": "crw"},
        {"name": "c", "type": "subworkflow", "workflow": "flow"},
        {"name": "d", "type": "llm", "prompt": "x", "model": "off"},
        {"name": "e", "type": "task", "task": task},
    ]
    problems = found(*nodes, mode="graph", inputs={"which": 1}, known=known)
    assert {p.path: p.suggestion for p in problems} == {
        "nodes.0.tools.0": None,
        "nodes.1.crew": "crew",
        "nodes.3.model": None,
        "nodes.4.task.agent": "helper",
        "nodes.4.task.tools.0": "calculator",
    }
    assert "switched off" in next(p.message for p in problems if p.path == "nodes.3.model")
    assert found(*nodes[1:4], mode="graph") == []


def test_what_nothing_reads() -> None:
    text = """
mode: flow
mdel: x
nodes:
- {name: start, type: start, next: a, position: {x: 1}}
- {name: a, type: llm, promt: hello, prompt: hi, retry: {attemps: 2}, next: b}
- {name: b, type: input, variables: [{name: q, requird: true}], next: c}
- {name: c, type: task, task: {descripton: x, title: y, agent_id: z}, next: end}
- {name: end, type: end}
"""
    read = read_workflow(text)
    problems = problems_of(read.spec, read=read)
    assert {p.path: (p.line, p.suggestion, p.severity) for p in problems} == {
        "mdel": (3, "model", "error"),
        "nodes.1.promt": (6, "prompt", "error"),
        "nodes.1.retry.attemps": (6, "attempts", "error"),
        "nodes.2.variables.0.requird": (7, "required", "error"),
        "nodes.3.task.descripton": (8, "description", "error"),
    }


@pytest.mark.parametrize(
    ("given", "path", "suggestion"),
    [
        ({"data_types": {}, "nodes": [{"type": "llm", "promt": "x"}]}, "nodes.0.promt", "prompt"),
        ({"data_types": {}, "nodes": {"a": {"nxt": "b"}}}, "nodes.a.nxt", "next"),
        ({"steps": [{"name": "a", "dependson": ["b"]}]}, "steps.0.dependson", "depends_on"),
        ({"steps": [], "nam": "x"}, "nam", "name"),
        ({"actions": [{"type": "send_output", "promt": 1}]}, "actions.0.promt", "prompt"),
    ],
)
def test_what_nothing_reads_in_other_notations(
    given: dict[str, Any], path: str, suggestion: str
) -> None:
    read = read_workflow(given)
    problems = {p.path: p for p in problems_of(read.spec, read=read)}
    assert (problems[path].suggestion, problems[path].severity) == (suggestion, "warning")


def test_problems_are_where_it_was_written() -> None:
    known = Known(agents=["helper"], models=["m"])
    step = {"name": "a", "type": "agent", "agent_id": "helpr"}
    beside = {"name": "b", "step_type": "llm_call", "prompt": "{{ ", "config": {"llm_model": "x"}}
    node = {"name": "a", "type": "llm", "prompt": "x", "llm_model": "mm"}
    read = read_workflow({"steps": [step, beside]})
    problems = problems_of(read.spec, known, read=read)
    assert [p.path for p in problems] == [
        "steps.0.agent_id",
        "steps.1.config.llm_model",
        "steps.1.prompt",
    ]
    read = read_workflow({"mode": "graph", "nodes": [node]})
    (problem,) = problems_of(read.spec, known, read=read)
    assert (problem.path, problem.suggestion) == ("nodes.0.llm_model", "m")


def test_the_model_of_a_workflow() -> None:
    known = Known(models=["right"])
    node = {"name": "a", "type": "llm", "prompt": "x"}
    for notation in ("llm_model", "model"):
        given = {notation: "rigt", "nodes": [start("a"), {**node, "next": "end"}, END]}
        read = read_workflow(given)
        (problem,) = problems_of(read.spec, known, read=read)
        assert (problem.path, problem.severity) == (notation, "error")
        assert problem.suggestion == "right"
    named = {**node, "model": "right"}
    assert [p.severity for p in found(named, mode="graph", model="rigt", known=known)] == [
        "warning"
    ]
    (problem,) = found(node, mode="graph", known=known)
    assert (problem.path, problem.severity) == ("nodes.0.model", "warning")
    assert found(node, mode="graph") == []


def test_expressions_of_a_task_that_cannot_be_read() -> None:
    task = {"description": "x", "agent": "a", "guardrail": "len((", "condition": "ready"}
    problems = found({"name": "a", "type": "task", "task": task}, mode="graph")
    assert [p.path for p in problems] == ["nodes.0.task.guardrail"]


@pytest.mark.parametrize("name", ["context", "history", "input", "last", "nodes", "templates"])
def test_names_that_every_run_has(name: str) -> None:
    assert found({"name": "a", "type": "llm", "prompt": f"{{{{ {name} }}}}"}, mode="graph") == []


@pytest.mark.parametrize("name", ["run", "workflow", "inputs", "error", "index", "n"])
def test_names_that_no_run_has(name: str) -> None:
    (problem,) = found({"name": "a", "type": "llm", "prompt": f"{{{{ {name} }}}}"}, mode="graph")
    assert (problem.path, problem.severity) == ("nodes.0.prompt", "warning")
    nodes: list[dict[str, Any]] = [
        start("m"),
        {"name": "m", "type": "map", "items": "[1]", "item": "n", "body": "b", "next": "end"},
        {"name": "b", "type": "llm", "prompt": "{{ n + index }}", "next": "m"},
        END,
    ]
    assert found(*nodes) == []


def test_a_large_workflow_is_checked_in_time() -> None:
    names = [f"n{i}" for i in range(500)]
    nodes = [{"name": n, "type": "parallel", "branches": names[:100]} for n in names]
    assert len(found(*nodes)) == 200


def test_rules_of_documents() -> None:
    text = """
data_types: {a: {}}
nodes:
- {name: start, type: start, next: x}
- {name: x, type: llm, prompt: p, output: b, next: r}
- {name: r, type: rag_query, query: q, output: c, service: "http://x", next: one}
- {name: one, type: end, output: a}
- {name: two, type: end, output: b}
"""
    read = read_workflow(text)
    problems = {p.path: (p.severity, p.line) for p in problems_of(read.spec, read=read)}
    assert problems["nodes.1.output"] == ("warning", 5)
    assert problems["nodes.2.service"] == ("error", 6)
    assert problems["nodes.4.output"] == ("error", 8)
    assert "nodes.3.output" not in problems


def test_rules_of_actions() -> None:
    read = read_workflow(ACTIONS)
    assert problems_of(read.spec, read=read) == []
    ask, find, tell = ACTIONS["actions"]
    read = read_workflow({"version": 2, "actions": [find, {**ask, "id": "again"}]})
    problems = {p.path: p.severity for p in problems_of(read.spec, read=read)}
    assert problems == {
        "actions.0": "error",
        "actions.1": "error",
        "actions.0.input_bindings.query": "error",
    }
    refs = {**tell, "variable_refs": ["hit"]}
    read = read_workflow({"version": 2, "actions": [ask, {**ask, "id": "b"}, find, refs]})
    found = {p.path: p.suggestion for p in problems_of(read.spec, read=read)}
    assert found == {"actions.1.variables.0.name": None, "actions.3.variable_refs.0": "hits"}


def test_what_would_take_quadratic_time_is_checked_in_time() -> None:
    every = [f"n{i}" for i in range(400)]
    nodes: list[dict[str, Any]] = [
        {"name": n, "type": "llm", "prompt": "x", "output": n, "depends_on": every[:i]}
        for i, n in enumerate(every)
    ]
    assert found(*nodes, mode="graph") == []
    text = "}}" + "{{" * 20_000
    problems = found({"name": "a", "type": "llm", "prompt": text}, mode="graph")
    assert [p.path for p in problems] == ["nodes.0.prompt"]
    with pytest.raises(WorkflowInvalid, match="5000 characters"):
        found({"name": "a", "type": "if", "condition": text * 10})
