"""From the workflow that a model wrote to a native one that holds together."""

import re
from collections.abc import Iterator
from typing import Any, cast

from muster.domains.work.generation.checking import Unfit
from muster.domains.work.generation.drafts import NodeDraft, WorkflowDraft
from muster.domains.work.generation.offers import Offers
from muster.domains.work.plans import (
    ExpressionInvalid,
    NodeSpec,
    WorkflowSpec,
    names_of,
    template_expressions,
)

_NODE_RESULT = re.compile(r"\bnodes\.([A-Za-z_][A-Za-z0-9_]*)")
_NEEDED = {
    "llm": ("prompt",),
    "tool": ("tool",),
    "if": ("condition", "then", "otherwise"),
    "approval": ("message",),
    "transform": ("assign",),
}
_KEPT = {
    "llm": ("prompt", "tools"),
    "tool": ("tool", "arguments"),
    "if": ("condition", "then", "otherwise"),
    "approval": ("title", "message"),
    "transform": ("assign",),
}


def workflow_of(draft: WorkflowDraft, offers: Offers, model: str) -> WorkflowSpec:
    """Return the workflow.

    Raises:
        Unfit: Nodes have one name, lead nowhere, are never reached, or name tools that there are
            not.
    """
    nodes = {node.name: node for node in draft.nodes}
    if len(nodes) < len(draft.nodes):
        raise Unfit("nodes: every node needs a name of its own.")
    _require_shape(nodes)
    specs = [_node_of(node, offers) for node in draft.nodes]
    read = set[str]()
    for node in specs:
        for expression in expressions_in(node):
            read |= _names_read(node.name, expression, nodes)
    made = {node.output for node in specs if node.output}
    made |= {name for node in specs for name in node.assign}
    inputs = {**dict.fromkeys(draft.inputs, ""), **dict.fromkeys(sorted(read - made), "")}
    if undeclared := sorted(read - made - set(draft.inputs)):
        offers.warn(f"{', '.join(undeclared)} became inputs: no node makes them.")
    return WorkflowSpec(
        name=draft.name,
        description=draft.description or None,
        model=model,
        nodes=specs,
        inputs=inputs,
        result=draft.result if draft.result in made | set(inputs) else None,
    )


def expressions_in(node: NodeSpec) -> Iterator[str]:
    """Yield every expression of a node, those of its templates too."""
    if node.condition:
        yield node.condition
    yield from node.assign.values()
    for text in (node.prompt, node.title, node.message):
        yield from template_expressions(text or "")
    yield from _in_values(node.arguments)


def _in_values(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in cast("dict[str, Any]", value).values():
            yield from _in_values(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _in_values(inner)
    elif isinstance(value, str):
        yield from template_expressions(value)


def _require_shape(nodes: dict[str, NodeDraft]) -> None:
    starts = [node.name for node in nodes.values() if node.type == "start"]
    if len(starts) != 1:
        raise Unfit(f"nodes: exactly one node of type start is needed; there are {len(starts)}.")
    for node in nodes.values():
        for field in _NEEDED.get(node.type, ()):
            if not getattr(node, field):
                raise Unfit(f"nodes: {node.name!r} of type {node.type} needs {field}.")
        if node.type not in {"if", "end"} and node.next is None:
            raise Unfit(f"nodes: {node.name!r} needs next.")
        for follower in _followers(node):
            if follower not in nodes:
                raise Unfit(f"nodes: {node.name!r} leads to {follower!r}, which is no node.")
    _require_reached(nodes, starts[0])


def _require_reached(nodes: dict[str, NodeDraft], start: str) -> None:
    reached, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _followers(nodes[name])
    if lost := [name for name in nodes if name not in reached]:
        raise Unfit(f"nodes: nothing leads to {', '.join(lost)}.")
    if not any(nodes[name].type == "end" for name in reached):
        raise Unfit("nodes: a node of type end is needed that the others lead to.")


def _followers(node: NodeDraft) -> list[str]:
    if node.type == "end":
        return []
    if node.type == "if":
        return [name for name in (node.then, node.otherwise) if name]
    return [node.next] if node.next else []


def _node_of(node: NodeDraft, offers: Offers) -> NodeSpec:
    kept = {field: getattr(node, field) for field in _KEPT.get(node.type, ())}
    if node.type == "llm":
        kept["tools"] = offers.fitting(node.tools)
    if node.type == "tool":
        kept["tool"] = offers.known(node.tool or "")
        if kept["tool"] is None:
            names = ", ".join(tool.name for tool in offers.tools) or "none"
            raise Unfit(
                f"nodes: {node.name!r} calls the tool {node.tool!r}; the tools are {names}."
            )
    followers = {} if node.type in {"if", "end"} else {"next": node.next}
    return NodeSpec(
        name=node.name,
        type=node.type,
        description=node.description,
        output=node.output,
        **followers,
        **kept,
    )


def _names_read(node: str, expression: str, nodes: dict[str, NodeDraft]) -> set[str]:
    try:
        names = names_of(expression)
    except ExpressionInvalid as error:
        raise Unfit(f"nodes: {node!r}: {error.detail}") from None
    except (RecursionError, MemoryError):
        raise Unfit(f"nodes: {node!r} has an expression that is nested too deeply.") from None
    for name in _NODE_RESULT.findall(expression):
        if name not in nodes:
            raise Unfit(f"nodes: {node!r} reads nodes.{name}, which is no node.")
    return names - {"nodes", "inputs"}
