"""Boxes and edges of whatever looks like a workflow, however half-edited it is. Never raises."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from muster.domains.work.plans import CrewSpec, TaskSpec
from muster.domains.work.workflows.notations import unwrapped

MOST_BOXES = 1_000
MOST_EDGES = 5_000
_LONGEST = 200
_ACTIONS = {"get_user_input": "input", "mcp_tool": "tool", "send_output": "output"}
_BODIES = {"map": "each", "loop": "again"}


@dataclass(frozen=True, slots=True)
class Box:
    """A node. `kind` is what is written below its name."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Edge:
    """What leads from one box, by its number, to another."""

    source: int
    target: int
    label: str = ""
    dashed: bool = False


@dataclass(slots=True)
class Graph:
    """What is drawn. `starts` are the boxes that everything begins at, as far as that is known."""

    boxes: list[Box] = field(default_factory=list[Box])
    edges: list[Edge] = field(default_factory=list[Edge])
    starts: list[int] = field(default_factory=list[int])
    left_out: int = 0

    def connect(self, source: int, target: int, label: str = "", *, dashed: bool = False) -> None:
        edge = Edge(source, target, label, dashed)
        if len(self.edges) < MOST_EDGES:
            self.edges.append(edge)

    def finish(self) -> "Graph":
        """Drop what is there twice, and begin where nothing leads to unless a start is known."""
        self.edges = list(dict.fromkeys(self.edges))
        if not self.starts:
            led_to = {edge.target for edge in self.edges if edge.source != edge.target}
            free = [index for index in range(len(self.boxes)) if index not in led_to]
            self.starts = free or [0][: len(self.boxes)]
        return self


def gather(workflow: Any) -> Graph:
    """Return what there is to draw in a document of any notation."""
    given, _ = unwrapped(workflow, {})
    if isinstance(given, list):
        given = cast("Any", {"nodes": given})
    if not isinstance(given, Mapping):
        return Graph()
    document = cast("Mapping[Any, Any]", given)
    for part, draw in (("nodes", _of_nodes), ("steps", _of_steps), ("actions", _of_actions)):
        nodes = _nodes(document.get(part))
        if nodes:
            graph = draw(nodes[:MOST_BOXES], document)
            graph.left_out = max(0, len(nodes) - MOST_BOXES)
            return graph.finish()
    return Graph()


def _nodes(given: Any) -> list[Mapping[Any, Any]]:
    if isinstance(given, Mapping):
        named = cast("Mapping[Any, Any]", given)
        given = [
            {"name": name, **cast("Mapping[Any, Any]", node)}
            for name, node in named.items()
            if isinstance(node, Mapping)
        ]
    if not isinstance(given, list):
        return []
    return [node for node in cast("list[Any]", given) if isinstance(node, Mapping)]


def text(value: Any) -> str:
    """Return the text of a name or label; of what has none, nothing."""
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < 10**18:
        return str(value)
    return f"{value:g}" if isinstance(value, float) else ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        yield from (text(item) for item in cast("list[Any]", value))
    elif (single := text(value)) != "":
        yield single


class _Names:
    """Finds boxes by what nodes are called; the first of a name counts."""

    def __init__(self, nodes: list[Mapping[Any, Any]], *keys: str) -> None:
        self._found: dict[str, int] = {}
        for key in reversed(keys):
            for index, node in reversed(list(enumerate(nodes))):
                if name := text(node.get(key)):
                    self._found[name] = index

    def find(self, reference: Any) -> int | None:
        return self._found.get(text(reference)) if text(reference) else None


def _of_nodes(nodes: list[Mapping[Any, Any]], document: Mapping[Any, Any]) -> Graph:
    graph = Graph([Box(text(n.get("name")), text(n.get("type"))) for n in nodes])
    names = _Names(nodes, "name")
    in_graph = document.get("mode") == "graph"
    for index, node in enumerate(nodes):
        for label, target in _leading(node, in_graph=in_graph):
            if (found := names.find(target)) is not None:
                graph.connect(index, found, label)
        for before in _texts(node.get("depends_on")):
            if (found := names.find(before)) is not None:
                graph.connect(found, index, _branch(nodes[found], node))
    graph.starts = [index for index, box in enumerate(graph.boxes) if box.kind == "start"][:1]
    if not graph.starts and (start := names.find(document.get("start"))) is not None:
        graph.starts = [start]
    if in_graph:
        graph.starts = []
    return graph


def _leading(node: Mapping[Any, Any], *, in_graph: bool) -> Iterator[tuple[str, Any]]:
    """Yield label and target of the edges that leave a node."""
    kind = text(node.get("type"))
    if in_graph:
        return
    if kind == "if" or "then" in node:
        yield text(node.get("condition")), node.get("then")
        yield "else", node.get("else", node.get("otherwise"))
    if isinstance(cases := node.get("cases"), Mapping):
        for value, target in cast("Mapping[Any, Any]", cases).items():
            yield text(value), target
    if kind == "switch":
        yield "default", node.get("default")
    for branch in _texts(node.get("branches")):
        yield "", branch
    if "body" in node:
        yield _BODIES.get(kind, "body"), node.get("body")
    if kind not in {"parallel", "end"} or (kind == "parallel" and not node.get("branches")):
        yield "", node.get("next")
    if node.get("on_error"):
        yield "on error", node.get("on_error")


