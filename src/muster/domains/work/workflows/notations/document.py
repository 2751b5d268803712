"""The documents of the backoffice family: nodes that follow one another."""

from collections.abc import Mapping
from typing import Any, cast

from muster.domains.work.plans import NodeSpec, WorkflowSpec
from muster.domains.work.workflows.errors import WorkflowNotExpressible
from muster.domains.work.workflows.notations.chaining import as_flow
from muster.domains.work.workflows.notations.native import nodes_of
from muster.domains.work.workflows.notations.reading import (
    Place,
    Read,
    expression_of,
    free_name,
    literal,
    make_spec,
    text_of,
    variable_template,
    without_nothing,
)

TYPES = ("start", "end", "llm", "agent", "function", "if", "switch", "parallel", "rag_query")
MARKS = {
    "data_types",
    "llm_kwargs",
    "llm_model",
    "mcp_servers",
    "python_functions",
    "rag_collection",
    "rag_service",
    "rest_servers",
}
"""Fields that only documents have."""
OF_CHATS = {
    "use_history",
    "history_limit",
    "history_max_chars",
    "stream_output",
    "stream_delta",
    "stream_instructions",
    "stream_partials",
}
"""What documents say about a chat around the run."""
NODE_MARKS = {"else", "expr", "allowed_tools", "llm_kwargs"} | OF_CHATS
URIS = ("tool", "tool_uri", "uri", "function")
"""What the tool of a function may be called."""
_SPELLINGS = {
    "otherwise": ["else"],
    "expression": ["expr"],
    "model": ["llm_model"],
    "model_settings": ["llm_kwargs"],
    "tools": ["allowed_tools"],
    "arguments": ["inputs"],
    "tool": URIS,
}
_RETRIEVED = ("query", "top_k", "glob", "store")
OF_COLLECTIONS = (
    "service",
    "collection",
    "source_ids",
    "match",
    "keep_best",
    "min_similarity",
)
"""What documents say about retrieval, and a search in files has not."""
_JOINT = "__"
"""Between a server and its tool, in the names of the catalogue."""


def is_document(document: Mapping[str, Any]) -> bool:
    """Tell whether nodes are written as in the backoffice family."""
    if "mode" in document:
        return False
    if MARKS & set(document):
        return True
    nodes: Any = document.get("nodes")
    listed: Any = list(nodes.values()) if isinstance(nodes, dict) else nodes  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return isinstance(listed, list) and any(_is_marked(node) for node in cast("list[Any]", listed))


def _is_marked(node: Any) -> bool:
    if not isinstance(node, Mapping):
        return False
    given = cast("Mapping[Any, Any]", node)
    return str(given.get("type")) in {"function", "rag_query"} or bool(NODE_MARKS & set(given))


def read_document(document: dict[str, Any], lines: Mapping[str, int]) -> Read:
    """Read a document of the backoffice family."""
    root = Place("", lines)
    listed = nodes_of(root.at("nodes"), document.get("nodes"))
    settings = root.at("llm_kwargs").mapping(document.get("llm_kwargs"))
    nodes = [
        (_node(place, given, index, settings), place.path)
        for index, (place, given) in enumerate(listed)
    ]
    placed: list[tuple[dict[str, Any], str | None]] = [*nodes]
    start = text_of(document.get("start"))
    if isinstance(start, str) and not any(node["type"] == "start" for node, _ in nodes):
        name = free_name("start", (str(node["name"]) for node, _ in nodes))
        placed.insert(0, ({"name": name, "type": "start", "next": start}, None))
    values = {
        "name": text_of(document.get("name")) or None,
        "description": text_of(document.get("description")),
        "mode": "flow",
        "model": document.get("llm_model"),
        "inputs": document.get("inputs"),
        "templates": _templates(root.at("templates"), document.get("templates")),
        "result": _result(listed, nodes),
    }
    return make_spec(
        values, placed, notation="document", document=document, lines=lines, spellings=_SPELLINGS
    )


def _templates(place: Place, given: Any) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {name: text_of(value) for name, value in place.mapping(given).items()}
    found: dict[str, str] = {}
    for index, item in enumerate(place.sequence(given)):
        template = place.at(index).mapping(item)
        found[str(template.get("name", index))] = text_of(template.get("value") or "")
    return found


def _result(
    listed: list[tuple[Place, dict[str, Any]]], nodes: list[tuple[dict[str, Any], str]]
) -> str | None:
    """Return the variable that the ends give back, where they say it or a node makes it."""
    named = {
        place.at("output").word(given["output"])
        for place, given in listed
        if given.get("type") == "end" and given.get("output")
    }
    if len(named) == 1:
        return named.pop()
    made = {node.get("output") for node, _ in nodes}
    return "output" if "output" in made and not named else None


