"""What leads where in a workflow. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from muster.domains.work.plans import WorkflowSpec
from muster.domains.work.workflows.notations.chaining import targets_of

Edges = Mapping[str, Collection[str]]


def successors(spec: WorkflowSpec) -> dict[str, list[str]]:
    """Return for each node those that may come after it; names that mean nothing are left out."""
    names = {node.name for node in spec.nodes}
    found: dict[str, list[str]] = {name: [] for name in names}
    for node in spec.nodes:
        if spec.mode == "flow":
            found[node.name] += [t.name for t in targets_of(node) if t.name in names]
        for before in node.depends_on:
            if before in names:
                found[before].append(node.name)
    return found


def reached(edges: Edges, starts: Iterable[str]) -> set[str]:
    """Return what can be reached from some nodes, themselves included."""
    found = set(starts)
    left = list(found)
    while left:
        for name in edges.get(left.pop(), ()):
            if name not in found:
                found.add(name)
                left.append(name)
    return found


def descendants(edges: Edges, start: str, *, without: str | None) -> set[str]:
    """Return what can be reached from a node on ways that do not pass another one."""
    cut = {name: () if name == without else targets for name, targets in edges.items()}
    return reached(cut, [start]) - {without or ""}


def circles(edges: Edges) -> Iterator[list[str]]:
    """Yield circles, one for each group of nodes that lead to one another."""
    state: dict[str, int] = {}
    for start in edges:
        if start in state:
            continue
        path = [start]
        stack = [iter(edges[start])]
        state[start] = 1
        while stack:
            name = next(stack[-1], None)
            if name is None:
                state[path.pop()] = 2
                stack.pop()
            elif state.get(name) == 1:
                yield [*path[path.index(name) :], name]
            elif name not in state and name in edges:
                state[name] = 1
                path.append(name)
                stack.append(iter(edges[name]))


def downwards(edges: Edges) -> list[str]:
    """Return nodes such that each comes before those it leads to, circles apart."""
    left: list[str] = []
    seen: set[str] = set()
    for start in edges:
        if start in seen:
            continue
        seen.add(start)
        stack = [(start, iter(edges[start]))]
        while stack:
            name, following = stack[-1]
            target = next(following, None)
            if target is None:
                left.append(name)
                stack.pop()
            elif target not in seen and target in edges:
                seen.add(target)
                stack.append((target, iter(edges[target])))
    return left[::-1]
