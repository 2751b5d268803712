"""The product's own notation: a `WorkflowSpec` as it is dumped."""

from collections.abc import Mapping
from typing import Any

from muster.domains.work.plans import NodeSpec, WorkflowSpec
from muster.domains.work.workflows.notations.reading import (
    Place,
    Read,
    dumped,
    expression_of,
    make_spec,
    text_of,
)

ALIASES = {"else": "otherwise", "expr": "expression", "llm_model": "model", "agent_id": "agent"}
"""Words of the other notations that are understood here too."""
_SPELLINGS = {name: (name, alias) for alias, name in ALIASES.items()}
_TEXTS = ("name", "type", "next", "then", "otherwise", "default", "body", "on_error", "description")
_CONDITIONS = ("condition", "expression", "items", "when")


def read_native(document: dict[str, Any], lines: Mapping[str, int]) -> Read:
    """Read a dumped workflow."""
    root = Place("", lines)
    values = {
        name: document.get(name)
        for name in WorkflowSpec.model_fields
        if name not in {"nodes", "mode"}
    }
    listed = nodes_of(root.at("nodes"), document.get("nodes"))
    nodes = [_node(place, given, index) for index, (place, given) in enumerate(listed)]
    values["mode"] = document.get("mode") or _mode(nodes)
    return make_spec(
        values,
        [(node, place.path) for node, (place, _) in zip(nodes, listed, strict=True)],
        notation="native",
        document=document,
        lines=lines,
        spellings=_SPELLINGS,
    )


def nodes_of(place: Place, given: Any) -> list[tuple[Place, dict[str, Any]]]:
    """Return the nodes of a document: a list, or a mapping of their names."""
    if isinstance(given, Mapping):
        named = place.mapping(given)
        return [
            (place.at(name), {"name": name, **place.at(name).mapping(node)})
            for name, node in named.items()
        ]
    items = place.sequence(given)
    return [(place.at(i), place.at(i).mapping(node)) for i, node in enumerate(items)]


def _mode(nodes: list[dict[str, Any]]) -> str:
    """Tell by its nodes what a workflow is that does not say it."""
    return "graph" if any(node.get("depends_on") for node in nodes) else "flow"


def _node(place: Place, given: dict[str, Any], index: int) -> dict[str, Any]:
    node = {ALIASES.get(name, name): value for name, value in given.items()}
    node = {k: v for k, v in node.items() if v is not None and k in NodeSpec.model_fields}
    for name in _TEXTS:
        if name in node:
            node[name] = text_of(node[name])
    for name in _CONDITIONS:
        if name in node:
            node[name] = expression_of(node[name])
    if "depends_on" in node:
        node["depends_on"] = place.at("depends_on").texts(node["depends_on"])
    if "assign" in node:
        assigned = place.at("assign").mapping(node["assign"])
        node["assign"] = {name: expression_of(value) for name, value in assigned.items()}
    return {**node, "name": node.get("name") or f"node_{index + 1}", "type": node.get("type") or ""}


def write_native(spec: WorkflowSpec) -> dict[str, Any]:
    """Write a workflow in the product's own notation."""
    values = spec.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return {
        "name": spec.name,
        "mode": spec.mode,
        **values,
        "nodes": [dumped(node) for node in spec.nodes],
    }
