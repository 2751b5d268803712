"""Plans of pure nodes that crash anywhere come to what they come to without a crash."""

import asyncio
from collections import Counter
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from muster.domains.work.plans import NodeSpec, WorkflowSpec, evaluate, holds
from muster.domains.work.plans.runner import PlanRunner, choose, transform
from muster.domains.work.plans.scope import Scope

Block = dict[str, Any]

ASSIGNED = st.sampled_from(["a", "b", "c"])
EXPRESSIONS = st.sampled_from(["a + 1", "b * 2 - a", "c", "a - b + c", "default(last, 0) == a"])
CONDITIONS = st.sampled_from(["a > 2", "b < a", "c == 1", "a + b < 9"])
STEPS = st.fixed_dictionaries({"kind": st.just("set"), "name": ASSIGNED, "to": EXPRESSIONS})
OUTPUTS = st.just({"kind": "say"})


def _blocks(inner: st.SearchStrategy[list[Block]]) -> st.SearchStrategy[list[Block]]:
    choice = st.fixed_dictionaries(
        {"kind": st.just("if"), "when": CONDITIONS, "yes": inner, "no": inner}
    )
    switch = st.fixed_dictionaries(
        {"kind": st.just("switch"), "on": ASSIGNED, "ways": st.lists(inner, min_size=1, max_size=3)}
    )
    loop = st.fixed_dictionaries(
        {"kind": st.just("loop"), "when": CONDITIONS, "most": st.integers(1, 3), "body": inner}
    )
    each = st.fixed_dictionaries(
        {
            "kind": st.just("map"),
            "items": st.sampled_from(["[a, b]", "range(3)", "[]"]),
            "body": inner,
        }
    )
    fork = st.fixed_dictionaries(
        {"kind": st.just("fork"), "ways": st.lists(inner, min_size=1, max_size=3)}
    )
    one = st.one_of(STEPS, OUTPUTS, choice, switch, loop, each, fork)
    return st.lists(one, min_size=1, max_size=3)


PROGRAMS = st.recursive(
    st.lists(st.one_of(STEPS, OUTPUTS), min_size=1, max_size=2), _blocks, max_leaves=8
)


class Writing:
    """Writes a program as a flow: one node for each block, a way out for each way."""

    def __init__(self) -> None:
        self.nodes: list[NodeSpec] = []

    def program(self, blocks: list[Block], after: str | None) -> str | None:
        """Write blocks one after the other; returns the name of the first."""
        for block in reversed(blocks):
            after = self.block(block, after)
        return after

    def block(self, block: Block, after: str | None) -> str:
        name = f"{block['kind']} {len(self.nodes)}"
        self.nodes.append(NodeSpec(name=name, type="output"))
        at = len(self.nodes) - 1
        match block["kind"]:
            case "set":
                given: dict[str, Any] = {
                    "type": "transform",
                    "assign": {block["name"]: block["to"]},
                    "next": after,
                }
            case "say":
                given = {"type": "output", "next": after}
            case "if":
                then = self.program(block["yes"], after)
                given = {
                    "type": "if",
                    "condition": block["when"],
                    "then": then,
                    "otherwise": self.program(block["no"], after),
                }
            case "switch":
                cases = {str(i): self.program(way, after) for i, way in enumerate(block["ways"])}
                given = {"type": "switch", "expression": block["on"], "cases": cases}
                given["default"] = after or cases["0"]
            case "loop":
                given = {
                    "type": "loop",
                    "condition": block["when"],
                    "max_iterations": block["most"],
                    "body": self.program(block["body"], name),
                    "next": after,
                }
            case "map":
                given = {
                    "type": "map",
                    "items": block["items"],
                    "next": after,
                    "body": self.program(block["body"], name),
                }
            case _:
                # Every way leads to a node of its own: without one it would go on behind the fork.
                join = self.block({"kind": "say"}, after)
                ways = [self.program(way, join) for way in block["ways"]]
                given = {"type": "parallel", "branches": ways, "next": join}
        self.nodes[at] = NodeSpec.model_validate({"name": name, **given})
        return name


