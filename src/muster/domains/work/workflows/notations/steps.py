"""The steps of the fleet family: each names those that it depends on."""

from collections.abc import Mapping
from typing import Any, cast

from muster.domains.work.plans import NodeSpec, WorkflowSpec
from muster.domains.work.workflows.errors import WorkflowNotExpressible
from muster.domains.work.workflows.notations.chaining import predecessors, targets_of
from muster.domains.work.workflows.notations.ordering import Branching, chained
from muster.domains.work.workflows.notations.reading import (
    Place,
    Read,
    dumped,
    expression_of,
    make_spec,
    text_of,
    without_nothing,
)

ALIASES = {
    "agent_task": "agent",
    "agent_step": "agent",
    "ai_agent": "agent",
    "llm_call": "llm",
    "prompt": "llm",
    "tool_call": "tool",
    "function": "tool",
    "mcp_tool": "tool",
    "condition": "if",
    "conditional": "if",
    "branch": "if",
    "decision": "if",
    "router": "switch",
    "fork": "parallel",
    "for_each": "map",
    "foreach": "map",
    "while": "loop",
    "human_approval": "approval",
    "human_review": "approval",
    "human_input": "input",
    "user_input": "input",
    "wait": "delay",
    "sleep": "delay",
    "timer": "delay",
    "set": "transform",
    "data_transform": "transform",
    "workflow": "subworkflow",
    "sub_workflow": "subworkflow",
    "rag_query": "retrieval",
}
"""What else the types of steps are called."""

CONFIG = {
    "agent_id": "agent",
    "agent_name": "agent",
    "tool_name": "tool",
    "tool_id": "tool",
    "args": "arguments",
    "params": "arguments",
    "parameters": "arguments",
    "tool_args": "arguments",
    "llm_model": "model",
    "system_prompt": "instructions",
    "task_id": "task",
    "crew_id": "crew",
    "workflow_id": "workflow",
    "input": "inputs",
    "else": "otherwise",
    "on_true": "then",
    "on_false": "otherwise",
    "expr": "expression",
    "seconds": "delay_s",
    "duration": "delay_s",
    "duration_s": "delay_s",
    "duration_seconds": "delay_s",
    "delay_seconds": "delay_s",
    "timeout": "timeout_s",
    "timeout_seconds": "timeout_s",
    "output_variable": "output",
    "output_key": "output",
    "max_retries": "retry",
    "retries": "retry",
}
"""What fields of a step are called besides."""
_CONDITIONS = ("condition", "expression", "items", "when")
_TARGETS = ("then", "otherwise", "default", "body", "on_error")
_OWN = {"name", "type", "depends_on", "next"}
BESIDE = (set(NodeSpec.model_fields) | set(CONFIG)) - _OWN - {"workflow_id"}
"""What of the `config` can stand beside it; `workflow_id` is there where a step is shown."""


def _spelled(name: str) -> list[str]:
    words = [name, *(word for word, meant in CONFIG.items() if meant == name)]
    return [f"config.{word}" for word in words] + words


_SPELLINGS = {
    **{name: _spelled(name) for name in set(NodeSpec.model_fields) - _OWN},
    "type": ["step_type"],
    "agent": ["agent_id", *_spelled("agent")],
}


def read_steps(document: dict[str, Any], lines: Mapping[str, int]) -> Read:
    """Read steps; without `depends_on` their order makes them a chain."""
    place = Place("", lines).at("steps")
    items = place.sequence(document.get("steps"))
    steps = [place.at(i).mapping(step) for i, step in enumerate(items)]
    references = _references(steps)
    nodes = [_node(place.at(i), step, i, references) for i, step in enumerate(steps)]
    if not any(node["depends_on"] for node in nodes):
        chained(nodes, [_order(place.at(i), step, i) for i, step in enumerate(steps)])
    else:
        Branching(nodes).direct()
    values = {
        "name": text_of(document.get("name")) or None,
        "description": text_of(document.get("description")),
        "mode": "graph",
        "model": document.get("model") or document.get("llm_model"),
        "inputs": document.get("inputs"),
        "templates": document.get("templates"),
        "result": document.get("result"),
    }
    placed = [(without_nothing(node), f"steps.{index}") for index, node in enumerate(nodes)]
    return make_spec(
        values,
        cast("list[tuple[dict[str, Any], str | None]]", placed),
        notation="steps",
        document=document,
        lines=lines,
        spellings=_SPELLINGS,
    )


def step_name(step: Mapping[str, Any], index: int) -> Any:
    """Return the name of a step; one that has none is called by its number."""
    return text_of(step.get("name")) or f"step_{index + 1}"


def _references(steps: list[dict[str, Any]]) -> dict[str, str]:
    """Return the names of steps by what they may be named: their id, order or name."""
    found: dict[str, str] = {}
    for key in ("order", "id", "name"):
        for index, step in enumerate(steps):
            reference = text_of(step.get(key))
            if isinstance(reference, str) and reference:
                found[reference] = str(step_name(step, index))
    return found


def _order(place: Place, step: Mapping[str, Any], index: int) -> float:
    order = step.get("order")
    if order is None:
        return float(index)
    try:
        return float(order)
    except (TypeError, ValueError, OverflowError):
        raise place.at("order").wrong("must be a number") from None


