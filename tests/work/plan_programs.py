"""Random programs, and how they are written as plans."""

from typing import Any

from hypothesis import strategies as st

from muster.domains.work.plans import NodeSpec

Block = dict[str, Any]

ASSIGNED = st.sampled_from(["a", "b", "c"])
EXPRESSIONS = st.sampled_from(["a + 1", "b * 2 - a", "c", "a - b + c", "default(last, 0) == a"])
CONDITIONS = st.sampled_from(["a > 2", "b < a", "c == 1", "a + b < 9"])
STEPS = st.fixed_dictionaries({"kind": st.just("set"), "name": ASSIGNED, "to": EXPRESSIONS})
OUTPUTS = st.just({"kind": "say"})


def programs(*leaves: st.SearchStrategy[Block], most: int = 8) -> st.SearchStrategy[list[Block]]:
    """Return programs of pure nodes, and of nodes of other types: blocks with a `node`."""
    leaf = st.one_of(STEPS, OUTPUTS, *leaves)
    return st.recursive(
        st.lists(leaf, min_size=1, max_size=2), lambda inner: _blocks(leaf, inner), max_leaves=most
    )


def _blocks(
    leaf: st.SearchStrategy[Block], inner: st.SearchStrategy[list[Block]]
) -> st.SearchStrategy[list[Block]]:
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
    return st.lists(st.one_of(leaf, choice, switch, loop, each, fork), min_size=1, max_size=3)


def written(program: list[Block]) -> list[NodeSpec]:
    """Return the nodes of a program, between a start and an end."""
    writing = Writing()
    first = writing.program(program, "end")
    ends = NodeSpec(name="start", type="start", next=first), NodeSpec(name="end", type="end")
    return [ends[0], *writing.nodes, ends[1]]


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
            case "node":
                given = {**block["node"], "next": after}
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
