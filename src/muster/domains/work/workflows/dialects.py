"""Rules that only one notation has: those of documents, and those of actions."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from muster.domains.work.plans import PlanProblem
from muster.domains.work.workflows.notations import Read
from muster.kernel.nearest import nearest

_SHOWN = 100


def dialect_problems(read: Read) -> Iterator[PlanProblem]:
    """Yield what is wrong by the rules of the notation; paths are those of what was written."""
    if read.notation == "document":
        yield from _of_document(read)
    elif read.notation == "actions":
        yield from _of_actions(read)


def _of_document(read: Read) -> Iterator[PlanProblem]:
    nodes = listed(read.document.get("nodes"), "nodes")
    types: Any = read.document.get("data_types")
    ends = {
        path: str(node.get("output") or "output")
        for path, node in nodes
        if node.get("type") == "end"
    }
    for path, output in list(ends.items())[1:]:
        if output != next(iter(ends.values())):
            text = "All nodes of type end must give back the same output."
            yield _problem(read, f"{path}.output", text)
    if any(node.get("type") == "rag_query" for _, node in nodes):
        for name in ("rag_service", "rag_collection"):
            if read.document.get(name):
                text = f"Files of the project are searched, which know no {name}; leave it out."
                yield _problem(read, name, text)
    for path, node in nodes:
        output, kind = node.get("output"), node.get("type")
        declared = kind in {"rag_query", "end"} or not isinstance(types, Mapping)
        if isinstance(output, str) and not declared and output not in types:
            text = f"The output {output[:_SHOWN]!r} is not declared in data_types."
            yield _problem(read, f"{path}.output", text, severity="warning")
        service = node.get("service")
        if isinstance(service, str) and ("://" in service or "@" in service):
            text = "A service is named, never addressed; take :// and @ out."
            yield _problem(read, f"{path}.service", text)


def _of_actions(read: Read) -> Iterator[PlanProblem]:
    actions = listed(read.document.get("actions"), "actions")
    if not actions:
        return
    (first, ask), (last, tell) = actions[0], actions[-1]
    if _kind(ask) != "get_user_input":
        yield _problem(read, first, "The first action must be get_user_input.")
    if _kind(tell) != "send_output":
        yield _problem(read, last, "The last action must be send_output.")
    made: set[str] = set()
    for path, action in actions:
        for where, name in _used(path, action):
            if name.partition(".")[0] not in made:
                text = f"No action before this one makes the variable {name[:_SHOWN]!r}."
                yield _problem(read, where, text, suggestion=nearest(name, made))
        for part in ("variables", "output_variables"):
            for where, variable in listed(action.get(part), f"{path}.{part}"):
                name = str(variable.get("name") or "")
                if name in made:
                    text = f"The variable {name[:_SHOWN]!r} is there already."
                    yield _problem(read, f"{where}.name", text)
                made.add(name)


def _used(path: str, action: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    bindings = action.get("input_bindings")
    if isinstance(bindings, Mapping):
        for field, binding in cast("Mapping[str, Any]", bindings).items():
            if isinstance(binding, Mapping) and "variable" in binding:
                named = str(cast("Mapping[str, Any]", binding)["variable"])
                yield f"{path}.input_bindings.{field}", named
    shown = action.get("variable_refs")
    for index, name in enumerate(cast("list[Any]", shown) if isinstance(shown, list) else []):
        yield f"{path}.variable_refs.{index}", str(name)


def _kind(action: Mapping[str, Any]) -> Any:
    return action.get("type") or action.get("action")


def listed(given: Any, path: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the mappings in a list or by their names, each with its path."""
    named: list[tuple[Any, Any]] = []
    if isinstance(given, Mapping):
        named = list(cast("Mapping[Any, Any]", given).items())
    elif isinstance(given, list):
        named = list(enumerate(cast("list[Any]", given)))
    return [(f"{path}.{key}", item) for key, item in named if isinstance(item, Mapping)]


def _problem(read: Read, path: str, message: str, **others: Any) -> PlanProblem:
    return PlanProblem(path, message, line=read.line_of(path), **others)
