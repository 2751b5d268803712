"""How the lines of a picture run, and where their labels lie. Pure."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from muster.domains.work.workflows.gathering import Edge
from muster.domains.work.workflows.layout import GAP_X, GAP_Y, HEIGHT, MARGIN, WIDTH, Layout

LABEL_HEIGHT = 18
_BOW, _BOW_STEP, _BOWS = 34, 16, 10
_ROUND = 40
_MOST_CARE = 400
"""With more lines than this none is led around boxes; it would take too long."""
_LANES = (0, 8, -8, 4, -4)
_SAMPLES = 32
_AIR = 6
_PLACES = (0.5, 0.4, 0.6, 0.3, 0.7, 0.15, 0.85)

Point = tuple[float, float]
Curve = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its path in SVG, the middle of its label, and how far to the right it reaches."""

    path: str
    label: Point
    right: float


class Lines:
    """Leads the lines of one picture; each keeps clear of the labels of those before."""

    def __init__(self, layout: Layout, count: int) -> None:
        self._layout = layout
        self._careful = count <= _MOST_CARE
        self._lefts: dict[int, list[float]] = {}
        self._labels: list[tuple[float, float, float]] = []
        self._passed: dict[tuple[int, float], int] = {}
        self._bows = 0
        for (x, _), row in zip(layout.corners, layout.rows, strict=True):
            self._lefts.setdefault(row, []).append(x)
        for lefts in self._lefts.values():
            lefts.sort()

    def lead(self, edge: Edge, label_width: float) -> Line:
        """Return the line of an edge; it bows out to the right unless it leads down."""
        rows = self._layout.rows
        if rows[edge.target] > rows[edge.source]:
            return self._down(edge, label_width)
        return self._bow(edge, label_width)

    def _down(self, edge: Edge, label_width: float) -> Line:
        (x1, y1), (x2, y2) = self._corners(edge)
        bottom, top = (x1 + WIDTH / 2, y1 + HEIGHT), (x2 + WIDTH / 2, y2)
        curves = [_curve(bottom, top)]
        if self._careful and any(self._in_box(x, y) for x, y in _points(curves[0])):
            curves = self._around(edge, bottom, top)
        parts = [f"C {_at(first)} {_at(second)} {_at(end)}" for _, first, second, end in curves]
        between = [f"L {_at(start)}" for start, *_ in curves[1:]]
        path = " ".join([f"M {_at(bottom)}", *_interleaved(parts, between)])
        right = max(x for curve in curves for x, _ in _points(curve))
        return Line(path, self._place(list(_middles(curves)), label_width), right)

    def _around(self, edge: Edge, bottom: Point, top: Point) -> list[Curve]:
        """Return curves that pass the rows between two boxes where nothing lies."""
        curves: list[Curve] = []
        first, last = self._layout.rows[edge.source] + 1, self._layout.rows[edge.target]
        at = bottom
        for row in range(first, last):
            wished = at[0] + (top[0] - at[0]) / (last - row + 1)
            x, y = self._free(row, wished), MARGIN + row * (HEIGHT + GAP_Y)
            curves.append(_curve(at, (x, float(y))))
            at = x, float(y + HEIGHT)
        return [*curves, _curve(at, top)]

    def _free(self, row: int, wished: float) -> float:
        """Return a place between the boxes of a row; each line that passes has its own."""
        lefts = self._lefts.get(row, [])
        if all(x > wished + _AIR or x + WIDTH < wished - _AIR for x in lefts):
            return wished
        gaps = [lefts[0] - GAP_X / 2, *(x + WIDTH + GAP_X / 2 for x in lefts)]
        gap = min((x for x in gaps if x > _AIR), key=lambda x: abs(x - wished))
        passed = self._passed[row, gap] = self._passed.get((row, gap), -1) + 1
        return gap + _LANES[passed % len(_LANES)]

    def _in_box(self, x: float, y: float) -> bool:
        row, inside = divmod(y - MARGIN, HEIGHT + GAP_Y)
        if inside > HEIGHT - 1 or inside < 1:
            return False
        lefts = self._lefts.get(int(row), [])
        place = bisect_left(lefts, x + _AIR) - 1
        return place >= 0 and x <= lefts[place] + WIDTH + _AIR

    def _bow(self, edge: Edge, label_width: float) -> Line:
        """Lead a line up or aside: out of the right of a box and into the right of another."""
        (x1, y1), (x2, y2) = self._corners(edge)
        x1, y1 = x1 + WIDTH, y1 + HEIGHT * 0.65
        x2, y2 = x2 + WIDTH, y2 + HEIGHT * 0.35
        out = self._layout.width - MARGIN + _BOW + _BOW_STEP * (self._bows % _BOWS)
        self._bows += 1
        bend = min(_ROUND, abs(y1 - y2) / 2)
        bend = bend if y1 > y2 else -bend
        path = (
            f"M {_at((x1, y1))} C {_at((out, y1))} {_at((out, y1))} {_at((out, y1 - bend))} "
            f"L {_at((out, y2 + bend))} C {_at((out, y2))} {_at((out, y2))} {_at((x2, y2))}"
        )
        middle = (y1 + y2) / 2
        places = [(out, middle + step) for step in (0, 24, -24, 48, -48)]
        return Line(path, self._place(places, label_width), out)

    def _corners(self, edge: Edge) -> tuple[Point, Point]:
        return self._layout.corners[edge.source], self._layout.corners[edge.target]

    def _place(self, places: Sequence[Point], width: float) -> Point:
        """Return the first place where a label covers neither another one nor a box."""
        if not width:
            return places[0]
        chosen = places[0]
        if self._careful:
            chosen = next((place for place in places if self._is_free(place, width)), chosen)
        # Nothing may lie outside of the canvas; on the right it grows.
        x, y = max(chosen[0], width / 2 + 4), chosen[1]
        self._labels.append((x, y, width))
        return x, y

    def _is_free(self, place: Point, width: float) -> bool:
        x, y = place
        if any(
            abs(x - other) < (width + taken) / 2 + 3 and abs(y - height) < LABEL_HEIGHT + 2
            for other, height, taken in self._labels
        ):
            return False
        corners = ((x + dx * width / 2, y + dy * 9) for dx in (-1, 0, 1) for dy in (-1, 1))
        return not any(self._in_box(*corner) for corner in corners)


