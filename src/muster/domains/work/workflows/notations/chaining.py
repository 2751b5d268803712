"""Turning one shape of a workflow into the other: a graph into a flow, a flow into steps."""

from collections.abc import Iterator
from dataclasses import dataclass

from muster.domains.work.plans import NodeSpec, WorkflowSpec
from muster.domains.work.workflows.errors import WorkflowNotExpressible
from muster.domains.work.workflows.notations.reading import free_name


@dataclass(frozen=True, slots=True)
class Target:
    """One node that another names. `field` is where it does, `label` what leads there."""

    name: str
    field: str
    label: str = ""


def targets_of(node: NodeSpec) -> Iterator[Target]:
    """Yield the nodes that may follow a node of a flow."""
    if node.then:
        yield Target(node.then, "then", node.condition or "then")
    if node.otherwise:
        yield Target(node.otherwise, "otherwise", "else")
    for value, name in node.cases.items():
        yield Target(name, f"cases.{value}", value)
    if node.default:
        yield Target(node.default, "default", "default")
    for index, name in enumerate(node.branches):
        yield Target(name, f"branches.{index}")
    if node.body:
        yield Target(node.body, "body", "each" if node.type == "map" else "while")
    if node.next:
        yield Target(node.next, "next")
    if node.on_error:
        yield Target(node.on_error, "on_error", "on error")


def as_flow(spec: WorkflowSpec) -> WorkflowSpec:
    """Return a workflow as a flow; raises `WorkflowNotExpressible` unless a graph is a chain."""
    if spec.mode == "flow":
        return spec
    ordered = _chain(spec)
    names = [node.name for node in ordered]
    nodes: list[NodeSpec] = []
    for node, following in zip(ordered, [*names[1:], None], strict=True):
        nodes.append(node.model_copy(update={"depends_on": [], "next": following}))
    if not ordered or ordered[0].type != "start":
        name = free_name("start", names)
        first = names[0] if names else None
        nodes.insert(0, NodeSpec(name=name, type="start", next=first))
    if nodes[-1].type != "end":
        name = free_name("end", [node.name for node in nodes])
        nodes[-1] = nodes[-1].model_copy(update={"next": name})
        nodes.append(NodeSpec(name=name, type="end"))
    return spec.model_copy(update={"mode": "flow", "nodes": nodes})


def _chain(spec: WorkflowSpec) -> list[NodeSpec]:
    following: dict[str, NodeSpec] = {}
    first: NodeSpec | None = None
    for node in spec.nodes:
        if len(node.depends_on) > 1 or node.when is not None or node.then or node.cases:
            raise _no_chain(node)
        if not node.depends_on:
            if first is not None:
                raise _no_chain(node)
            first = node
        elif node.depends_on[0] in following:
            raise _no_chain(node)
        else:
            following[node.depends_on[0]] = node
    ordered: list[NodeSpec] = []
    node = first
    while node is not None:
        ordered.append(node)
        node = following.pop(node.name, None)
    for left in following.values():
        raise _no_chain(left)
    return ordered


def _no_chain(node: NodeSpec) -> WorkflowNotExpressible:
    return WorkflowNotExpressible(
        f"The step {node.name!r} keeps this graph from being one chain, which is all that the "
        "notation has words for; use the notation steps or native.",
        details={"node": node.name},
    )


def predecessors(spec: WorkflowSpec) -> dict[str, list[str]]:
    """Return for each node those that lead to it, without those that only lead back to it."""
    found: dict[str, list[str]] = {node.name: list(node.depends_on) for node in spec.nodes}
    if spec.mode == "graph":
        return found
    by_name = {node.name: node for node in spec.nodes}
    for source, target in _forward(spec, by_name):
        if source not in found[target]:
            found[target].append(source)
    return found


def _forward(spec: WorkflowSpec, by_name: dict[str, NodeSpec]) -> Iterator[tuple[str, str]]:
    """Yield the edges of a flow that do not close a circle, by a search from its start."""
    done: set[str] = set()
    starts = sorted(spec.nodes, key=lambda node: node.type != "start")
    for start in starts:
        if start.name in done:
            continue
        under_way = {start.name}
        stack = [(start.name, iter(list(targets_of(start))))]
        while stack:
            name, left = stack[-1]
            target = next(left, None)
            if target is None:
                stack.pop()
                under_way.discard(name)
                done.add(name)
            elif target.name in by_name and target.name not in under_way:
                yield name, target.name
                if target.name not in done:
                    under_way.add(target.name)
                    stack.append((target.name, iter(list(targets_of(by_name[target.name])))))
