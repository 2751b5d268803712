"""What is wrong with a workflow: everything at once, with what was probably meant."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import get_args

from muster.domains.work.plans import NodeSpec, NodeType, PlanProblem, WorkflowSpec
from muster.domains.work.workflows.dialects import dialect_problems
from muster.domains.work.workflows.known import Known
from muster.domains.work.workflows.needs import needs_of, references_of, speaks
from muster.domains.work.workflows.notations import Read
from muster.domains.work.workflows.notations.chaining import targets_of
from muster.domains.work.workflows.reaching import circles, descendants, reached, successors
from muster.domains.work.workflows.unknown import unknown_fields
from muster.domains.work.workflows.variables import half_templates, readings_of, undefined
from muster.kernel.json_schema import schema_fault
from muster.kernel.nearest import nearest

_TYPES: tuple[str, ...] = get_args(NodeType)
_MOST = 200
_MOST_WALKS = 200
"""Most branches that are walked; a workflow of parallels alone would take for ever."""
_SHOWN = 100


def problems_of(
    spec: WorkflowSpec, known: Known | None = None, *, read: Read | None = None
) -> list[PlanProblem]:
    """Return what is wrong with a workflow, errors first.

    Args:
        spec: The workflow.
        known: What its nodes may refer to; absent, references are not looked at.
        read: How it was read, for paths and lines of what was written.
    """
    found = list(islice(_Validation(spec, known or Known()).problems(), _MOST))
    if read is not None:
        own = list(islice(chain(dialect_problems(read), unknown_fields(read)), _MOST))
        told = {problem.path for problem in own}
        located = [_located(problem, read) for problem in found]
        found = [*own, *(problem for problem in located if problem.path not in told)][:_MOST]
    return sorted(found, key=lambda problem: problem.severity != "error")


def _located(problem: PlanProblem, read: Read) -> PlanProblem:
    path, line = read.locate(problem.path)
    return replace(problem, path=path, line=line)


class _Validation:
    def __init__(self, spec: WorkflowSpec, known: Known) -> None:
        self._spec, self._known = spec, known
        self._names = [node.name for node in spec.nodes]
        self._index = {name: i for i, name in reversed(list(enumerate(self._names)))}
        self._successors = successors(spec)
        self._walks = _MOST_WALKS

    def problems(self) -> Iterator[PlanProblem]:
        if not self._spec.nodes:
            yield PlanProblem("nodes", "The workflow has no nodes; add one.")
            return
        yield from self._duplicates()
        yield from self._model()
        for index, node in enumerate(self._spec.nodes):
            path = f"nodes.{index}"
            yield from self._kind(path, node)
            yield from self._targets(path, node)
            yield from self._references(path, node)
            yield from self._schemas(path, node)
            for fault in half_templates(index, node):
                yield PlanProblem(f"{path}.{fault.path}", fault.message)
            if node.type == "parallel":
                yield from self._parallel(path, node)
        yield from self._expressions()
        yield from self._flow() if self._spec.mode == "flow" else self._graph()

    def _duplicates(self) -> Iterator[PlanProblem]:
        for index, name in enumerate(self._names):
            if self._index[name] != index:
                text = f"Another node is called {_shown(name)}; names must differ."
                yield PlanProblem(f"nodes.{index}.name", text)

    def _kind(self, path: str, node: NodeSpec) -> Iterator[PlanProblem]:
        if not node.type:
            yield PlanProblem(f"{path}.type", f"The node {_shown(node.name)} has no type.")
        elif node.type not in _TYPES:
            yield PlanProblem(
                f"{path}.type",
                f"There is no type {_shown(node.type)} of nodes; there are {', '.join(_TYPES)}.",
                suggestion=nearest(node.type, _TYPES),
            )
        else:
            for need in needs_of(node, in_graph=self._spec.mode == "graph"):
                yield PlanProblem(f"{path}.{need.field}", need.message, severity=need.severity)

    def _targets(self, path: str, node: NodeSpec) -> Iterator[PlanProblem]:
        named = [(f"depends_on.{i}", name) for i, name in enumerate(node.depends_on)]
        named += [(target.field, target.name) for target in targets_of(node)]
        for where, name in named:
            if name not in self._index:
                yield PlanProblem(
                    f"{path}.{where}",
                    f"There is no node {_shown(name)}.",
                    suggestion=nearest(name, self._names),
                )

    def _references(self, path: str, node: NodeSpec) -> Iterator[PlanProblem]:
        for kind, where, reference in references_of(node):
            yield from self._reference(kind, f"{path}.{where}", reference)

    def _reference(self, kind: str, path: str, reference: str) -> Iterator[PlanProblem]:
        names: Collection[str] | None = getattr(self._known, f"{kind}s")
        reason = self._known.unusable.get(f"{kind}:{reference}")
        if reason is not None or (names is not None and reference not in names):
            text = reason or f"There is no {kind} {_shown(reference)} in the project."
            near = nearest(reference, [name for name in names or () if name != reference])
            yield PlanProblem(path, text, suggestion=near)

    def _schemas(self, path: str, node: NodeSpec) -> Iterator[PlanProblem]:
        task = None if isinstance(node.task, str) else node.task
        given = {
            "output_schema": node.output_schema,
            "task.output_schema": task and task.output_schema,
        }
        for where, schema in given.items():
            fault = schema_fault(schema) if schema else None
            if fault is not None:
                place = f"{path}.{where}.{fault.path}".rstrip(".")
                yield PlanProblem(place, fault.message, suggestion=fault.suggestion)

    def _model(self) -> Iterator[PlanProblem]:
        """Look at the model of the workflow, which is for nodes that name none."""
        nodes = enumerate(self._spec.nodes)
        without = [index for index, node in nodes if speaks(node) and not node.model]
        if self._spec.model:
            for problem in self._reference("model", "model", self._spec.model):
                yield problem if without else replace(problem, severity="warning")
        elif self._known.models is not None:
            text = "Neither the node nor the workflow names a model; the run must be given one."
            for index in without:
                yield PlanProblem(f"nodes.{index}.model", text, severity="warning")

    def _parallel(self, path: str, node: NodeSpec) -> Iterator[PlanProblem]:
        join = node.next
        seen: dict[str, str] = {}
        made: dict[str, str] = {}
        for index, branch in enumerate(node.branches):
            where = f"{path}.branches.{index}"
            if branch in node.branches[:index]:
                yield PlanProblem(where, f"The branch {_shown(branch)} is there twice.")
                continue
            if branch not in self._index or self._walks == 0:
                continue
            self._walks -= 1
            inside = descendants(self._successors, branch, without=join)
            yield from self._branch(where, node, branch, inside)
            for name in sorted(inside):
                if seen.setdefault(name, branch) != branch:
                    text = f"The branches {_shown(seen[name])} and {_shown(branch)} share "
                    yield PlanProblem(where, f"{text}{_shown(name)}; branches must be apart.")
                    break
            for output in sorted(self._outputs(inside)):
                if made.setdefault(output, branch) != branch:
                    text = f"The branches {_shown(made[output])} and {_shown(branch)} both make "
                    yield PlanProblem(
                        where, f"{text}{_shown(output)}; give it another name in one."
                    )

    def _branch(
        self, where: str, node: NodeSpec, branch: str, inside: set[str]
    ) -> Iterator[PlanProblem]:
        for name in sorted(inside):
            kind = self._spec.nodes[self._index[name]].type
            if name == node.name or kind in {"start", "end"}:
                text = f"The branch {_shown(branch)} leads to {_shown(name)}, which may not be in a"
                join = f"; end it at {_shown(node.next)}" if node.next else ""
                yield PlanProblem(where, f"{text} branch{join}.")

    def _outputs(self, names: Collection[str]) -> set[str]:
        nodes = (self._spec.nodes[self._index[name]] for name in names)
        return {node.output for node in nodes if node.output}

    def _flow(self) -> Iterator[PlanProblem]:
        starts = [i for i, node in enumerate(self._spec.nodes) if node.type == "start"]
        if not starts:
            yield PlanProblem("nodes", "The workflow has no node of type start; it needs one.")
        for index in starts[1:]:
            yield PlanProblem(f"nodes.{index}.type", "Only one node can be of type start.")
        if not any(node.type == "end" for node in self._spec.nodes):
            yield PlanProblem("nodes", "The workflow has no node of type end; it needs one.")
        for index, node in enumerate(self._spec.nodes):
            if node.depends_on:
                text = "In a flow nodes follow by `next`; `depends_on` is for graphs."
                yield PlanProblem(f"nodes.{index}.depends_on", text)
        if starts:
            found = reached(self._successors, [self._names[starts[0]]])
            for index, node in enumerate(self._spec.nodes):
                if node.name not in found:
                    text = f"Nothing leads to {_shown(node.name)}; it will never run."
                    yield PlanProblem(f"nodes.{index}", text, severity="warning")

    def _graph(self) -> Iterator[PlanProblem]:
        for circle in circles({node.name: node.depends_on for node in self._spec.nodes}):
            shown = " → ".join(name[:_SHOWN] for name in circle[:10])
            yield PlanProblem(
                f"nodes.{self._index[circle[0]]}.depends_on",
                f"These depend on one another: {shown}; none of them can begin.",
            )

    def _expressions(self) -> Iterator[PlanProblem]:
        readings = readings_of(self._spec)
        for reading in readings:
            if reading.fault is not None:
                yield PlanProblem(f"nodes.{reading.index}.{reading.path}", reading.fault)
        for fault in undefined(self._spec, self._successors, readings):
            yield PlanProblem(
                f"nodes.{fault.index}.{fault.path}",
                fault.message,
                suggestion=fault.suggestion,
                severity="warning",
            )


def _shown(name: str) -> str:
    return repr(name[:_SHOWN])
