"""Expressions and templates of nodes: whether they can be read, and whether what they read is made.

A variable is `x` or `context.x`. What a run is started with is not known here, so that a variable
which nothing makes is only worth a warning.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from muster.domains.work.plans import (
    ExpressionInvalid,
    NodeSpec,
    TaskSpec,
    WorkflowSpec,
    names_of,
    template_expressions,
)
from muster.domains.work.workflows.reaching import Edges, downwards
from muster.kernel.nearest import nearest

GIVEN = {"context", "history", "input", "last", "nodes", "templates"}
"""Names that every run has."""
_CONTEXT = "context"
_EXPRESSIONS = ("condition", "expression", "items", "when")
_TEMPLATES = (
    "prompt",
    "instructions",
    "message",
    "title",
    "until",
    "inputs",
    "arguments",
    "query",
    "glob",
    "agent",
    "tool",
    "crew",
    "workflow",
    "model",
)
_DEEPEST = 20
_LONGEST = 100


_MOST = 5_000
"""Most expressions that are looked at; each costs a parse."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong in an expression of the node with an index."""

    index: int
    path: str
    message: str
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """An expression and the variables that it reads; `fault` where it cannot be read."""

    index: int
    path: str
    names: frozenset[str] = frozenset()
    fault: str | None = None


def readings_of(spec: WorkflowSpec) -> list[Reading]:
    """Return every expression of a workflow, those in templates too."""
    every = (
        (index, path, expression)
        for index, node in enumerate(spec.nodes)
        for path, expression in _expressions_of(node)
    )
    parsed: dict[str, frozenset[str] | str] = {}
    found: list[Reading] = []
    for index, path, expression in islice(every, _MOST):
        if expression not in parsed:
            parsed[expression] = _names(expression)
        names = parsed[expression]
        if path.startswith("task.") and not isinstance(names, str):
            names = frozenset[str]()  # What a task reads is known when it is at work.
        if isinstance(names, str):
            found.append(Reading(index, path, fault=names))
        else:
            found.append(Reading(index, path, names))
    return found


def half_templates(index: int, node: NodeSpec) -> Iterator[Fault]:
    """Yield the texts in which a template begins and does not end, or the other way round."""
    for path, text in _texts_of(node):
        if text.count("{{") != text.count("}}"):
            what = "A template begins with {{ and ends with }}; one half is missing."
            yield Fault(index, path, what)


def _expressions_of(node: NodeSpec) -> Iterator[tuple[str, str]]:
    for name in _EXPRESSIONS:
        if expression := getattr(node, name):
            yield name, expression
    if isinstance(node.task, TaskSpec):
        for name in ("guardrail", "condition"):
            if expression := getattr(node.task, name):
                yield f"task.{name}", expression
    for variable, expression in node.assign.items():
        yield f"assign.{variable}", expression
    for path, text in _texts_of(node):
        # Behind the last end nothing is a template; to look for one there takes quadratic time.
        for expression in template_expressions(text[: text.rfind("}}") + 2]):
            yield path, expression


def _texts_of(node: NodeSpec) -> Iterator[tuple[str, str]]:
    for name in _TEMPLATES:
        yield from _texts_in(name, getattr(node, name), 0)


def _texts_in(path: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif depth > _DEEPEST:
        return
    elif isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, Any]", value).items():
            yield from _texts_in(f"{path}.{name}", inner, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[Any]", value)):
            yield from _texts_in(f"{path}.{index}", inner, depth + 1)


def _names(expression: str) -> frozenset[str] | str:
    """Return the variables that an expression reads, or what is wrong; `context.x` is x."""
    try:
        names = names_of(expression)
        if _CONTEXT in names:
            tree = ast.parse(expression.strip(), mode="eval")
            names |= {name for node in ast.walk(tree) if (name := _of_context(node))}
    except ExpressionInvalid as error:
        return error.detail[:500]
    except (RecursionError, MemoryError):
        return "The expression is nested too deeply."
    return frozenset(names)


def _of_context(node: ast.AST) -> str | None:
    match node:
        case ast.Attribute(value=ast.Name(id="context"), attr=name):
            return name
        case ast.Subscript(value=ast.Name(id="context"), slice=ast.Constant(value=str(name))):
            return name
        case _:
            return None


def undefined(spec: WorkflowSpec, edges: Edges, readings: Iterable[Reading]) -> Iterator[Fault]:
    """Yield the variables that no way to the node that reads them has made."""
    made = {node.name: _made_by(node) for node in spec.nodes}
    everything = GIVEN.union(spec.inputs, *made.values())
    before = _made_before(edges, made)
    seen: set[tuple[int, str]] = set()
    for reading in readings:
        node = spec.nodes[reading.index]
        missing = reading.names - before[node.name] - GIVEN - set(spec.inputs) - set(node.inputs)
        for name in sorted(missing):
            if (reading.index, name) not in seen:
                seen.add((reading.index, name))
                yield _missing(reading, name, everything)


def _missing(reading: Reading, name: str, everything: set[str]) -> Fault:
    if name in everything:
        text = f"{name} is read before a node makes it."
        return Fault(reading.index, reading.path, text)
    text = f"No node makes {name}; the run must be started with it among its inputs."
    return Fault(reading.index, reading.path, text, nearest(name, everything, cutoff=0.75))


def _made_by(node: NodeSpec) -> set[str]:
    made = {variable.name for variable in node.variables} | set(node.assign)
    if node.output:
        made.add(node.output)
    if node.type == "map":
        made |= {node.item, "index"}
    return made


def _made_before(edges: Edges, made: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Spread what nodes make to all that may come after them, until nothing changes.

    A variable is a bit: large workflows have many ways to go.
    """
    names = sorted(set[str]().union(*made.values()))
    bits = {name: 1 << place for place, name in enumerate(names)}
    own = {node: sum(bits[name] for name in variables) for node, variables in made.items()}
    found = dict.fromkeys(own, 0)
    order = downwards(edges)
    changed = True
    while changed:
        changed = False
        for node in order:
            after = found[node] | own[node]
            for following in edges.get(node, ()):
                if after & ~found[following]:
                    found[following] |= after
                    changed = True
    return {node: {name for name in names if bits[name] & mask} for node, mask in found.items()}
