"""What follows what among steps: by their order, and by the branches that conditions name."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any


class Branching:
    """The branches that `if` and `switch` steps name: whoever is named depends on the step."""

    def __init__(self, nodes: list[dict[str, Any]]) -> None:
        self._nodes = {node["name"]: node for node in nodes}
        self.owners: dict[str, str] = {}
        self.whole: set[str] = set()
        """Steps of which one branch is taken in any case."""
        self._conditions: dict[str, list[str]] = {}
        for node in nodes:
            self._look_at(node)

    def _look_at(self, node: dict[str, Any]) -> None:
        name = node["name"]
        condition, expression = node.get("condition"), node.get("expression")
        if node["type"] == "if" and isinstance(condition, str):
            self._name(name, node.get("then"), condition)
            self._name(name, node.get("otherwise"), f"not ({condition})")
            if node.get("then") and node.get("otherwise"):
                self.whole.add(name)
        elif node["type"] == "switch" and isinstance(expression, str):
            cases: dict[str, Any] = node.get("cases") or {}
            for value, target in cases.items():
                self._name(name, target, f"text({expression}) == {value!r}")
            if default := node.get("default"):
                listed = ", ".join(repr(value) for value in cases)
                self._name(name, default, f"text({expression}) not in [{listed}]")
                self.whole.add(name)

    def _name(self, owner: str, target: Any, condition: str) -> None:
        if isinstance(target, str) and target in self._nodes and target != owner:
            self.owners.setdefault(target, owner)
            if self.owners[target] == owner:
                self._conditions.setdefault(target, []).append(condition)

    def direct(self) -> None:
        """Let the named steps depend on who names them, and be skipped where that is not meant."""
        for name, owner in self.owners.items():
            node = self._nodes[name]
            if owner not in node["depends_on"]:
                node["depends_on"] = [owner, *node["depends_on"]]
            if "when" not in node:
                conditions = self._conditions[name]
                joined = " or ".join(f"({one})" for one in conditions)
                node["when"] = conditions[0] if len(conditions) == 1 else joined


def chained(nodes: list[dict[str, Any]], orders: Sequence[float]) -> None:
    """Let steps follow one another by their order; those of one order go side by side.

    Where none has an order of its own, the order of the list counts.
    """
    numbers = list(orders) if len(set(orders)) > 1 else [float(i) for i in range(len(nodes))]
    branching = Branching(nodes)
    ends: list[str] = []
    owner: str | None = None
    ordered = sorted(zip(numbers, nodes, strict=True), key=lambda pair: pair[0])
    for _, group in groupby(ordered, key=lambda pair: pair[0]):
        members = [node for _, node in group]
        of_branch = {branching.owners.get(node["name"]) for node in members}
        names = [str(node["name"]) for node in members]
        if len(of_branch) == 1 and None not in of_branch:
            (of,) = of_branch
            if of != owner:
                owner = of
                ends = [] if owner in branching.whole else [str(owner)]
            ends = [*ends, *names]
            continue
        for node in members:
            node["depends_on"] = [name for name in ends if name != node["name"]]
        ends, owner = names, None
    branching.direct()