def _points(curve: Curve) -> Iterator[Point]:
    for number in range(_SAMPLES + 1):
        yield _on(curve, number / _SAMPLES)


def _curve(bottom: Point, top: Point) -> Curve:
    (x1, y1), (x2, y2) = bottom, top
    half = (y2 - y1) / 2
    return bottom, (x1, y1 + half), (x2, y2 - half), top


def _interleaved(parts: Sequence[str], between: Sequence[str]) -> Iterator[str]:
    for part, line in zip_longest(parts, between, fillvalue=""):
        yield part
        if line:
            yield line


def _middles(curves: Sequence[Curve]) -> Iterator[Point]:
    """Yield where a label may lie: in the gap below the source, the one above the target."""
    for curve in (curves[0], curves[-1]):
        (_, top), (_, bottom) = curve[0], curve[3]
        if bottom - top <= GAP_Y:
            yield from (_on(curve, t) for t in _PLACES)
            continue
        points = list(_points(curve))
        for middle in (top + GAP_Y / 2, bottom - GAP_Y / 2):
            nearest = sorted((abs(y - middle), x, y) for x, y in points)[:5]
            yield from ((x, y) for _, x, y in nearest)


def _on(curve: Curve, t: float) -> Point:
    a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = curve
    return a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3


def _at(point: Point) -> str:
    return f"{number(point[0])},{number(point[1])}"


def number(value: float) -> str:
    """Return a length as it is written in SVG."""
    return f"{value:.1f}".removesuffix(".0")
