"""The plan runner: walks a plan, and keeps each node's result in the journal.

It keeps nothing else. Taken up again after a crash it begins at the beginning, and the nodes whose
step is in the journal answer from there: by the same way it comes to where it was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from muster.domains.work.plans.errors import NodeFailed, PlanEndless, PlanInvalid
from muster.domains.work.plans.expressions import evaluate, holds, render
from muster.domains.work.plans.nodes import NodeSpec, WorkflowSpec
from muster.domains.work.plans.scope import Scope
from muster.domains.work.runs import raise_first

MOST_VISITS = 10_000
"""How many nodes one run may execute."""
MOST_ITEMS = 1_000
_AT_ONCE = 8
_LOOPS = 100

Act = Callable[[NodeSpec, Scope, str], Awaitable[Any]]


class Failed(Exception):
    """A node failed, and the plan says what follows; `value` is what counts as its result."""

    def __init__(self, value: Any, follow: str | None) -> None:
        super().__init__()
        self.value, self.follow = value, follow


class PlanRunner:
    """Executes one plan.

    Args:
        plan: The plan.
        act: Executes a node that does something by itself, and keeps its result.
        variables: What the run was given.
    """

    def __init__(self, plan: WorkflowSpec, act: Act, variables: dict[str, Any]) -> None:
        self._plan, self._act = plan, act
        self._nodes = {node.name: node for node in plan.nodes}
        self._visits = 0
        self._result: Any = None
        given = {**plan.inputs, **variables}
        self.scope = Scope(dict(given), inputs=given)

    async def run(self) -> Any:
        """Execute the plan to its end and return its result."""
        if self._plan.mode == "graph":
            await self._graph(self.scope)
        else:
            start = next((n.name for n in self._plan.nodes if n.type == "start"), None)
            await self._walk(start or self._plan.nodes[0].name, self.scope, frozenset())
        if self._plan.result and self._plan.result in self.scope.variables:
            return self.scope.variables[self._plan.result]
        return self.scope.last if self._result is None else self._result

    # -- a flow ---------------------------------------------------------------------------------

    async def _walk(self, name: str | None, scope: Scope, until: frozenset[str]) -> None:
        while name is not None and name not in until and not scope.ended:
            node = self._nodes.get(name)
            if node is None:
                raise NodeFailed(f"There is no node {name}.")
            name = await self._visit(node, scope)

    async def _visit(self, node: NodeSpec, scope: Scope) -> str | None:
        """Execute a node; returns the name of the one that follows."""
        self._visits += 1
        if self._visits > MOST_VISITS:
            raise PlanEndless(f"One run may execute {MOST_VISITS} nodes; this plan never ends.")
        key = scope.key(node.name)
        try:
            value = await self._value(node, scope, key)
        except Failed as failed:
            scope.take(node.name, node.output, failed.value)
            return failed.follow or node.next
        scope.take(node.name, node.output, value)
        if node.type in {"end", "output"}:
            self._result = value
        if node.type == "end":
            scope.ended = True
        return self._follower(node, value)

    async def _value(self, node: NodeSpec, scope: Scope, key: str) -> Any:
        match node.type:
            case "parallel":
                return await self._parallel(node, scope)
            case "map":
                return await self._map(node, scope)
            case "loop":
                return await self._loop(node, scope)
            case _:
                return await self._act(node, scope, key)

    def _follower(self, node: NodeSpec, value: Any) -> str | None:
        return value["next"] if node.type in {"if", "switch"} else node.next

    async def _parallel(self, node: NodeSpec, scope: Scope) -> dict[str, Any]:
        until = frozenset({node.next} if node.next else ())
        round_ = scope.round(node.name)
        parts = [scope.below(f"@{node.name}{round_}.{i}") for i in range(len(node.branches))]
        await self._together(
            node.max_concurrency,
            [
                self._walk(branch, part, until)
                for branch, part in zip(node.branches, parts, strict=True)
            ],
        )
        given = dict(scope.variables)
        for part in parts:
            # Not by identity: a value that is read from the journal is never the one that was.
            new = {k: v for k, v in part.variables.items() if k not in given or given[k] != v}
            scope.variables.update(new)
            scope.results.update(part.results)
        return {b: part.last for b, part in zip(node.branches, parts, strict=True)}

    async def _map(self, node: NodeSpec, scope: Scope) -> list[Any]:
        found = evaluate(node.items or "[]", scope.names(self._plan.templates))
        if not isinstance(found, list):
            raise NodeFailed(f"{node.name}: items must be a list.")
        items: list[Any] = found  # pyright: ignore[reportUnknownVariableType]
        if len(items) > MOST_ITEMS:
            raise NodeFailed(f"{node.name}: a map may have {MOST_ITEMS} items.")
        until = _where_it_ends(node)
        round_ = scope.round(node.name)
        parts = [
            scope.below(f"@{node.name}{round_}.{i}", **{node.item: item, "index": i})
            for i, item in enumerate(items)
        ]
        await self._together(
            node.max_concurrency, [self._walk(node.body, part, until) for part in parts]
        )
        return [part.last for part in parts]

    async def _loop(self, node: NodeSpec, scope: Scope) -> dict[str, Any]:
        until = _where_it_ends(node)
        count, most = 0, node.max_iterations or _LOOPS
        while count < most and not scope.ended:
            scope.variables["iteration"] = count
            if node.condition and not holds(node.condition, scope.names(self._plan.templates)):
                break
            count += 1
            await self._walk(node.body, scope, until)
        return {"iterations": count, "last": scope.last}

    async def _together(self, at_once: int | None, walks: Sequence[Awaitable[None]]) -> None:
        """Walk several ways at once; whatever stops one, the others go as far as they can."""
        slots = asyncio.Semaphore(at_once or _AT_ONCE)

        async def one(walk: Awaitable[None]) -> None:
            async with slots:
                await walk

        raise_first(await asyncio.gather(*map(one, walks), return_exceptions=True))

    # -- a graph --------------------------------------------------------------------------------

    async def _graph(self, scope: Scope) -> None:
        """Begin every node as soon as all that it depends on have ended."""
        inside = self._bodies()
        nodes = [node for node in self._plan.nodes if node.name not in inside]
        _require_order(nodes)
        ends: dict[str, asyncio.Future[bool]] = {
            node.name: asyncio.get_running_loop().create_future() for node in nodes
        }
        left_out: dict[str, set[str]] = {}
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(node: NodeSpec) -> None:
            end = ends[node.name]
            try:
                ran = await self._when_reached(node, scope, ends, left_out, slots)
            except BaseException:
                # Those behind it are not reached; the reason is told once, by this one.
                end.cancel()
                raise
            end.set_result(ran)

        outcomes = await asyncio.gather(*map(one, nodes), return_exceptions=True)
        raise_first([o for o in outcomes if not isinstance(o, asyncio.CancelledError)])
        self._order_last(scope, nodes)

    async def _when_reached(
        self,
        node: NodeSpec,
        scope: Scope,
        ends: dict[str, "asyncio.Future[bool]"],
        left_out: dict[str, set[str]],
        slots: asyncio.Semaphore,
    ) -> bool:
        before = [ends[name] for name in node.depends_on if name in ends]
        reached = [await asyncio.shield(end) for end in before]
        if before and not any(reached):
            return False
        if any(node.name in left_out.get(name, ()) for name in node.depends_on):
            return False
        async with slots:
            if node.when and not holds(node.when, scope.names(self._plan.templates)):
                return False
            chosen = await self._visit(node, scope)
        named = {node.then, node.otherwise, node.default, node.on_error, *node.cases.values()}
        left_out[node.name] = {name for name in named if name and name != chosen}
        return True

    def _bodies(self) -> set[str]:
        """Return the nodes that are executed by another: bodies of maps and loops, branches."""
        found: set[str] = set()
        for node in self._plan.nodes:
            for first in [node.body, *node.branches]:
                name = first
                while name and name not in found and name not in {node.name, node.next}:
                    found.add(name)
                    name = self._nodes[name].next if name in self._nodes else None
        return found

    def _order_last(self, scope: Scope, nodes: Sequence[NodeSpec]) -> None:
        """Take the result of the last node that was executed, in the order of the plan."""
        done = [node.name for node in nodes if node.name in scope.results]
        if done:
            scope.last = scope.results[done[-1]]


def _require_order(nodes: Sequence[NodeSpec]) -> None:
    """Refuse nodes that wait for each other: none of them would ever begin."""
    order = TopologicalSorter({node.name: node.depends_on for node in nodes})
    try:
        order.prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise PlanInvalid(f"These nodes wait for each other: {circle}.") from None


def choose(node: NodeSpec, names: dict[str, Any]) -> dict[str, Any]:
    """Return what an `if` or a `switch` comes to: the value, and which node follows."""
    if node.type == "if":
        came = holds(node.condition or "", names)
        return {"value": came, "next": node.then if came else node.otherwise}
    value = evaluate(node.expression or "", names)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"value": value, "next": node.cases.get(text, node.default)}


def transform(node: NodeSpec, names: dict[str, Any]) -> Any:
    """Return what a `transform` makes: its variables, or its inputs with the templates filled."""
    if node.assign:
        made: dict[str, Any] = {}
        for name, expression in node.assign.items():
            made[name] = evaluate(expression, {**names, **made})
        return made
    return render(node.inputs, names)


def _where_it_ends(node: NodeSpec) -> frozenset[str]:
    """Return where the walk through the body of a map or a loop ends: where it comes back."""
    return frozenset(name for name in (node.name, node.next) if name)