def _branch(source: Mapping[Any, Any], target: Mapping[Any, Any]) -> str:
    """Return the label of a branch of a graph: the condition under which it is taken."""
    return text(target.get("when")) if text(source.get("type")) in {"if", "switch"} else ""


def _of_steps(steps: list[Mapping[Any, Any]], _: Mapping[Any, Any]) -> Graph:
    kinds = [text(step.get("step_type") or step.get("type")) for step in steps]
    shown = [text(step.get("name")) or f"step_{i + 1}" for i, step in enumerate(steps)]
    graph = Graph([Box(name, kind) for name, kind in zip(shown, kinds, strict=True)])
    names = _Names(steps, "name", "id", "order")
    branches: set[tuple[int, int]] = set()
    for index, step in enumerate(steps):
        for label, target in _configured(step):
            if (found := names.find(target)) is not None and found != index:
                branches.add((index, found))
                graph.connect(index, found, label)
    depending = [list(_texts(step.get("depends_on"))) for step in steps]
    if not any(depending):
        _chain(graph, steps, branches)
        return graph
    for index, before in enumerate(depending):
        for name in before:
            found = names.find(name)
            if found is not None and (found, index) not in branches:
                graph.connect(found, index)
    return graph


def _configured(step: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield label and target of the branches that a step's configuration names."""
    given = step.get("config")
    config = cast("Mapping[Any, Any]", given) if isinstance(given, Mapping) else step
    yield text(config.get("condition")) or "then", config.get("then", config.get("on_true"))
    for name in ("else", "otherwise", "on_false"):
        yield "else", config.get(name)
    if isinstance(cases := config.get("cases"), Mapping):
        for value, target in cast("Mapping[Any, Any]", cases).items():
            yield text(value), target
    yield "default", config.get("default")


def _chain(graph: Graph, steps: list[Mapping[Any, Any]], branches: set[tuple[int, int]]) -> None:
    """Connect steps in their order; those that a branch leads to follow their branch alone."""
    ordered = sorted(range(len(steps)), key=lambda index: _order(steps[index], index))
    led_to = {target for _, target in branches}
    ends: list[int] = []
    in_branches = False
    for index in ordered:
        if index in led_to:
            ends = [*ends, index] if in_branches else [index]
            in_branches = True
            continue
        for before in ends:
            graph.connect(before, index)
        ends, in_branches = [index], False


def _order(step: Mapping[Any, Any], index: int) -> tuple[float, int]:
    order = step.get("order")
    if isinstance(order, int | float) and abs(order) < 10**18:
        return float(order), index
    return float(index), index


def _of_actions(actions: list[Mapping[Any, Any]], _: Mapping[Any, Any]) -> Graph:
    graph = Graph()
    for index, action in enumerate(actions):
        kind = text(action.get("type") or action.get("action"))
        name = text(action.get("name")) or text(action.get("id")) or f"action_{index + 1}"
        graph.boxes.append(Box(name, _ACTIONS.get(kind, kind)))
        if index:
            graph.connect(index - 1, index)
    return graph


def gather_crew(spec: CrewSpec) -> Graph:
    """Return the tasks of a crew with their agents; solid lines are context, dashed ones order."""
    graph = Graph()
    keys: dict[str, int] = {}
    tasks, managed = spec.tasks[:MOST_BOXES], spec.process == "hierarchical"
    unassigned = "manager's choice" if managed else "no agent"
    for index, task in enumerate(tasks):
        name = task.name or task.key or f"Task {index + 1}"
        graph.boxes.append(Box(name[:_LONGEST], (task.agent or unassigned)[:_LONGEST]))
        for reference in (task.name, task.key):
            if reference:
                keys.setdefault(reference, index)
    context = [
        {keys[name] for name in task.context if name in keys and keys[name] != index}
        for index, task in enumerate(tasks)
    ]
    for index, known in enumerate(context):
        for before in sorted(known):
            graph.connect(before, index)
    if managed and tasks:
        manager = len(graph.boxes)
        name = spec.manager_agent or spec.manager_llm or "Manager"
        graph.boxes.append(Box(name[:_LONGEST], "manager"))
        graph.starts = [manager]
        for index in range(len(tasks)):
            graph.connect(manager, index, dashed=True)
    else:
        for before, index in _in_order(tasks, context):
            graph.connect(before, index, dashed=True)
    graph.left_out = max(0, len(spec.tasks) - MOST_BOXES)
    return graph.finish()


def _in_order(tasks: list[TaskSpec], context: list[set[int]]) -> Iterator[tuple[int, int]]:
    """Yield which task waits for which, besides for its context, as crews are executed.

    What another line says already, over however many tasks, is left out.
    """
    barrier: set[int] = set()
    since: set[int] = set()
    reached: list[int] = []  # by task, a bit for each one that has ended when it begins
    for index, task in enumerate(tasks):
        waits = barrier if task.async_execution else since or barrier
        before = waits | {one for one in context[index] if one < index}
        for one in sorted(waits - context[index]):
            if not any(reached[other] >> one & 1 for other in before):
                yield one, index
        bits = 0
        for one in before:
            bits |= reached[one] | 1 << one
        reached.append(bits)
        if task.async_execution:
            since.add(index)
        else:
            barrier, since = {index}, set()
