"""The actions of the platform family, version 2: ask, call tools, answer."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from muster.domains.work.plans import NodeSpec, WorkflowSpec
from muster.domains.work.workflows.errors import WorkflowNotExpressible
from muster.domains.work.workflows.notations.chaining import as_flow
from muster.domains.work.workflows.notations.reading import (
    Place,
    Read,
    free_name,
    make_spec,
    text_of,
    variable_template,
    without_nothing,
)

_TYPES = {"get_user_input": "input", "mcp_tool": "tool", "send_output": "output"}
_SPELLINGS = {
    "message": ["prompt"],
    "arguments": ["input_bindings"],
    "tool": ["exposed_tool_name"],
}
_JOINT = "__"
_PARTS = "_outputs"
"""At the end of the name of the node that takes parts of what a tool answers."""


def read_actions(document: dict[str, Any], lines: Mapping[str, int]) -> Read:
    """Read a `workflow_definition` of version 2."""
    root = Place("", lines)
    if text_of(document.get("version", 2)) != "2":
        raise root.at("version").wrong("must be 2; other versions are not read")
    place = root.at("actions")
    made: list[tuple[dict[str, Any], str | None]] = []
    for index, item in enumerate(place.sequence(document.get("actions"))):
        here = place.at(index)
        made += [(node, here.path) for node in _nodes(here, here.mapping(item), index)]
    names = [str(node["name"]) for node, _ in made]
    start, end = free_name("start", names), free_name("end", names)
    nodes: list[tuple[dict[str, Any], str | None]] = [
        ({"name": start, "type": "start"}, None),
        *made,
        ({"name": end, "type": "end"}, None),
    ]
    for (node, _), (following, _) in pairwise(nodes):
        node["next"] = following["name"]
    values = {
        "name": text_of(document.get("name")) or None,
        "description": text_of(document.get("description")),
        "mode": "flow",
        "model": document.get("default_model_ref"),
        "inputs": document.get("inputs"),
    }
    return make_spec(
        values, nodes, notation="actions", document=document, lines=lines, spellings=_SPELLINGS
    )


def _nodes(place: Place, given: dict[str, Any], index: int) -> list[dict[str, Any]]:
    kind = place.at("type").word(given.get("type") or given.get("action"))
    name = place.at("id").word(given.get("id") or given.get("name"), f"action_{index + 1}")
    node: dict[str, Any] = {
        "name": name,
        "type": _TYPES.get(kind, kind),
        "title": text_of(given.get("name")) if given.get("id") else None,
        "message": text_of(given.get("prompt")) or None,
    }
    if kind == "get_user_input":
        node["variables"] = [
            _variable(place.at("variables").at(i), variable)
            for i, variable in enumerate(place.at("variables").sequence(given.get("variables")))
        ]
    elif kind == "mcp_tool":
        node["tool"] = _tool(given)
        bindings = place.at("input_bindings").mapping(given.get("input_bindings"))
        node["arguments"] = {
            field: _bound(place.at("input_bindings").at(field), bound)
            for field, bound in bindings.items()
        }
        named = _outputs(place.at("output_variables"), given, node)
        return [without_nothing(node), *named]
    elif kind == "send_output":
        shown = place.at("variable_refs").texts(given.get("variable_refs"))
        node["inputs"] = {variable: variable_template(variable) for variable in shown}
    return [without_nothing(node)]


def _variable(place: Place, given: Any) -> dict[str, Any]:
    variable = {k: v for k, v in place.mapping(given).items() if v is not None}
    return {**variable, "name": text_of(variable.get("name"))}


def _tool(given: Mapping[str, Any]) -> Any:
    server, tool = given.get("mcp_server_slug"), given.get("exposed_tool_name")
    if isinstance(server, str) and server and isinstance(tool, str) and tool:
        return f"{server}{_JOINT}{tool}"
    return tool or None


def _bound(place: Place, bound: Any) -> Any:
    if not isinstance(bound, Mapping):
        return bound
    binding = place.mapping(bound)
    if "variable" in binding:
        return variable_template(text_of(binding["variable"]))
    return binding.get("value", bound)


def _outputs(place: Place, given: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    """Name what a tool answers: all of it is the node's output, parts of it are assigned."""
    parts: dict[str, str] = {}
    for index, item in enumerate(place.sequence(given.get("output_variables"))):
        variable = place.at(index).mapping(item)
        name, path = text_of(variable.get("name")), text_of(variable.get("path")) or ""
        if not isinstance(name, str) or not isinstance(path, str):
            raise place.at(index).wrong("needs a name, and a path that is a text")
        inner = path.removeprefix("$").strip(".")
        if inner:
            parts[name] = inner
        else:
            node.setdefault("output", name)
    if not parts:
        return []
    whole = node.setdefault("output", _result_of(node["name"]))
    assign = {
        name: f"{whole}{path if path.startswith('[') else '.' + path}"
        for name, path in parts.items()
    }
    return [{"name": f"{node['name']}{_PARTS}", "type": "transform", "assign": assign}]


