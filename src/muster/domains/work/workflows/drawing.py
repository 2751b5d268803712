"""Pictures of workflows and crews, as SVG."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from muster.domains.work.plans import CrewSpec, TaskSpec, WorkflowSpec
from muster.domains.work.workflows.gathering import Box, Edge, Graph, gather, gather_crew
from muster.domains.work.workflows.layout import HEIGHT, MARGIN, WIDTH, Layout, lay_out
from muster.domains.work.workflows.notations import ALIASES
from muster.domains.work.workflows.routing import LABEL_HEIGHT, Lines, number

ThemeName = Literal["dark", "light"]

_FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
_NAME_CUT, _LABEL_CUT = 22, 26
_LETTER = 6.2
"""Width of a letter of a label, on average."""
_FITS = 16
"""Most letters of a name that fit into a box in any font; longer ones are drawn together."""
_PAD = 8

_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

_FILLS = {
    "start": "#15803d",
    "end": "#b91c1c",
    "llm": "#1d4ed8",
    "agent": "#6d28d9",
    "function": "#0e7490",
    "if": "#b45309",
    "switch": "#b45309",
    "parallel": "#4338ca",
    "rag_query": "#0f766e",
    # What only the product's own notation has.
    "tool": "#0e7490",
    "retrieval": "#0f766e",
    "task": "#7e22ce",
    "crew": "#a21caf",
    "manager": "#a21caf",
    "subworkflow": "#a21caf",
    "map": "#4338ca",
    "loop": "#4338ca",
    "approval": "#be185d",
    "input": "#166534",
    "output": "#9f1239",
}
_OTHER = "#475569"
_TASK = "#6d28d9"
_STATES = {
    "pending": "#94a3b8",
    "running": "#38bdf8",
    "waiting": "#facc15",
    "completed": "#4ade80",
    "failed": "#f87171",
    "skipped": "#64748b",
}


@dataclass(frozen=True, slots=True)
class _Theme:
    background: str
    line: str
    label_fill: str
    label_text: str
    border: str


_THEMES: dict[str, _Theme] = {
    "dark": _Theme("#0f172a", "#94a3b8", "#1e293b", "#e2e8f0", "#e2e8f0"),
    "light": _Theme("#ffffff", "#64748b", "#f1f5f9", "#334155", "#334155"),
}


def draw(
    workflow_like: Mapping[str, Any],
    *,
    theme: ThemeName = "dark",
    states: Mapping[str, str] | None = None,
) -> str:
    """Return a picture of a workflow in any notation, half-edited as it may be; never raises.

    Args:
        workflow_like: A document, steps, actions or a dumped `WorkflowSpec`.
        theme: Colours of the background.
        states: By the name of a node, how far a run is with it: pending, running, waiting,
            completed, failed or skipped.
    """
    return _Picture(gather(workflow_like), theme, states or {}).svg("Workflow")


def draw_crew(
    spec: CrewSpec, *, theme: ThemeName = "dark", states: Mapping[str, str] | None = None
) -> str:
    """Return a picture of a crew: its tasks, their agents, and what is context of what."""
    return _Picture(gather_crew(spec), theme, states or {}, fill=_TASK).svg("Crew")


def draw_plan(
    plan: WorkflowSpec,
    agents: Mapping[str, str],
    *,
    theme: ThemeName = "dark",
    states: Mapping[str, str],
) -> str:
    """Return a picture of a plan at work; in that of a crew each task has its agent below it.

    Args:
        plan: The plan.
        agents: Names of the agents, by how tasks name them.
        theme: Colours of the background.
        states: By the name of a node, how far the run is with it.
    """
    graph = gather({**plan.model_dump(mode="json", exclude_defaults=True), "mode": plan.mode})
    tasks = {node.name: node.task for node in plan.nodes if isinstance(node.task, TaskSpec)}
    if len(tasks) < len(plan.nodes):
        return _Picture(graph, theme, states).svg("Plan")
    taken = Counter([*(node.name for node in plan.nodes), *(t.name for t in tasks.values())])
    shown = dict(states)
    for index, box in enumerate(graph.boxes):
        task = tasks.get(box.name)
        if task is None:
            continue
        # Stored tasks have an id for a name; two that are called the same could not be told apart.
        name = task.name if task.name and taken[task.name] == 1 else box.name
        agent = agents.get(task.agent or "", task.agent) or "manager's choice"
        graph.boxes[index] = Box(name, agent)
        shown[name] = states.get(box.name, "")
    return _Picture(graph, theme, shown, fill=_TASK).svg("Plan")


class _Picture:
    """One picture in the making; lines that bow out make the canvas wider."""

    def __init__(
        self, graph: Graph, theme: str, states: Mapping[str, str], *, fill: str = _OTHER
    ) -> None:
        self._graph, self._states, self._fill = graph, states, fill
        self._theme = _THEMES.get(theme, _THEMES["dark"])
        self._layout: Layout = lay_out(graph)
        self._width, self._height = self._layout.width, self._layout.height
        self._lines = Lines(self._layout, len(graph.edges))

    def svg(self, kind: str) -> str:
        lines = [self._line(edge) for edge in self._graph.edges]
        boxes = [self._box(index, box) for index, box in enumerate(self._graph.boxes)]
        if self._graph.left_out:
            boxes.append(self._remark(f"and {self._graph.left_out} more"))
        width, height = number(self._width), number(self._height)
        shown = f"{kind} with {len(self._graph.boxes)} nodes"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{shown}" '
            f'font-family="{_FONT}">'
        )
        arrow = (
            '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
            'markerHeight="7" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" '
            f'fill="{self._theme.line}"/></marker></defs>'
        )
        canvas = f'<rect width="{width}" height="{height}" fill="{self._theme.background}"/>'
        paths, labels = zip(*lines, strict=True) if lines else ((), ())
        return "".join([head, arrow, canvas, *paths, *boxes, *labels, "</svg>"])

    def _box(self, index: int, box: Box) -> str:
        x, y = self._layout.corners[index]
        state = self._states.get(box.name)
        state = state if state in _STATES else None
        kind = f"{box.kind} · {state}" if state else box.kind
        full = " — ".join(part for part in (box.name, kind) if part)
        border = (
            f'stroke="{_STATES[state]}" stroke-width="3"'
            if state
            else f'stroke="{self._theme.border}" stroke-opacity="0.25"'
        )
        opacity = ' opacity="0.55"' if state == "skipped" else ""
        middle = number(x + WIDTH / 2)
        name = _cut(box.name, _NAME_CUT)
        fitted = ""
        if len(name) > _FITS:
            fitted = f' textLength="{WIDTH - 2 * _PAD}" lengthAdjust="spacingAndGlyphs"'
        return (
            f"<g{opacity}><title>{_escaped(full)}</title>"
            f'<rect x="{number(x)}" y="{number(y)}" width="{WIDTH}" height="{HEIGHT}" rx="10" '
            f'fill="{self._fill_of(box.kind)}" {border}/>'
            f'<text x="{middle}" y="{number(y + 25)}" text-anchor="middle" font-size="14" '
            f'font-weight="600" fill="#ffffff"{fitted}>{_escaped(name)}</text>'
            f'<text x="{middle}" y="{number(y + 43)}" text-anchor="middle" font-size="11" '
            f'fill="#ffffff" fill-opacity="0.85">{_escaped(_cut(kind, _LABEL_CUT))}</text></g>'
        )

    def _fill_of(self, kind: str) -> str:
        return _FILLS.get(kind) or _FILLS.get(ALIASES.get(kind.lower(), ""), self._fill)

    def _line(self, edge: Edge) -> tuple[str, str]:
        """Return a line and its label."""
        width = len(_cut(edge.label, _LABEL_CUT)) * _LETTER + 12 if edge.label else 0
        line = self._lines.lead(edge, width)
        self._width = max(self._width, line.right + MARGIN)
        dashes = ' stroke-dasharray="5 5"' if edge.dashed else ""
        path = (
            f'<path d="{line.path}" fill="none" stroke="{self._theme.line}" stroke-width="1.6"'
            f'{dashes} marker-end="url(#arrow)"/>'
        )
        return path, self._label(edge.label, line.label, width) if edge.label else ""

    def _label(self, text: str, middle: tuple[float, float], width: float) -> str:
        x, y = middle
        self._width = max(self._width, x + width / 2 + 4)
        return (
            f"<g><title>{_escaped(text)}</title>"
            f'<rect x="{number(x - width / 2)}" y="{number(y - LABEL_HEIGHT / 2)}" '
            f'width="{number(width)}" height="{LABEL_HEIGHT}" rx="5" '
            f'fill="{self._theme.label_fill}" stroke="{self._theme.line}" stroke-opacity="0.5"/>'
            f'<text x="{number(x)}" y="{number(y + 4)}" text-anchor="middle" font-size="11" '
            f'fill="{self._theme.label_text}">{_escaped(_cut(text, _LABEL_CUT))}</text></g>'
        )

    def _remark(self, text: str) -> str:
        y = self._height
        self._height += MARGIN
        return (
            f'<text x="{MARGIN}" y="{number(y)}" font-size="14" '
            f'fill="{self._theme.label_text}">{_escaped(text)}</text>'
        )


def _cut(text: str, most: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _escaped(text: str) -> str:
    """Escape a text for XML, which some characters cannot be part of in any way."""
    return escape(_NO_XML.sub(" ", text))
