"""Notations: told apart, read into one plan, written back, and refused with positions."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.domains.work.plans import NodeSpec, WorkflowSpec, evaluate, render
from muster.domains.work.workflows import (
    Known,
    WorkflowInvalid,
    problems_of,
    read_workflow,
    write_workflow,
)
from muster.domains.work.workflows.errors import WorkflowNotExpressible
from tests.work.test_workflows_drawing import _WORKFLOWS
from tests.work.workflow_texts import ACTIONS, DOCUMENT, STEPS


def dumped(spec: WorkflowSpec) -> dict[str, dict[str, Any]]:
    return {n.name: n.model_dump(exclude_defaults=True, exclude={"name"}) for n in spec.nodes}


def test_documents() -> None:
    read = read_workflow(DOCUMENT)
    assert (read.notation, read.spec.name, read.spec.mode) == ("document", "Support triage", "flow")
    assert (read.spec.model, read.spec.result) == ("openai/gpt-4o", "answer")
    assert read.spec.templates == {"tone": "Be kind."}
    nodes = dumped(read.spec)
    assert nodes["search"] == {
        "type": "tool",
        "tool": "kb__search",
        "arguments": {
            "q": "{{ input.text }}",
            "n": '{{ "\\u007b\\u007b as it is \\u007d\\u007d" }}',
            "past": "{{ history }}",
        },
        "output": "answer",
        "next": "sure",
    }
    assert render(nodes["search"]["arguments"]["n"], {}) == "{{ as it is }}"
    assert nodes["route"] == {
        "type": "switch",
        "expression": "context.kind",
        "cases": {"bug": "search", "yes": "both"},
        "default": "sure",
    }
    assert nodes["sure"]["condition"] == "(context.kind) == 'x'"
    assert evaluate(nodes["sure"]["condition"], {"context": {"kind": "x"}}) is True
    assert (nodes["sure"]["then"], nodes["sure"]["otherwise"]) == ("classify", "end")
    assert nodes["helper"]["tools"] == ["calc"]
    assert read.locate("nodes.6.otherwise") == ("nodes.6.else", 29)


@pytest.mark.parametrize(
    ("uri", "tool"),
    [
        ("tool://calculator", "calculator"),
        ("python://clean_up", "clean_up"),
        ("rest://shop.orders", "shop__orders"),
        ("mcp://kb.search.deep", "kb__search.deep"),
        ("plain.name", "plain.name"),
    ],
)
def test_uris_of_functions(uri: str, tool: str) -> None:
    read = read_workflow({"nodes": [{"name": "f", "type": "function", "tool": uri}]})
    assert read.spec.nodes[0].tool == tool


def test_a_start_that_is_only_named() -> None:
    read = read_workflow({"data_types": {}, "start": "a", "nodes": [{"name": "a", "type": "end"}]})
    assert [(n.type, n.next) for n in read.spec.nodes] == [("start", "a"), ("end", None)]
    assert read.locate("nodes.1.type")[0] == "nodes.0.type"


def test_nodes_by_name() -> None:
    read = read_workflow({"nodes": {"a": {"type": "start", "next": "b"}, "b": {"type": "end"}}})
    assert list(dumped(read.spec)) == ["a", "b"]
    assert read.locate("nodes.0.next")[0] == "nodes.a.next"


def test_steps_with_dependencies() -> None:
    nodes = dumped(read_workflow({"steps": STEPS}).spec)
    assert nodes["ask"] == {"type": "approval", "title": "Go on?"}
    assert nodes["collect"] == {"type": "agent", "agent": "helper"}
    assert nodes["write"] == {
        "type": "llm",
        "prompt": "Write.",
        "depends_on": ["collect", "ask"],
    }


def test_steps_in_order() -> None:
    steps: list[dict[str, Any]] = [
        {"name": "c", "step_type": "wait", "order": 3, "config": {"seconds": 5}},
        {
            "name": "a",
            "step_type": "tool_call",
            "order": 1,
            "config": {"tool": "calculator", "x": 1},
        },
        {"name": "b1", "step_type": "LLM", "order": 2, "config": {"prompt": "p", "max_retries": 2}},
        {"name": "b2", "step_type": "transform", "order": 2, "config": {"assign": {"y": 5}}},
    ]
    spec = read_workflow({"steps": steps}).spec
    nodes = dumped(spec)
    assert spec.mode == "graph"
    assert nodes["a"] == {"type": "tool", "tool": "calculator", "inputs": {"x": 1}}
    assert (nodes["b1"]["depends_on"], nodes["b2"]["depends_on"]) == (["a"], ["a"])
    assert nodes["b1"]["retry"] == {"attempts": 2}
    assert nodes["b2"]["assign"] == {"y": "5"}
    assert nodes["c"] == {"type": "delay", "delay_s": 5.0, "depends_on": ["b1", "b2"]}
    unordered = read_workflow([{"name": n, "step_type": "agent"} for n in "xyz"]).spec
    assert [n.depends_on for n in unordered.nodes] == [[], ["x"], ["y"]]


def test_dependencies_by_id_and_by_order() -> None:
    steps = [
        {"id": "1f", "name": "a", "order": 10},
        {"name": "b", "order": 20, "depends_on": ["1f"]},
        {"name": "c", "order": 30, "depends_on": [20]},
    ]
    spec = read_workflow({"steps": steps}).spec
    assert [n.depends_on for n in spec.nodes] == [[], ["a"], ["b"]]


def test_branches_of_steps() -> None:
    steps: list[dict[str, Any]] = [
        {"name": "check", "step_type": "condition", "config": {"condition": "{{ x > 1 }}"}},
        {"name": "big", "step_type": "llm"},
        {"name": "small", "step_type": "llm"},
        {"name": "after", "step_type": "llm"},
    ]
    steps[0]["config"] |= {"then": "big", "else": "small"}
    nodes = dumped(read_workflow({"steps": steps}).spec)
    assert (nodes["big"]["when"], nodes["big"]["depends_on"]) == ("x > 1", ["check"])
    assert (nodes["small"]["when"], nodes["small"]["depends_on"]) == ("not (x > 1)", ["check"])
    assert nodes["after"]["depends_on"] == ["big", "small"]
    del steps[0]["config"]["else"]
    nodes = dumped(read_workflow({"steps": steps[:2] + steps[3:]}).spec)
    assert nodes["after"]["depends_on"] == ["check", "big"]
    chosen = {"expression": "kind", "cases": {"a": "big"}, "default": "small"}
    steps[0] = {"name": "check", "step_type": "switch", "config": chosen}
    nodes = dumped(read_workflow({"steps": steps}).spec)
    assert evaluate(nodes["big"]["when"], {"kind": "a"}) is True
    assert evaluate(nodes["small"]["when"], {"kind": "a"}) is False
    assert evaluate(nodes["small"]["when"], {"kind": "z"}) is True


def test_actions() -> None:
    read = read_workflow(ACTIONS)
    nodes = dumped(read.spec)
    assert list(nodes) == ["start", "ask", "find", "find_outputs", "tell", "end"]
    assert nodes["ask"]["variables"] == [{"name": "q", "label": "Question"}]
    assert nodes["find"]["tool"] == "kb__search"
    assert nodes["find"]["arguments"] == {"query": "{{ q }}"}
    assert nodes["find_outputs"]["assign"] == {"hits": "find_result.data.hits"}
    assert nodes["tell"]["inputs"] == {"hits": "{{ hits }}"}
    assert [n.next for n in read.spec.nodes] == [*list(nodes)[1:], None]
    assert problems_of(read.spec) == []
    (problem,) = problems_of(read.spec, Known(tools=["kb__serch"]), read=read)
    assert (problem.path, problem.suggestion) == ("actions.1.exposed_tool_name", "kb__serch")


def test_written_and_read_again_it_is_the_same() -> None:
    graph = read_workflow({"steps": STEPS}).spec
    assert dumped(read_workflow(write_workflow(graph, "steps")).spec) == dumped(graph)
    flow = read_workflow(DOCUMENT).spec
    text = yaml.safe_dump(write_workflow(flow, "document"))
    again = read_workflow(text)
    assert again.notation == "document"
    assert dumped(again.spec).keys() == dumped(flow).keys()
    assert dumped(again.spec)["sure"] == dumped(flow)["sure"]
    for spec in (graph, flow, read_workflow(ACTIONS).spec):
        native = read_workflow(write_workflow(spec, "native"))
        assert (native.notation, native.spec) == ("native", spec)
        assert read_workflow(spec.model_dump(mode="json")).spec == spec
    actions = [node for node in ACTIONS["actions"] if node["type"] != "mcp_tool"]
    spec = read_workflow({"version": 2, "actions": actions}).spec
    assert dumped(read_workflow(write_workflow(spec, "actions")).spec) == dumped(spec)


def test_a_chain_of_steps_can_be_a_document() -> None:
    chain = [{"name": n, "step_type": "llm", "config": {"prompt": n}} for n in "ab"]
    document = write_workflow(read_workflow({"steps": chain}).spec, "document")
    flow = read_workflow(document).spec
    assert [(n.name, n.type, n.next) for n in flow.nodes] == [
        ("start", "start", "a"),
        ("a", "llm", "b"),
        ("b", "llm", "end"),
        ("end", "end", None),
    ]
    assert problems_of(flow) == []


@pytest.mark.parametrize(
    "spec",
    [
        WorkflowSpec(
            nodes=[NodeSpec(name="x", type="map", body="y"), NodeSpec(name="y", type="llm")]
        ),
        WorkflowSpec(nodes=[NodeSpec(name="x", type="llm", next="x")]),
    ],
)
@pytest.mark.parametrize("notation", ["steps", "actions"])
def test_what_has_no_words_names_the_node(spec: WorkflowSpec, notation: Any) -> None:
    with pytest.raises(Exception, match="'x'"):
        write_workflow(spec, notation)


def between(*nodes: dict[str, Any], **fields: Any) -> WorkflowSpec:
    names = [*(node["name"] for node in nodes), "end"]
    chained = [{**node, "next": name} for node, name in zip(nodes, names[1:], strict=True)]
    start = {"name": "start", "type": "start", "next": names[0]}
    made = [start, *chained, {"name": "end", "type": "end"}]
    return read_workflow({"mode": "flow", "nodes": made, **fields}).spec


@pytest.mark.parametrize(
    ("node", "notation", "field"),
    [
        ({"type": "tool", "tool": "t", "retry": {"attempts": 2}}, "actions", "retry"),
        ({"type": "tool", "tool": "t", "on_error": "end"}, "actions", "on_error"),
        ({"type": "output", "inputs": {"shown": "{{ upper(q) }}"}}, "actions", "inputs"),
        ({"type": "output", "prompt": "{{ q }}"}, "actions", "prompt"),
        ({"type": "llm", "prompt": "x", "fallback": 1}, "document", "fallback"),
        ({"type": "llm", "prompt": "x", "retry": {"attempts": 1}}, "document", "retry"),
        (
            {"type": "llm", "prompt": "x", "inputs": {"a": {"type": "{{ b }}"}}},
            "document",
            "inputs",
        ),
    ],
)
def test_nothing_is_left_out(node: dict[str, Any], notation: Any, field: str) -> None:
    with pytest.raises(WorkflowNotExpressible, match=f"'x'.*`{field}`"):
        write_workflow(between({"name": "x", **node}), notation)


def test_an_end_is_not_left_out() -> None:
    ask = {"name": "ask", "type": "input", "variables": [{"name": "q"}], "next": "tell"}
    tell = {"name": "tell", "type": "output", "inputs": {"q": "{{ q }}"}, "next": "x"}
    end = {"name": "x", "type": "end", "inputs": {"said": "{{ q }}"}}
    start = {"name": "start", "type": "start", "next": "ask"}
    nodes = [start, ask, tell, end]
    with pytest.raises(WorkflowNotExpressible, match=r"'x'.*`inputs`"):
        write_workflow(read_workflow({"mode": "flow", "nodes": nodes}).spec, "actions")


@pytest.mark.parametrize("kind", ["tool", "output"])
def test_what_does_not_begin_by_asking_is_no_actions(kind: str) -> None:
    spec = between({"name": "x", "type": kind, **({"tool": "t"} if kind == "tool" else {})})
    with pytest.raises(WorkflowNotExpressible, match="begin with an input"):
        write_workflow(spec, "actions")


def test_templates_have_no_words_in_actions() -> None:
    spec = between({"name": "x", "type": "output"}, templates={"a": "b"})
    with pytest.raises(WorkflowNotExpressible, match="`templates`"):
        write_workflow(spec, "actions")


@pytest.mark.parametrize("whole", [[], [{"name": "all", "path": "$"}]])
def test_actions_are_written_as_they_were_read(whole: list[Any]) -> None:
    parts = [{"name": "title", "path": "results[0].title"}, {"name": "first", "path": "[0]"}]
    bound = {"q": {"variable": "q.text"}, "n": {"value": "{{ q + 1 }}"}, "m": {"value": "x"}}
    actions = [
        {"type": "get_user_input", "id": "ask", "variables": [{"name": "q"}]},
        {
            "type": "mcp_tool",
            "id": "find",
            "mcp_server_slug": "kb",
            "exposed_tool_name": "find",
            "input_bindings": bound,
            "output_variables": [*whole, *parts],
        },
        {"type": "send_output", "id": "tell", "variable_refs": ["title"]},
    ]
    spec = read_workflow({"version": 2, "default_model_ref": "m", "actions": actions}).spec
    written = write_workflow(spec, "actions")
    assert dumped(read_workflow(written).spec) == dumped(spec)
    assert written["actions"][1]["input_bindings"] == bound
    named = [(one["name"], one["path"]) for one in written["actions"][1]["output_variables"]]
    assert named == [(one["name"], one["path"].lstrip("$")) for one in [*whole, *parts]]


def test_what_looks_like_a_source_stays_a_value() -> None:
    spec = between(
        {"name": "x", "type": "tool", "tool": "t", "arguments": {"a": {"type": "context"}}}
    )
    assert dumped(read_workflow(write_workflow(spec, "document")).spec) == dumped(spec)


def test_settings_of_a_document_are_those_of_its_nodes() -> None:
    nodes: list[dict[str, Any]] = [
        {"name": "start", "type": "start", "next": "a"},
        {"name": "a", "type": "llm", "prompt": "x", "llm_kwargs": {"top_p": 1}, "next": "b"},
        {"name": "b", "type": "llm", "prompt": "x", "llm_kwargs": {"temperature": 0}, "next": "e"},
        {"name": "e", "type": "end"},
    ]
    spec = read_workflow({"llm_kwargs": {"temperature": 1}, "nodes": nodes}).spec
    assert [node.model_settings for node in spec.nodes] == [
        {},
        {"temperature": 1, "top_p": 1},
        {"temperature": 0},
        {},
    ]


@pytest.mark.parametrize("field", [{"tool_name": "t"}, {"config": {"tool_name": "t"}}])
def test_what_is_configured_can_stand_beside(field: dict[str, Any]) -> None:
    step = {"name": "a", "step_type": "tool_call", "retries": 2, **field}
    (node,) = read_workflow({"steps": [step]}).spec.nodes
    assert (node.tool, node.retry.attempts) == ("t", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "line 2, column 1"),
        ("a: 1\na: 2", "line 2, column 1: The key 'a' is given twice."),
        ("a: !!python/object:os.system {}", "Tags are not allowed"),
        ("a: !!set {b}", "Tags are not allowed"),
        ("a: &b 1\nc: *b", "Aliases"),
        ("[" * 200, "levels deep"),
        ("{" * 20_000, "plain text"),
        ("[" + "1," * 60_000 + "]", "values"),
        ("x" * 1_000_001, "bytes"),
        ("a: .nan", "finite"),
        (f"a: {10**30}", "too large"),
        ('a: "\\0"', "NUL"),
        ('a: "\\ud800"', ""),
        ("? [a]\n: b", "A key must be a plain text"),
        ("just words", "needs `nodes`"),
        ("5", "mapping"),
        ("a: 1\n---\nb: 2", "line"),
        ("\x00", ""),
    ],
)
def test_texts_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(WorkflowInvalid) as refused:
        read_workflow(text)
    assert message in refused.value.detail


@pytest.mark.repeats
@given(workflow=_WORKFLOWS | st.text())
@settings(max_examples=80, deadline=None)
def test_anything_is_read_or_refused_and_what_is_read_can_be_checked(workflow: Any) -> None:
    try:
        read = read_workflow(workflow)
    except WorkflowInvalid:
        return
    problems_of(read.spec, Known(agents=[], tools=[], models=[], crews=[], workflows=[]), read=read)