def reference(blocks: list[Block], variables: dict[str, Any], last: Any) -> Any:
    """Execute a program as it is meant; returns what its last step came to."""
    for block in blocks:
        names = {**variables, "last": last}
        match block["kind"]:
            case "set":
                last = {block["name"]: evaluate(block["to"], names)}
                variables.update(last)
            case "say":
                pass
            case "if":
                came = holds(block["when"], names)
                last = {"value": came}
                last = reference(block["yes" if came else "no"], variables, last)
            case "switch":
                value = evaluate(block["on"], names)
                last = {"value": value}
                ways = block["ways"]
                known = type(value) is int and 0 <= value < len(ways)
                if known:
                    last = reference(ways[value], variables, last)
            case "loop":
                count, variables["iteration"] = 0, 0
                while count < block["most"]:
                    variables["iteration"] = count
                    if not holds(block["when"], {**variables, "last": last}):
                        break
                    count += 1
                    last = reference(block["body"], variables, last)
                last = {"iterations": count, "last": last}
            case "map":
                items = evaluate(block["items"], names)
                last = [
                    reference(block["body"], {**variables, "item": item, "index": i}, None)
                    for i, item in enumerate(items)
                ]
            case _:
                ways = [dict(variables) for _ in block["ways"]]
                last = [
                    reference(way, mine, None)
                    for way, mine in zip(block["ways"], ways, strict=True)
                ]
                before = dict(variables)
                for mine in ways:
                    variables.update({k: v for k, v in mine.items() if before.get(k, ways) != v})
    return last


class Crash(Exception):
    """The process is gone."""


class Journal:
    """Executes nodes, keeps what they came to, and crashes before or after as it is told."""

    def __init__(self, chance: float, seed: int) -> None:
        self.kept: dict[str, Any] = {}
        self.executed: Counter[str] = Counter()
        self._chance, self._random = chance, Random(seed)

    async def act(self, node: NodeSpec, scope: Scope, key: str) -> Any:
        if key in self.kept:
            if node.assign:
                scope.variables.update(self.kept[key])
            return self.kept[key]
        await asyncio.sleep(0)
        if self._random.random() < self._chance:
            raise Crash
        self.executed[key] += 1
        names = scope.names({})
        match node.type:
            case "transform":
                value = transform(node, names)
                scope.variables.update(value)
            case "if" | "switch":
                value = choose(node, names)
            case _:
                value = scope.last
        self.kept[key] = value
        if self._random.random() < self._chance:
            raise Crash
        return value


def executed(plan: WorkflowSpec, journal: Journal) -> tuple[Any, int]:
    """Begin a plan again and again until it comes to its end."""
    crashes = 0
    while True:
        runner = PlanRunner(plan, journal.act, {"a": 1, "b": 2})
        try:
            return asyncio.run(runner.run()), crashes
        except Crash:
            crashes += 1
            assert crashes < 1_000


def comparable(value: Any) -> Any:
    """Leave away how nodes are called: a program has no names."""
    if isinstance(value, dict):
        known = {key: one for key, one in value.items() if key != "next"}
        if known and all(" " in key for key in known):
            return [comparable(one) for one in known.values()]
        return {key: comparable(one) for key, one in known.items()}
    return [comparable(one) for one in value] if isinstance(value, list) else value


@given(PROGRAMS, st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_a_crash_changes_nothing(program: list[Block], seed: int) -> None:
    writing = Writing()
    end = writing.block({"kind": "say"}, None)
    first = writing.program(program, end)
    nodes = [NodeSpec(name="start", type="start", next=first), *writing.nodes]
    plan = WorkflowSpec(nodes=nodes, inputs={"c": 1})
    whole = Journal(0, seed)
    result, crashes = executed(plan, whole)
    assert crashes == 0
    expected = reference(program, {"a": 1, "b": 2, "c": 1}, None)
    assert comparable(result) == comparable(expected)
    assert set(whole.executed.values()) == {1}

    broken = Journal(0.15, seed)
    assert executed(plan, broken)[0] == result
    assert broken.kept == whole.kept
    assert set(broken.executed.values()) == {1}
