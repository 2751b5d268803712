"""What keeps a crew from running as it is meant, with places and what was probably meant."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from muster.domains.catalogue.agents import placeholders_of
from muster.domains.work.crews.cycles import cycles_in
from muster.domains.work.crews.faults import Fault
from muster.domains.work.crews.known import Known
from muster.domains.work.crews.shaping import SCHEMAS
from muster.domains.work.plans import (
    CrewMember,
    CrewSpec,
    ExpressionInvalid,
    PlanProblem,
    Severity,
    TaskSpec,
    names_of,
)
from muster.kernel.documents import Path
from muster.kernel.json_schema import schema_fault
from muster.kernel.nearest import nearest
from muster.kernel.placeholders import placeholders_in

_MOST = 200
_MOST_UNFILLED = 20


def problems_of(
    spec: CrewSpec, known: Known, *, places: Mapping[Path, int] | None = None
) -> list[PlanProblem]:
    """Return what is wrong with a crew, in its order; errors and warnings.

    Args:
        spec: The crew.
        known: What there is in the project.
        places: Lines of its parts, by path; for the problems to tell.
    """
    found: list[PlanProblem] = []
    warnings = 0
    for problem in _Examination(spec, known, places or {}).all():
        if problem.severity == "warning":
            warnings += 1
            if warnings > _MOST:
                continue
        found.append(problem)
        if len(found) - min(warnings, _MOST) == _MOST:
            break  # as many errors as anybody reads
    return found


def of_fault(fault: Fault) -> PlanProblem:
    """Return what could not be read, as a problem of the crew."""
    return PlanProblem(
        path=fault.field,
        message=fault.message,
        line=fault.line,
        suggestion=fault.suggestion,
        severity=fault.severity,
    )


class _Examination:
    """Looks at one crew from all sides."""

    def __init__(self, spec: CrewSpec, known: Known, places: Mapping[Path, int]) -> None:
        self._spec, self._known, self._places = spec, known, places
        self._members = [member.key for member in spec.agents]
        self._keys = [task.key or "" for task in spec.tasks]

    def all(self) -> Iterator[PlanProblem]:
        spec = self._spec
        if not spec.tasks:
            yield self._problem(("tasks",), "The crew has no tasks; add one to tasks_yaml.")
        if not spec.agents and not any(task.agent for task in spec.tasks):
            yield self._problem(("agents",), "The crew has no agents; add one to agents_yaml.")
        yield from self._model_of_crew()
        yield from self._manager()
        yield from self._twice("agents", self._members, [_name_of(m) for m in spec.agents])
        for member in spec.agents:
            yield from self._member(member)
        yield from self._twice("tasks", self._keys, [task.name for task in spec.tasks])
        for position, task in enumerate(spec.tasks):
            yield from self._task(position, task)
        yield from self._cycles()

    def _model_of_crew(self) -> Iterator[PlanProblem]:
        spec = self._spec
        if not spec.model:
            return
        managed = spec.manager_agent or spec.manager_llm
        needed = (spec.process == "hierarchical" and not managed) or any(
            member.definition and not member.definition.llm for member in spec.agents
        )
        for problem in self._model(("model",), spec.model):
            yield problem if needed else replace(problem, severity="warning")

    def _manager(self) -> Iterator[PlanProblem]:
        spec = self._spec
        if spec.process != "hierarchical":
            return
        if spec.manager_agent and spec.manager_agent not in self._members:
            yield from self._agent(("manager_agent",), spec.manager_agent)
        if spec.manager_llm:
            yield from self._model(("manager_llm",), spec.manager_llm)
        if not spec.manager_agent and not spec.manager_llm:
            text = "A hierarchical crew has a manager; name manager_llm or manager_agent. "
            text += (
                f"Without them the crew's model {spec.model!r} manages."
                if spec.model
                else "The crew names no model either."
            )
            yield self._problem(("manager_llm",), text, severity="warning")

    def _member(self, member: CrewMember) -> Iterator[PlanProblem]:
        path = ("agents", member.key)
        definition = member.definition
        if definition is None:
            reference = member.reference or member.key
            yield from self._agent(path, reference)
            names = self._known.placeholders.get(reference, ())
            yield from self._unfilled(path, names, self._spec.inputs)
            return
        if definition.llm:
            yield from self._model((*path, "llm"), definition.llm)
        elif not self._spec.model:
            text = (
                "The agent names no model, and neither does the crew; set llm or the crew's model."
            )
            yield self._problem((*path, "llm"), text)
        yield from self._tools(path, definition.tools)
        yield from self._schema(path, definition.output_schema, ("output_schema",))
        given = {*self._spec.inputs, *definition.inputs}
        yield from self._unfilled(path, placeholders_of(definition), given)

    def _task(self, position: int, task: TaskSpec) -> Iterator[PlanProblem]:
        path = ("tasks", self._keys[position])
        if not task.description.strip():
            text = (
                "The task does not say what is to be done; give it a description."
                if task.name or task.agent
                else f"There is no task {self._keys[position]!r}, or it says nothing."
            )
            yield self._problem((*path, "description"), text)
        if task.agent and task.agent not in self._members:
            yield from self._agent((*path, "agent"), task.agent)
        elif not task.agent and self._spec.process == "sequential":
            text = "The task names no agent; in a sequential crew each task has one."
            yield self._problem((*path, "agent"), text)
        yield from self._tools(path, task.tools)
        yield from self._context(position, task)
        for field, expression in (("guardrail", task.guardrail), ("condition", task.condition)):
            if expression and (fault := _unreadable(expression)):
                yield self._problem((*path, field), fault)
        yield from self._schema(path, task.output_schema, SCHEMAS)
        if task.llm_guardrail and task.llm_guardrail.llm_model:
            yield from self._model((*path, "llm_guardrail"), task.llm_guardrail.llm_model)
        named = placeholders_in(task.description, task.instructions, task.expected_output)
        yield from self._unfilled(path, named, self._spec.inputs)

    def _context(self, position: int, task: TaskSpec) -> Iterator[PlanProblem]:
        path = ("tasks", self._keys[position], "context")
        for name in task.context:
            if name == self._keys[position]:
                yield self._problem(path, "The task names itself as its context.")
            elif name not in self._keys:
                yield self._problem(
                    path,
                    f"The crew has no task {name[:100]!r}.",
                    nearest(name, self._keys + [t.name for t in self._spec.tasks if t.name]),
                )
            elif self._spec.process == "sequential" and self._keys.index(name) > position:
                text = (
                    f"The task {name[:100]!r} comes later: a sequential crew has no result of it "
                    "yet. Move it up, or take it off the context."
                )
                yield self._problem(path, text)

    def _cycles(self) -> Iterator[PlanProblem]:
        needs = {
            key: [name for name in task.context if name != key and name in self._keys]
            for key, task in zip(self._keys, self._spec.tasks, strict=True)
        }
        for cycle in cycles_in(needs):
            text = f"The tasks wait for each other: {' → '.join([*cycle, cycle[0]])[:300]}."
            yield self._problem(("tasks", cycle[0], "context"), text)

    def _agent(self, path: Path, reference: str) -> Iterator[PlanProblem]:
        if reference in self._known.agents:
            if fault := self._known.agent_faults.get(reference):
                yield self._problem(path, fault)
            return
        names = [*self._members, *(n for m in self._spec.agents if (n := _name_of(m)))]
        if path[0] == "agents":
            names = []
        text = f"Neither the crew nor the project has an agent {reference[:100]!r}."
        yield self._problem(path, text, nearest(reference, [*names, *self._known.agents]))

    def _model(self, path: Path, reference: str) -> Iterator[PlanProblem]:
        if reference not in self._known.models:
            text = self._known.model_faults.get(reference)
            text = text or f"No model is called {reference[:100]!r}."
            yield self._problem(path, text, nearest(reference, self._known.models))

    def _tools(self, owner: Path, names: Iterable[str]) -> Iterator[PlanProblem]:
        path = (*owner, "tools")
        for name in dict.fromkeys(names):
            fault = self._known.tool_faults.get((".".join(owner), name))
            if name not in self._known.tools:
                text = fault or f"No tool is called {name[:100]!r}."
                yield self._problem(path, text, nearest(name, self._known.tools))
            elif fault:
                yield self._problem(path, fault)

    def _schema(
        self, owner: Path, schema: Mapping[str, Any] | None, spellings: Sequence[str]
    ) -> Iterator[PlanProblem]:
        fault = schema_fault(schema) if schema else None
        if fault is not None:
            written = [(*part, name) for part in (owner, (*owner, "config")) for name in spellings]
            path = next((path for path in written if path in self._places), written[0])
            inner = fault.path.split(".") if fault.path else ()
            yield self._problem((*path, *inner), fault.message, fault.suggestion)

    def _unfilled(
        self, path: Path, names: Iterable[str], given: Collection[str]
    ) -> Iterator[PlanProblem]:
        for name in [name for name in names if name not in given][:_MOST_UNFILLED]:
            text = f"Nothing fills {{{name}}} yet; give the run an input of this name."
            yield self._problem(path, text, nearest(name, given), severity="warning")

    def _twice(
        self, kind: str, keys: Sequence[str], names: Sequence[str | None]
    ) -> Iterator[PlanProblem]:
        for key, count in Counter(keys).items():
            if count > 1:
                yield self._problem((kind, key), f"{count} {kind} have the key {key[:100]!r}.")
        for name, count in Counter(name for name in names if name).items():
            if count > 1 and name not in keys:
                key = keys[list(names).index(name)]
                text = f"{count} {kind} are named {name[:100]!r}; by that name the first is meant."
                yield self._problem((kind, key, "name"), text, severity="warning")

    def _problem(
        self,
        path: Path,
        message: str,
        suggestion: str | None = None,
        severity: Severity = "error",
    ) -> PlanProblem:
        place = path
        while place and place not in self._places:
            place = place[:-1]
        return PlanProblem(
            path=".".join(path)[:500],
            message=message,
            line=self._places.get(place),
            suggestion=suggestion,
            severity=severity,
        )


def _name_of(member: CrewMember) -> str | None:
    return member.definition.name if member.definition else None


def _unreadable(expression: str) -> str | None:
    try:
        names_of(expression)
    except ExpressionInvalid as error:
        return error.detail
    except (RecursionError, MemoryError):
        return "The expression is nested too deeply."
    return None