def _node(
    place: Place, given: dict[str, Any], index: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    kind = place.at("type").word(given.get("type"))
    output = place.at("output").word(given.get("output")) or None
    node: dict[str, Any] = {
        "name": place.at("name").word(given.get("name"), f"node_{index + 1}"),
        "type": {"function": "tool", "rag_query": "retrieval"}.get(kind, kind),
        "description": text_of(given.get("description")),
        "next": text_of(given.get("next")),
        "output": output if kind != "end" else None,
    }
    inputs = _inputs(place.at("inputs"), given.get("inputs"))
    if kind == "function":
        node |= {"tool": _uri(given), "arguments": inputs}
    elif kind == "rag_query":
        node |= {name: given.get(name) for name in _RETRIEVED}
        node["inputs"] = {name: given[name] for name in OF_COLLECTIONS if name in given}
    else:
        node["inputs"] = inputs
    own = place.at("llm_kwargs").mapping(given.get("llm_kwargs"))
    node |= {
        "agent": given.get("agent"),
        "instructions": given.get("instructions"),
        "prompt": text_of(given.get("prompt")),
        "model": given.get("llm_model"),
        "model_settings": {**settings, **own} if kind in {"llm", "agent"} else own,
        "max_steps": given.get("max_steps"),
        "tools": [
            tool_named(uri) for uri in place.at("allowed_tools").texts(given.get("allowed_tools"))
        ],
        "condition": expression_of(given.get("condition")),
        "then": text_of(given.get("then")),
        "otherwise": text_of(given.get("else")),
        "expression": expression_of(given.get("expr")),
        "cases": {
            name: text_of(target)
            for name, target in place.at("cases").mapping(given.get("cases")).items()
        },
        "default": text_of(given.get("default")),
        "branches": place.at("branches").texts(given.get("branches")),
        "max_concurrency": given.get("max_concurrency"),
    }
    return without_nothing(node)


def _inputs(place: Place, given: Any) -> dict[str, Any]:
    """Read `{type: context|literal|history, value}`; other values are taken as they are."""
    found: dict[str, Any] = {}
    for name, value in place.mapping(given).items():
        if not isinstance(value, Mapping) or "type" not in value:
            found[name] = value
            continue
        source = place.at(name).mapping(value)
        if source["type"] == "context":
            found[name] = variable_template(source.get("value", name))
        elif source["type"] == "history":
            found[name] = "{{ history }}"
        elif source["type"] == "literal":
            found[name] = literal(source.get("value"))
        else:
            raise place.at(name).wrong("type must be context, literal or history")
    return found


def _uri(given: Mapping[str, Any]) -> Any:
    uri = next((given[name] for name in URIS if given.get(name)), None)
    return tool_named(uri) if isinstance(uri, str) else uri


def tool_named(uri: str) -> str:
    """Return the tool that a URI means: `mcp://search.find` is `search__find`."""
    _, scheme, name = uri.strip().rpartition("://")
    if not scheme:
        return name
    server, dot, tool = name.partition(".")
    return f"{server}{_JOINT}{tool}" if dot else name


def write_document(spec: WorkflowSpec) -> dict[str, Any]:
    """Write a workflow as a document; raises `WorkflowNotExpressible` where it has no words."""
    flow = as_flow(spec)
    document: dict[str, Any] = {
        "name": flow.name,
        "description": flow.description,
        "version": "2.0",
        "llm_model": flow.model,
        "inputs": flow.inputs or None,
        "templates": [{"name": n, "value": v} for n, v in flow.templates.items()] or None,
        "data_types": {node.output: {} for node in flow.nodes if node.output},
        "nodes": [_written(node, flow.result) for node in flow.nodes],
    }
    return without_nothing(document)


def _written(node: NodeSpec, result: str | None) -> dict[str, Any]:
    kind = {"tool": "function", "retrieval": "rag_query"}.get(node.type, node.type)
    if kind not in TYPES:
        raise _inexpressible(node, f"nodes of type {node.type or 'none'}")
    given: dict[str, Any] = {
        "name": node.name,
        "type": kind,
        "description": node.description,
        "tool": f"tool://{node.tool}" if kind == "function" else None,
        "agent": node.agent,
        "instructions": node.instructions,
        "prompt": node.prompt,
        "llm_model": node.model,
        "llm_kwargs": node.model_settings or None,
        "max_steps": node.max_steps,
        "allowed_tools": [f"tool://{tool}" for tool in node.tools] or None,
        "condition": node.condition,
        "then": node.then,
        "else": node.otherwise,
        "expr": node.expression,
        "cases": node.cases or None,
        "default": node.default,
        "branches": node.branches or None,
        "max_concurrency": node.max_concurrency,
        "output": result if kind == "end" else node.output,
        "next": node.next,
    }
    if kind == "rag_query":
        given |= {name: getattr(node, name) for name in _RETRIEVED} | node.inputs
    else:
        values = node.arguments if kind == "function" else node.inputs
        given["inputs"] = {name: _input(value) for name, value in values.items()} or None
    return without_nothing(given)


def _input(value: Any) -> Any:
    """Return a value as it is, unless it would be taken for one that says where it comes from."""
    if isinstance(value, dict) and "type" in value:
        return {"type": "literal", "value": cast("dict[str, Any]", value)}
    return cast("Any", value)


def _inexpressible(node: NodeSpec, what: str) -> WorkflowNotExpressible:
    return WorkflowNotExpressible(
        f"The node {node.name!r} cannot be written as a document, which has no {what}; use the "
        "notation native.",
        details={"node": node.name},
    )
