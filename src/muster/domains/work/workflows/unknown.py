"""Fields that nothing reads: most of them are misspelt, and what they were to say is not done."""

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import AliasChoices, BaseModel

from muster.domains.work.plans import NodeSpec, PlanProblem, Retry, TaskSpec, Variable, WorkflowSpec
from muster.domains.work.workflows.dialects import listed
from muster.domains.work.workflows.notations import Notation, Read
from muster.domains.work.workflows.notations.document import (
    MARKS,
    NODE_MARKS,
    OF_COLLECTIONS,
    URIS,
)
from muster.domains.work.workflows.notations.native import ALIASES
from muster.domains.work.workflows.notations.steps import BESIDE
from muster.kernel.nearest import nearest

_SHOWN = 100
_EVERYWHERE = {"id", "metadata"}
_AROUND = {
    "name",
    "description",
    "inputs",
    "version",
    "config",
    "is_template",
    *_EVERYWHERE,
    "files",
}
"""What may be said about any workflow; `files` are those that `muster run` brings along."""
_ON_ALL = {"name", "description", "label", "position"} | _EVERYWHERE
"""What may be said about any node; editors keep there where it is drawn."""
_WHOLE: Mapping[Notation, Collection[str]] = {
    "native": set(WorkflowSpec.model_fields),
    "document": {"nodes", "templates", "start"} | MARKS,
    "steps": {"steps", "model", "llm_model", "templates", "result", "mode"},
    "actions": {"actions", "default_model_ref"},
}
_NODES: Mapping[Notation, tuple[str, Collection[str]]] = {
    "native": ("nodes", {*NodeSpec.model_fields, *ALIASES}),
    "document": (
        "nodes",
        {"type", "next", "output", "inputs", "agent", "instructions", "prompt", "llm_model"}
        | {"max_steps", "method", "condition", "then", "cases", "default", "branches"}
        | {"max_concurrency", "query", "top_k", "glob", "store", *URIS}
        | {*NODE_MARKS, *OF_COLLECTIONS},
    ),
    "steps": (
        "steps",
        {"type", "step_type", "order", "config", "agent_id", "depends_on", "workflow_id", *BESIDE},
    ),
    "actions": (
        "actions",
        {"type", "action", "prompt", "variables", "mcp_server_slug", "exposed_tool_name"}
        | {"input_bindings", "output_variables", "variable_refs"},
    ),
}


def unknown_fields(read: Read) -> Iterator[PlanProblem]:
    """Yield the fields that no workflow, or no node, of the notation has.

    In the product's own notation each is an error; what others write in theirs may be meant for
    them alone, and is worth a warning.
    """
    part, known = _NODES[read.notation]
    yield from _unknown(read, "", read.document, _AROUND.union(_WHOLE[read.notation]), "workflow")
    words = _ON_ALL.union(known)
    for path, node in listed(read.document.get(part), part):
        yield from _unknown(read, path, node, words, part.removesuffix("s"))
        if read.notation == "native":
            yield from _inside(read, path, node)


def _inside(read: Read, path: str, node: Mapping[str, Any]) -> Iterator[PlanProblem]:
    for name, model in (("retry", Retry), ("task", TaskSpec)):
        if isinstance(node.get(name), Mapping):
            yield from _unknown(read, f"{path}.{name}", node[name], _words(model), name)
    for where, variable in listed(node.get("variables"), f"{path}.variables"):
        yield from _unknown(read, where, variable, _words(Variable), "variable")


@cache
def _words(model: type[BaseModel]) -> set[str]:
    found = set(model.model_fields)
    for info in model.model_fields.values():
        if isinstance(info.validation_alias, AliasChoices):
            found |= {word for word in info.validation_alias.choices if isinstance(word, str)}
    return found


def _unknown(
    read: Read, path: str, given: Mapping[str, Any], known: Collection[str], what: str
) -> Iterator[PlanProblem]:
    for name in map(str, given):
        if name not in known and not name.startswith(("_", "x-")):
            where = f"{path}.{name}".lstrip(".")
            yield PlanProblem(
                where,
                f"A {what} has no field {name[:_SHOWN]!r}; it does nothing.",
                line=read.line_of(where),
                suggestion=nearest(name, known),
                severity="error" if read.notation == "native" else "warning",
            )