def _node(
    place: Place, step: dict[str, Any], index: int, references: Mapping[str, str]
) -> dict[str, Any]:
    spelled = "step_type" if step.get("step_type") else "type"
    written = place.at(spelled).word(step.get(spelled)).lower()
    kind = ALIASES.get(written, written)
    config = place.at("config").mapping(step.get("config"))
    beside = {k: v for k, v in step.items() if k in BESIDE}
    node = _configured(place.at("config"), kind, {**beside, **config})
    if step.get("agent_id"):
        node["agent"] = step["agent_id"]
    for name in _TARGETS:
        if name in node:
            node[name] = _meant(node[name], references)
    if "cases" in node:
        cases = place.at("config.cases").mapping(node["cases"])
        node["cases"] = {value: _meant(target, references) for value, target in cases.items()}
    if "branches" in node:
        branches = place.at("config.branches").texts(node["branches"])
        node["branches"] = [_meant(branch, references) for branch in branches]
    wanted = place.at("depends_on").texts(step.get("depends_on"))
    depends_on = list(dict.fromkeys(_meant(name, references) for name in wanted))
    name = place.at("name").word(step_name(step, index))
    return {**node, "name": name, "type": kind, "depends_on": depends_on}


def _meant(reference: Any, references: Mapping[str, str]) -> Any:
    name = text_of(reference)
    return references.get(name, name) if isinstance(name, str) else name


def _configured(place: Place, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a step is configured with; what no node has is given to it as an input."""
    node: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for spelled, value in config.items():
        name = CONFIG.get(spelled, spelled)
        if value is None:
            continue
        if name == "items" and isinstance(value, list):
            others["items"], node["items"] = value, "items"
        elif name in NodeSpec.model_fields and name not in _OWN:
            node.setdefault(name, value)
        else:
            others[spelled] = value
    _meant_by_kind(kind, node, others)
    for name in _CONDITIONS:
        if name in node:
            node[name] = expression_of(node[name])
    if "assign" in node:
        assigned = place.at("assign").mapping(node["assign"])
        node["assign"] = {name: expression_of(value) for name, value in assigned.items()}
    if "retry" in node and not isinstance(node["retry"], Mapping):
        node["retry"] = {"attempts": node["retry"]}
    given = node.get("inputs")
    if given is not None and not isinstance(given, Mapping):
        given = {"input": given}
    node["inputs"] = {**others, **(given or {})} or None
    return without_nothing(node)


def _meant_by_kind(kind: str, node: dict[str, Any], others: dict[str, Any]) -> None:
    """Understand what a field means to a step of one type, and another to others."""
    if kind == "if" and "condition" not in node:
        node["condition"] = node.pop("expression", None)
    elif kind == "switch" and "expression" not in node:
        node["expression"] = node.pop("condition", None)
    elif kind in {"agent", "llm"} and isinstance(node.get("task"), str):
        node.setdefault("prompt", node.pop("task"))
    elif kind == "delay" and isinstance(others.get("minutes"), int | float):
        node.setdefault("delay_s", others.pop("minutes") * 60)


def shown_steps(spec: WorkflowSpec) -> list[dict[str, Any]]:
    """Return every node of a workflow as a step, whatever it was written in."""
    before = predecessors(spec)
    return [
        {
            "name": node.name,
            "step_type": node.type,
            "order": index + 1,
            "config": _config_of(node),
            "agent_id": node.agent,
            "depends_on": before.get(node.name, []),
        }
        for index, node in enumerate(spec.nodes)
    ]


def _config_of(node: NodeSpec) -> dict[str, Any]:
    left = {"name", "type", "depends_on", "next", "agent"}
    return {name: value for name, value in dumped(node).items() if name not in left}


def write_steps(spec: WorkflowSpec) -> dict[str, Any]:
    """Write a workflow as steps; raises `WorkflowNotExpressible` for what only flows have."""
    if spec.mode == "flow":
        _require_no_circle(spec)
    steps = shown_steps(spec)
    by_name = {node.name: node for node in spec.nodes}
    for step in steps:
        if spec.mode == "flow" and len(step["depends_on"]) == 1:
            parent = by_name[step["depends_on"][0]]
            if any(t.field == "on_error" and t.name == step["name"] for t in targets_of(parent)):
                raise _inexpressible(parent, "`on_error`")
    return without_nothing(
        {
            "name": spec.name,
            "description": spec.description,
            "model": spec.model,
            "inputs": spec.inputs or None,
            "templates": spec.templates or None,
            "result": spec.result,
            "steps": steps,
        }
    )


def _require_no_circle(spec: WorkflowSpec) -> None:
    before = predecessors(spec)
    for node in spec.nodes:
        if node.body:
            raise _inexpressible(node, "a body that is walked again")
        for target in targets_of(node):
            if target.name in before and node.name not in before[target.name]:
                raise _inexpressible(node, "ways back")


def _inexpressible(node: NodeSpec, what: str) -> WorkflowNotExpressible:
    return WorkflowNotExpressible(
        f"The node {node.name!r} cannot be written as a step, which has no {what}; use the "
        "notation native.",
        details={"node": node.name},
    )
