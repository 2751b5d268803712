"""Where boxes lie: in rows from top to bottom, each below everything that leads to it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from muster.domains.work.workflows.gathering import Edge, Graph

WIDTH, HEIGHT = 168, 56
GAP_X, GAP_Y = 44, 76
MARGIN = 28
_SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """Upper left corners of the boxes, their rows, and the size of all of them with a margin."""

    corners: Sequence[tuple[float, float]]
    rows: Sequence[int]
    width: float
    height: float


def lay_out(graph: Graph) -> Layout:
    """Place the boxes of a graph."""
    if not graph.boxes:
        return Layout([], [], 2 * MARGIN, 2 * MARGIN)
    rows = _rows(graph)
    lines: list[list[int]] = [[] for _ in range(max(rows) + 1)]
    for index, row in enumerate(rows):
        lines[row].append(index)
    _untangle(lines, graph.edges, rows)
    widths = [len(line) * WIDTH + (len(line) - 1) * GAP_X for line in lines]
    widest = max(widths)
    corners = [(0.0, 0.0)] * len(rows)
    for row, line in enumerate(lines):
        left = MARGIN + (widest - widths[row]) / 2
        for place, index in enumerate(line):
            corners[index] = (left + place * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y))
    height = 2 * MARGIN + len(lines) * HEIGHT + (len(lines) - 1) * GAP_Y
    return Layout(corners, rows, 2 * MARGIN + widest, height)


def _rows(graph: Graph) -> list[int]:
    """Return the row of each box: what the starts reach first, all else below it."""
    count = len(graph.boxes)
    targets: list[list[int]] = [[] for _ in range(count)]
    for edge in graph.edges:
        targets[edge.source].append(edge.target)
    found, order = _search(graph.starts, targets, set())
    rows = [0] * count
    _rank(order, targets, found, rows, 0)
    left = [index for index in range(count) if index not in found]
    if left:
        below = max((rows[index] for index in found), default=-1) + 1
        others, order = _search(left, targets, found)
        _rank(order, targets, others, rows, below)
    return rows


def _search(
    starts: Sequence[int], targets: Sequence[Sequence[int]], passed: set[int]
) -> tuple[set[int], list[int]]:
    """Search depth first; return what was found, and the order in which it was left."""
    found: set[int] = set()
    left: list[int] = []
    for start in starts:
        if start in found or start in passed:
            continue
        found.add(start)
        stack = [(start, iter(targets[start]))]
        while stack:
            index, following = stack[-1]
            target = next(following, None)
            if target is None:
                left.append(index)
                stack.pop()
            elif target not in found and target not in passed:
                found.add(target)
                stack.append((target, iter(targets[target])))
    return found, left


def _rank(
    left: Sequence[int],
    targets: Sequence[Sequence[int]],
    found: set[int],
    rows: list[int],
    first: int,
) -> None:
    """Give each box the length of the longest way to it; edges that lead back do not count.

    An edge leads back where its target was left after its source: it was still on the way then.
    """
    position = {index: place for place, index in enumerate(left)}
    for index in left:
        rows[index] = first
    for index in reversed(left):
        for target in targets[index]:
            if target in found and position[target] < position[index]:
                rows[target] = max(rows[target], rows[index] + 1)


def _untangle(lines: list[list[int]], edges: Sequence[Edge], rows: Sequence[int]) -> None:
    """Order each row by where the boxes above, then below, are connected; ties stay as they are."""
    above: list[list[int]] = [[] for _ in rows]
    below: list[list[int]] = [[] for _ in rows]
    for edge in edges:
        if rows[edge.source] < rows[edge.target]:
            above[edge.target].append(edge.source)
            below[edge.source].append(edge.target)
    place = [0.0] * len(rows)
    for line in lines:
        _spread(line, place)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for line in lines if down else reversed(lines):
            wanted = {
                index: sum(place[other] for other in near[index]) / len(near[index])
                if near[index]
                else place[index]
                for index in line
            }
            line.sort(key=wanted.__getitem__)
            _spread(line, place)


def _spread(line: Sequence[int], place: list[float]) -> None:
    for number, index in enumerate(line):
        place[index] = number - (len(line) - 1) / 2