def _result_of(name: Any) -> str:
    return f"{_identifier(str(name))}_result"


def _identifier(name: str) -> str:
    plain = "".join(letter if letter.isalnum() else "_" for letter in name)
    return plain if plain[:1].isalpha() else f"_{plain}"


def write_actions(spec: WorkflowSpec) -> dict[str, Any]:
    """Write a workflow as actions; raises `WorkflowNotExpressible` where there are no words."""
    flow = as_flow(spec)
    by_name = {node.name: node for node in flow.nodes}
    node = next((node for node in flow.nodes if node.type == "start"), None)
    actions: list[dict[str, Any]] = []
    called: NodeSpec | None = None
    seen: set[str] = set()
    while node is not None:
        if node.name in seen:
            raise _inexpressible(node, "ways back")
        seen.add(node.name)
        if called is not None and node.name == f"{called.name}{_PARTS}":
            actions[-1]["output_variables"] = _output_variables(called, node)
        elif node.type not in {"start", "end"}:
            actions.append(_written(node))
        called = node if node.type == "tool" else None
        node = by_name.get(node.next) if node.next else None
    for left in flow.nodes:
        if left.name not in seen:
            raise _inexpressible(left, "branches")
    described: dict[str, Any] = {
        "name": flow.name,
        "description": flow.description,
        "default_model_ref": flow.model,
        "inputs": flow.inputs or None,
    }
    return {**without_nothing(described), "version": 2, "actions": actions}


def require_ends(actions: list[dict[str, Any]]) -> None:
    """Refuse what would be no sound actions: the first one asks, and the last one answers."""
    kinds = [action["type"] for action in actions] or [""]
    if (kinds[0], kinds[-1]) != ("get_user_input", "send_output"):
        raise WorkflowNotExpressible(
            "Actions begin with an input and end with an output, and this workflow does not; use "
            "the notation native.",
            details={"node": None},
        )


def _written(node: NodeSpec) -> dict[str, Any]:
    action: dict[str, Any] = {"id": node.name, "prompt": node.message or ""}
    if node.title:
        action["name"] = node.title
    if node.type == "input":
        variables = [variable.model_dump(exclude_none=True) for variable in node.variables]
        return {**action, "type": "get_user_input", "variables": variables}
    if node.type == "tool" and node.tool:
        server, joint, tool = node.tool.partition(_JOINT)
        return {
            **action,
            "type": "mcp_tool",
            "mcp_server_slug": server if joint else None,
            "exposed_tool_name": tool if joint else node.tool,
            "input_bindings": {name: _binding(value) for name, value in node.arguments.items()},
            "output_variables": _output_variables(node),
        }
    if node.type == "output":
        return {**action, "type": "send_output", "variable_refs": list(node.inputs)}
    raise _inexpressible(node, f"nodes of type {node.type or 'none'}")


def _output_variables(node: NodeSpec, parts: NodeSpec | None = None) -> list[dict[str, str]]:
    """Return the variables that a tool makes, and those that parts of its answer are taken to."""
    named = {node.output: ""} if node.output else {}
    if parts is not None and node.output == _result_of(node.name):
        named = {}
    for name, part in parts.assign.items() if parts else ():
        named[name] = part.removeprefix(node.output or "").removeprefix(".")
    return [{"name": name, "label": name, "path": path} for name, path in named.items()]


def _binding(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and variable_template(value[3:-3]) == value:
        return {"variable": value[3:-3]}
    return {"value": value}


def _inexpressible(node: NodeSpec, what: str) -> WorkflowNotExpressible:
    return WorkflowNotExpressible(
        f"The node {node.name!r} cannot be written as an action, for which there are no {what}; "
        "use the notation native.",
        details={"node": node.name},
    )
