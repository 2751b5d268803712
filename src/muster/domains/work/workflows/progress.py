"""How far a run is with each node of its plan, read from its journal."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.approvals import Approval
from muster.domains.work.journal import Intent, Run, RunStatus, Step, StepStatus
from muster.domains.work.plans import NodeSpec, WorkflowSpec, node_key
from muster.domains.work.runs import RunNotFound
from muster.domains.work.workflows.errors import ExecutionWithoutPlan

_KEY = re.compile(r"[a-z]?(n\.[^#@+^~/]+)")
"""What a step, a child or a question of a node begins with; the rest tells visits and attempts."""
_FAILED = frozenset({RunStatus.FAILED, RunStatus.REJECTED})
_DELAY = "d"


class Traces:
    """What nodes have left in the records, by node; what came later stands in place of it."""

    def __init__(self, plan: WorkflowSpec) -> None:
        self._names = {node_key(node.name): node.name for node in plan.nodes}
        self._known = set(self._names.values())
        self.states: dict[str, str] = {}

    def of_key(self, key: str | None) -> str | None:
        """Return the node that a key belongs to."""
        found = _KEY.match(key or "")
        return self._names.get(found[1]) if found else None

    def note(self, name: str | None, state: str) -> None:
        """Take in a state of a node."""
        if name in self._known:
            self.states[str(name)] = state


async def find_run(session: AsyncSession, project_id: str, run_id: str) -> Run:
    """Return a run of a project."""
    statement = select(Run).where(Run.project_id == project_id, Run.id == run_id)
    run: Run | None = await session.scalar(statement)
    if run is None:
        raise RunNotFound
    return run


def agents_of(run: Run) -> dict[str, str]:
    """Return the names of the agents of a run's plan, by how its tasks name them."""
    frozen: dict[str, Any] = run.snapshot.get("agents") or {}
    return {key: agent["agent"]["name"] for key, agent in frozen.items() if agent}


def plan_of(run: Run) -> WorkflowSpec:
    """Return the frozen plan of a run; raises `ExecutionWithoutPlan`."""
    plan = run.snapshot.get("plan")
    if plan is None:
        raise ExecutionWithoutPlan(
            f"It is a run of kind {run.kind}; only those of tasks, crews and workflows are drawn."
        )
    return WorkflowSpec.model_validate(plan)


async def states_of(session: AsyncSession, run: Run, plan: WorkflowSpec) -> dict[str, str]:
    """Return the state of each node of a run's plan: what `draw` takes."""
    traces = Traces(plan)
    steps = select(Step.key, Step.name, Step.status).where(Step.run_id == run.id)
    for key, name, status in await session.execute(steps.order_by(Step.seq)):
        # A node's own steps are called as it is; the key of a long name is told by its hash only.
        node = traces.of_key(key) or (name if key.startswith(("n.", "xn.", "dn.")) else None)
        ended = "completed" if status == StepStatus.OK.value else "failed"
        traces.note(node, "waiting" if key.startswith(_DELAY) else ended)
    children = select(Run.parent_key, Run.status).where(
        Run.parent_run_id == run.id, Run.project_id == run.project_id
    )
    for key, told in await session.execute(children.order_by(Run.created_at, Run.id)):
        node, status = traces.of_key(key), RunStatus(told)
        if not status.is_final:
            asks = status is RunStatus.WAITING_FOR_APPROVAL
            traces.note(node, "waiting" if asks else "running")
        elif node not in traces.states:
            traces.note(node, "failed" if status in _FAILED else "running")
    if not run.is_final:
        at_work = select(Intent.key).where(Intent.run_id == run.id)
        for key in await session.scalars(at_work):
            traces.note(traces.of_key(key), "running")
    asked = select(Approval.step_key, Approval.status).where(
        Approval.run_id == run.id, Approval.project_id == run.project_id
    )
    for key, status in await session.execute(asked.order_by(Approval.created_at)):
        if status == "pending":
            traces.note(traces.of_key(key), "waiting")
        elif status == "rejected" and traces.of_key(key) not in traces.states:
            traces.note(traces.of_key(key), "failed")
    return _settled(plan, traces.states, run)


def _settled(plan: WorkflowSpec, states: Mapping[str, str], run: Run) -> dict[str, str]:
    """Give every node a state: those that run others have theirs from them."""
    nodes = {node.name: node for node in plan.nodes}
    settled = dict(states)
    # From the end, so that what is in another comes before it.
    for node in reversed(plan.nodes):
        if node.type in {"parallel", "map", "loop"} and node.name not in settled:
            state = _state_around(node, nodes, settled, run)
            if state is not None:
                settled[node.name] = state
    for name in nodes:
        state = settled.get(name, "pending")
        if run.is_final and state in {"pending", "running", "waiting"}:
            state = "skipped"
        settled[name] = state
    return settled


def _state_around(
    node: NodeSpec, nodes: Mapping[str, NodeSpec], states: Mapping[str, str], run: Run
) -> str | None:
    behind = [node.next] if node.next else []
    behind += [other.name for other in nodes.values() if node.name in other.depends_on]
    if any(name in states for name in behind):
        return "completed"
    within = [states[name] for name in _within(node, nodes) if name in states]
    if not within:
        return None
    if run.status == RunStatus.COMPLETED:
        return "completed"
    if run.is_final:
        return "failed" if "failed" in within else "skipped"
    return (
        "waiting" if set(within) <= {"waiting", "completed"} and "waiting" in within else "running"
    )


def _within(node: NodeSpec, nodes: Mapping[str, NodeSpec]) -> set[str]:
    """Return the nodes that a node runs: its branches, or its body."""
    found: set[str] = set()
    left = [name for name in (node.body, *node.branches) if name]
    while left:
        name = left.pop()
        if name in found or name in {node.name, node.next} or name not in nodes:
            continue
        found.add(name)
        one = nodes[name]
        ways = [one.next, one.then, one.otherwise, one.default, one.body, one.on_error]
        left += [way for way in (*ways, *one.cases.values(), *one.branches) if way]
    return found
