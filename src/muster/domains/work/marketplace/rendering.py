"""From a bundle to the things it makes: parameters filled in, names given, bodies read. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from muster.domains.catalogue.agents import AgentSpec
from muster.domains.catalogue.prompts import PromptTemplateCreate
from muster.domains.work.crews import CrewCreate
from muster.domains.work.marketplace.bundles import KINDS, OFFLINE, Bundle, Kind, Parameter, Value
from muster.domains.work.marketplace.errors import ParametersInvalid
from muster.domains.work.tasks import TaskCreate
from muster.domains.work.triggers import TriggerCreate
from muster.domains.work.workflows import Read, WorkflowCreate, read_workflow
from muster.kernel.errors import FieldError

Made = tuple[Kind, str]
"""Kind and name of a thing of a bundle."""

_SLOT = re.compile(r"\[\[(?:([a-z]+):)?([^\[\]]+)\]\]")
_LONGEST = 2_000
_LARGEST = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What was chosen for an installation; `parameters` has a value for each of the bundle's."""

    model: str = OFFLINE
    prefix: str | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something that a bundle makes in a project. `written` is `body` as a request would send it.

    An agent's `name` is its key. `uses` names the things of the bundle that it refers to.
    """

    kind: Kind
    name: str
    written: dict[str, Any]
    body: Any
    read: Read | None = None
    uses: tuple[Made, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """All that a bundle makes, and a run to try it with."""

    things: tuple[Thing, ...]
    execution: dict[str, Any]

    @property
    def models(self) -> set[str]:
        """The models that its agents and workflows name."""
        agents = {one.body.llm for one in self.things if one.kind == "agent"}
        specs = [one.read.spec for one in self.things if one.read is not None]
        nodes = {node.model for spec in specs for node in spec.nodes}
        return {name for name in {*agents, *nodes, *(s.model for s in specs)} if name}

    @property
    def tools(self) -> set[str]:
        """The tools that its agents, tasks and workflows name."""
        named: set[str] = set()
        for thing in self.things:
            if thing.kind in {"agent", "task"}:
                named.update(thing.body.tools)
            if thing.read is not None:
                for node in thing.read.spec.nodes:
                    named.update(node.tools)
                    named.update({node.tool} if node.tool else set())
        return named


def chosen(
    bundle: Bundle, model: str | None, prefix: str | None, given: Mapping[str, Any]
) -> Choices:
    """Return what holds for an installation; raises `ParametersInvalid`."""
    known = {parameter.name: parameter for parameter in bundle.parameters}
    faults = [
        FieldError(
            f"parameters.{name}",
            f"The template takes {', '.join(known)}." if known else "The template takes none.",
        )
        for name in given
        if name not in known
    ]
    faults += [
        FieldError(f"parameters.{name}", fault)
        for name, value in given.items()
        if name in known and (fault := _fault(known[name], value))
    ]
    if faults:
        raise ParametersInvalid(f"{faults[0].field[:200]}: {faults[0].message}", errors=faults)
    values = {name: given.get(name, parameter.default) for name, parameter in known.items()}
    return Choices(model=model or OFFLINE, prefix=prefix, parameters=values)


def _fault(parameter: Parameter, value: Any) -> str | None:
    if parameter.type == "boolean":
        fits = isinstance(value, bool)
    elif parameter.type == "number":
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        fits = fits and abs(value) < _LARGEST
    else:
        fits = isinstance(value, str) and 0 < len(value) <= _LONGEST
    if not fits:
        size = f" of 1 to {_LONGEST} characters" if parameter.type == "text" else ""
        return f"This is to be a {parameter.type}{size}."
    if parameter.choices and value not in parameter.choices:
        return f"This is to be one of {', '.join(map(str, parameter.choices))}."
    return None


def render(bundle: Bundle, choices: Choices) -> Rendered:
    """Return all that a bundle makes in a project."""
    filling = _Filling(bundle, choices)
    things = [_thing(kind, written, filling) for kind in KINDS for written in bundle.written(kind)]
    return Rendered(things=tuple(things), execution=filling.filled(bundle.example.execution))


def _thing(kind: Kind, written: dict[str, Any], filling: "_Filling") -> Thing:
    uses: set[Made] = set()
    filled = cast("dict[str, Any]", filling.filled(written, uses))
    name = filling.names[kind, written["key" if kind == "agent" else "name"]]
    filled["name"] = filling.prefixed(written["name"])
    read = None
    if kind == "agent":
        filled["key"] = name
        body: Any = AgentSpec.model_validate(filled)
    elif kind == "prompt":
        body = PromptTemplateCreate.model_validate(filled)
    elif kind == "task":
        body = TaskCreate.model_validate(filled)
    elif kind == "crew":
        body = CrewCreate.model_validate(filled)
    elif kind == "workflow":
        body = WorkflowCreate.model_validate(filled)
        read = read_workflow(body.definition)
    else:
        body = TriggerCreate.model_validate(filled)
    return Thing(
        kind=kind, name=name, written=filled, body=body, read=read, uses=tuple(sorted(uses))
    )


class _Filling:
    """Puts values in the place of `[[slots]]`."""

    def __init__(self, bundle: Bundle, choices: Choices) -> None:
        self._prefix = choices.prefix
        self._values: dict[str, Value] = {**choices.parameters, "model": choices.model}
        self.names: dict[Made, str] = {}
        for kind in KINDS:
            for written in bundle.written(kind):
                own = written["key" if kind == "agent" else "name"]
                self.names[kind, own] = self.prefixed(own, "-" if kind == "agent" else " ")

    def prefixed(self, name: str, between: str = " ") -> str:
        """Return a name with the prefix that was chosen."""
        return f"{self._prefix}{between}{name}" if self._prefix else name

    def filled(self, value: Any, uses: set[Made] | None = None) -> Any:
        """Return a value with its slots filled; what it refers to is added to `uses`."""
        if isinstance(value, str):
            return self._text(value, uses)
        if isinstance(value, dict):
            items = cast("dict[str, Any]", value).items()
            return {name: self.filled(one, uses) for name, one in items}
        if isinstance(value, list):
            return [self.filled(one, uses) for one in cast("list[Any]", value)]
        return value

    def _text(self, text: str, uses: set[Made] | None) -> Any:
        whole = _SLOT.fullmatch(text)
        if whole:
            return self._slot(whole, uses)
        return _SLOT.sub(lambda slot: str(self._slot(slot, uses)), text)

    def _slot(self, slot: re.Match[str], uses: set[Made] | None) -> Value:
        kind, name = slot.groups()
        if kind is None:
            return self._values[name]
        if kind not in get_args(Kind):
            raise KeyError(kind)
        made: Made = (cast("Kind", kind), name)
        own = self.names[made]
        if uses is not None:
            uses.add((made[0], own))
        return own
