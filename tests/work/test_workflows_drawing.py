"""Pictures: well-formed whatever is drawn, and laid out by the documented rules."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muster.domains.work.plans import CrewSpec, TaskSpec
from muster.domains.work.workflows import draw, draw_crew
from muster.domains.work.workflows.gathering import gather_crew
from tests.work.workflow_texts import ACTIONS, DOCUMENT, STEPS

SVG = "{http://www.w3.org/2000/svg}"

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["a", "b", "c", "start", "end", "if", "switch", "parallel", "map"])
)
_KEYS = st.sampled_from(
    [
        *("name", "type", "next", "then", "else", "otherwise", "cases", "default", "branches"),
        *("body", "on_error", "depends_on", "condition", "config", "order", "id", "step_type"),
        *("nodes", "steps", "actions", "workflow", "mode", "start", "when"),
    ]
)
_RUBBISH = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_KEYS, inner, max_size=8),
    max_leaves=40,
)
_NODES = st.lists(st.dictionaries(_KEYS, _RUBBISH, max_size=8), max_size=8)
_WORKFLOWS = _RUBBISH | st.dictionaries(
    st.sampled_from(["nodes", "steps", "actions", "mode", "start"]), _NODES | _RUBBISH
)


def parsed(svg: str) -> ET.Element:
    assert svg.startswith("<svg")
    return ET.fromstring(svg)


class Picture:
    """What a picture shows."""

    def __init__(self, svg: str) -> None:
        self.root = parsed(svg)
        self.boxes: dict[str, tuple[float, float, str, str]] = {}
        self.labels: list[str] = []
        self.names: list[Any] = []
        for group in self.root.iter(f"{SVG}g"):
            rect, *texts = [*group.iter(f"{SVG}rect"), *group.iter(f"{SVG}text")]
            if rect.get("width") == "168":
                assert (rect.get("height"), rect.get("rx")) == ("56", "10")
                name, kind = (text.text or "" for text in texts)
                at = float(rect.get("x", "")), float(rect.get("y", ""))
                self.names.append(texts[0])
                self.boxes[name] = (*at, rect.get("fill", ""), kind)
            else:
                self.labels.append(texts[0].text or "")
        self.paths = [p.get("d", "") for p in self.root.findall(f"{SVG}path")]

    def row(self, name: str) -> float:
        return (self.boxes[name][1] - 28) / (56 + 76)


@given(workflow=_WORKFLOWS, states=st.dictionaries(st.text(max_size=3), st.text(max_size=9)))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_raises_and_everything_is_well_formed(
    workflow: Any, states: dict[str, str]
) -> None:
    parsed(draw(workflow, states=states))


@given(text=st.text())
def test_any_text_is_escaped(text: str) -> None:
    node = {"name": text, "type": text, "condition": text, "then": text}
    parsed(draw({"nodes": [node, {"name": text, "next": text}]}, states={text: "failed"}))
    task = TaskSpec(name=text[:255], agent=text or "x")
    parsed(draw_crew(CrewSpec(tasks=[task], process="hierarchical")))


def test_an_empty_workflow_is_an_empty_canvas() -> None:
    picture = Picture(draw({}))
    assert not picture.boxes
    assert picture.root.get("width") == "56"


def test_rows_are_the_longest_ways_from_the_start() -> None:
    picture = Picture(draw(yaml.safe_load(DOCUMENT.replace("yes:", '"yes":'))))
    rows = {name: picture.row(name) for name in picture.boxes}
    assert rows == {
        "start": 0,
        "classify": 1,
        "route": 2,
        "search": 3,
        "both": 3,
        "helper": 4,
        "sure": 5,
        "end": 6,
    }
    assert sorted(picture.labels) == ["bug", "default", "else", "yes", "{{ context.kind }} == 'x'"]
    # One edge for each `next`, branch and case; none for the join of a parallel; one leads back.
    assert len(picture.paths) == 10
    middles = {picture.boxes[name][0] + 84 for name in ("start", "classify", "route", "sure")}
    assert len(middles) == 1


def test_what_leads_back_bows_to_the_right_and_widens_the_canvas() -> None:
    nodes: list[dict[str, Any]] = [
        {"name": "start", "type": "start", "next": "a"},
        {"name": "a", "type": "llm", "next": "b"},
        {"name": "b", "type": "if", "condition": "again", "then": "a", "else": "b"},
    ]
    plain = Picture(draw({"nodes": nodes[:2]}))
    picture = Picture(draw({"nodes": nodes}))
    assert plain.root.get("width") == "224"
    assert float(picture.root.get("width", "")) > 224
    assert [picture.row(name) for name in ("start", "a", "b")] == [0, 1, 2]
    assert sum("L" in path for path in picture.paths) == 2


def test_what_nothing_leads_to_is_at_the_bottom() -> None:
    nodes = [
        {"name": "lonely", "type": "wat", "next": "other"},
        {"name": "other", "type": "llm", "next": "nowhere"},
        {"name": "start", "type": "start", "next": "end"},
        {"name": "end", "type": "end"},
    ]
    picture = Picture(draw({"nodes": nodes}))
    rows = [picture.row(name) for name in ("start", "end", "lonely", "other")]
    assert rows == [0, 1, 2, 3]
    assert len(picture.paths) == 2


def test_boxes_never_overlap_and_lie_on_the_canvas() -> None:
    nodes: list[dict[str, Any]] = [{"name": "start", "type": "parallel"}]
    nodes[0]["branches"] = [f"n{i}" for i in range(30)]
    nodes += [{"name": f"n{i}", "type": "llm", "next": f"n{(i * 7) % 30}"} for i in range(30)]
    picture = Picture(draw({"nodes": nodes}))
    width, height = (float(picture.root.get(side, "")) for side in ("width", "height"))
    corners = [(x, y) for x, y, *_ in picture.boxes.values()]
    for index, (x, y) in enumerate(corners):
        assert 28 <= x <= width - 168 - 28
        assert 28 <= y <= height - 56 - 28
        for other_x, other_y in corners[:index]:
            assert abs(x - other_x) >= 168 + 44 or abs(y - other_y) >= 56 + 76


def test_colours_names_and_cuts() -> None:
    kinds = [
        "start",
        "end",
        "llm",
        "agent",
        "function",
        "if",
        "switch",
        "parallel",
        "rag_query",
        "transform",
        "nonsense",
    ]
    nodes = [{"name": f"{kind} {'x' * 30}", "type": kind} for kind in kinds]
    picture = Picture(draw({"nodes": nodes}))
    fills = {kind: fill for _, _, fill, kind in picture.boxes.values()}
    assert fills["if"] == fills["switch"]
    assert fills["transform"] == fills["nonsense"]
    assert len(set(fills.values())) == 9
    assert all(len(name) == 22 for name in picture.boxes)
    # A name that may not fit is drawn to the width of its box, whatever the font.
    assert all(text.get("textLength") == "152" for text in picture.names)
    steps = Picture(draw({"steps": [{"name": "a", "step_type": "agent_task"}]}))
    assert [text.get("textLength") for text in steps.names] == [None]
    assert steps.boxes["a"][2:] == (fills["agent"], "agent_task")
    long = {"name": "a", "type": "if", "condition": "y" * 60, "then": "b"}
    (label,) = Picture(draw({"nodes": [long, {"name": "b", "type": "end"}]})).labels
    assert len(label) == 26


def test_states_colour_the_border_and_are_told() -> None:
    nodes = [{"name": "a", "type": "llm"}, {"name": "b", "type": "end"}]
    svg = draw({"nodes": nodes}, states={"a": "running", "b": "nonsense"})
    picture = Picture(svg)
    assert picture.boxes["a"][3] == "llm · running"
    assert picture.boxes["b"][3] == "end"
    assert svg.count('stroke-width="3"') == 1


def test_steps_and_actions_are_drawn() -> None:
    steps = Picture(draw({"steps": STEPS}))
    assert [steps.row(s["name"]) for s in STEPS] == [0, 0, 1]
    chain = [{"name": "b", "order": 2}, {"name": "a", "order": 1}]
    picture = Picture(draw({"steps": chain}))
    assert (picture.row("a"), picture.row("b")) == (0, 1)
    actions = Picture(draw(ACTIONS))
    assert [box[3] for box in actions.boxes.values()] == ["input", "tool", "output"]
    assert len(actions.paths) == 2


def test_branches_of_steps_have_labels() -> None:
    steps: list[dict[str, Any]] = [
        {"name": "check", "step_type": "condition", "config": {"condition": "x", "then": "y"}},
        {"name": "y"},
        {"name": "after"},
    ]
    picture = Picture(draw({"steps": steps}))
    assert picture.labels == ["x"]
    assert [picture.row(s["name"]) for s in steps] == [0, 1, 2]


def test_crews() -> None:
    tasks = [
        TaskSpec(key="research", agent="Researcher"),
        TaskSpec(key="market", agent="Analyst"),
        TaskSpec(key="write", agent="Writer", context=["research", "market", "nowhere"]),
    ]
    picture = Picture(draw_crew(CrewSpec(tasks=tasks)))
    assert [box[3] for box in picture.boxes.values()] == ["Researcher", "Analyst", "Writer"]
    assert len(picture.paths) == 3
    managed = Picture(draw_crew(CrewSpec(tasks=tasks, process="hierarchical")))
    assert (managed.row("Manager"), managed.row("write")) == (0, 2)
    assert not Picture(draw_crew(CrewSpec())).boxes


def lines_of(*tasks: tuple[str, bool, list[str]]) -> list[tuple[int, int, bool]]:
    """Return the lines between tasks, given by key, whether others go on meanwhile, and context."""
    specs = [TaskSpec(key=key, async_execution=beside, context=c) for key, beside, c in tasks]
    edges = gather_crew(CrewSpec(tasks=specs)).edges
    return sorted((edge.source, edge.target, edge.dashed) for edge in edges)


def test_the_order_of_a_crew() -> None:
    one_by_one = lines_of(("a", False, []), ("b", False, []), ("c", False, ["a"]))
    assert one_by_one == [(0, 1, True), (0, 2, False), (1, 2, True)]
    at_once = lines_of(("a", True, []), ("b", True, []), ("c", False, []), ("d", True, []))
    assert at_once == [(0, 2, True), (1, 2, True), (2, 3, True)]
    begun_later = lines_of(("a", False, []), ("b", True, []), ("c", True, ["b"]), ("d", False, []))
    assert begun_later == [(0, 1, True), (1, 2, False), (2, 3, True)]
    backwards = lines_of(("a", False, ["b"]), ("b", False, []))
    assert backwards == [(0, 1, True), (1, 0, False)]


def test_tasks_that_name_no_agent() -> None:
    task = TaskSpec(key="a")
    assert gather_crew(CrewSpec(tasks=[task])).boxes[0].kind == "no agent"
    managed = CrewSpec(tasks=[task], process="hierarchical")
    assert gather_crew(managed).boxes[0].kind == "manager's choice"


def test_what_is_too_much_is_left_out_and_told() -> None:
    svg = draw({"nodes": [{"name": f"n{i}", "next": f"n{i + 1}"} for i in range(1_500)]})
    assert len(Picture(svg).boxes) == 1_000
    assert "and 500 more" in svg


def test_lines_go_around_boxes() -> None:
    nodes: list[dict[str, Any]] = [
        {"name": "start", "type": "switch", "cases": {"x": "a", "y": "end"}},
        {"name": "a", "type": "llm", "next": "end"},
        {"name": "end", "type": "end"},
    ]
    picture = Picture(draw({"nodes": nodes}))
    x, y, *_ = picture.boxes["a"]
    (around,) = [path for path in picture.paths if "L" in path]
    points = [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+),(-?[\d.]+)", around)]
    beside = [px for px, py in points if y <= py <= y + 56]
    assert beside
    assert all(px < x or px > x + 168 for px in beside)
