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
from tests.work.plan_programs import Block, programs, written


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


@given(programs(), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_a_crash_changes_nothing(program: list[Block], seed: int) -> None:
    plan = WorkflowSpec(nodes=written(program), inputs={"c": 1})
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
