"""`agents_yaml` and `tasks_yaml`: read into what plans are compiled from, and written again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from muster.domains.catalogue.agents import AgentSpec
from muster.domains.work.crews.errors import DefinitionsInvalid
from muster.domains.work.crews.faults import Fault
from muster.domains.work.crews.linking import Names, link
from muster.domains.work.crews.shaping import (
    AGENT_WORDS,
    REFERENCES,
    TASK_WORDS,
    agent_values,
    defines_agent,
    name_of,
    task_values,
)
from muster.domains.work.crews.sources import Source, SourceBroken, read_source
from muster.domains.work.plans import CrewMember, CrewSpec, Process, TaskSpec
from muster.kernel.documents import Document, Path
from muster.kernel.nearest import nearest

AGENTS, TASKS = "agents_yaml", "tasks_yaml"
MAX_AGENTS, MAX_TASKS = 100, 500
_LONGEST_KEY = 255
_MOST_FAULTS = 50
_MOST_COMPARED = 500
_ALIKE = 0.8


@dataclass(slots=True)
class Definitions:
    """What was read: agents, tasks, what they may be called by, and what is wrong.

    `places` tells where a part of the crew stands, by `agents.<key>.<field>`.
    """

    agents: list[CrewMember] = field(default_factory=list[CrewMember])
    tasks: list[TaskSpec] = field(default_factory=list[TaskSpec])
    agent_names: Names = field(default_factory=Names)
    task_names: Names = field(default_factory=Names)
    faults: list[Fault] = field(default_factory=list[Fault])
    places: dict[Path, int] = field(default_factory=dict[Path, int])
    compared: int = 0

    @property
    def broken(self) -> list[Fault]:
        """What makes the definitions unreadable, or not what was meant."""
        return [fault for fault in self.faults if fault.severity == "error"]


def read_definitions(
    agents_yaml: Source,
    tasks_yaml: Source,
    *,
    name: str = "Crew",
    description: str | None = None,
    process: Process = "sequential",
    model: str | None = None,
    manager_llm: str | None = None,
    manager_agent: str | None = None,
    max_rpm: int | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> CrewSpec:
    """Return the crew that definitions describe; raises `DefinitionsInvalid` with the places.

    Args:
        agents_yaml: Agents by key, or a list: YAML text, JSON text or an object.
        tasks_yaml: Tasks by key in their order, or a list.
        name: Name of the crew.
        description: What it is for.
        process: How its agents work together.
        model: For agents that name no model.
        manager_llm: Model of the manager of a hierarchical crew.
        manager_agent: The manager: key in the crew, or id, key or name of a stored agent.
        max_rpm: Most calls of models in a minute.
        inputs: Defaults of the placeholders.
    """
    read = read_both(agents_yaml, tasks_yaml)
    if broken := read.broken:
        raise DefinitionsInvalid(broken)
    spec = CrewSpec(
        name=name,
        description=description,
        process=process,
        agents=read.agents,
        tasks=read.tasks,
        model=model,
        manager_llm=manager_llm,
        manager_agent=manager_agent,
        max_rpm=max_rpm,
        inputs=dict(inputs or {}),
    )
    return link(spec, read.agent_names, read.task_names)


def read_both(agents_yaml: Source, tasks_yaml: Source) -> Definitions:
    """Read as much as can be read, and say what cannot."""
    found = Definitions()
    for entry in _entries(AGENTS, "agents", agents_yaml, MAX_AGENTS, found):
        if (member := _member(entry, found)) is not None:
            found.agents.append(member)
    for entry in _entries(TASKS, "tasks", tasks_yaml, MAX_TASKS, found):
        if (task := _task(entry, found)) is not None:
            found.tasks.append(task)
    return found


def write_definitions(spec: CrewSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the agents and the tasks of a crew by their keys, as `read_definitions` reads them."""
    agents: dict[str, Any] = {}
    for member in spec.agents:
        if member.definition is None:
            agents[member.key] = {"agent": member.reference or member.key}
        else:
            values = _written(member.definition)
            values = {"name": member.definition.name, **values}
            # Only a name would mean an agent that is stored.
            agents[member.key] = values if defines_agent(values) else {**values, "kind": "native"}
    tasks: dict[str, Any] = {}
    for number, task in enumerate(spec.tasks, 1):
        values = _written(task)
        values.pop("key", None)
        tasks[task.key or f"task_{number}"] = {"description": task.description, **values}
    return agents, tasks


def _written(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_defaults=True)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One agent or task of a source."""

    source: str
    key: str
    path: Path
    value: Any
    read: Document

    def fault(
        self,
        message: str,
        path: Path = (),
        *,
        warning: bool = False,
        suggestion: str | None = None,
    ) -> Fault:
        place = self.read.place((*self.path, *path))
        return Fault(
            field=".".join((self.source, self.key, *path))[:500],
            message=message,
            line=place[0] if place else None,
            column=place[1] if place else None,
            severity="warning" if warning else "error",
            suggestion=suggestion,
        )


def _entries(source: str, kind: str, given: Source, most: int, found: Definitions) -> list[_Entry]:
    try:
        read = read_source(source, given)
    except SourceBroken as error:
        found.faults.append(error.fault)
        return []
    value, path = read.value, ()
    if isinstance(value, dict):
        value, path = _unwrapped(cast("dict[str, Any]", value), kind)
    parts: list[tuple[Path, str, Any]] = []
    if isinstance(value, dict):
        parts = [((key,), key, item) for key, item in cast("dict[str, Any]", value).items()]
    elif isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
        parts = [_part(at, item, f"{kind[:-1]}_{at + 1}") for at, item in items]
    elif value is not None and value != "":
        found.faults.append(_misshapen(source, kind, read, value))
    if len(parts) > most:
        place = read.place((*path, *parts[most][0]))
        line, column = place or (None, None)
        text = f"A crew may have {most} {kind}."
        found.faults.append(Fault(field=source, message=text, line=line, column=column))
        return []
    _note_places(found, kind, read, {(*path, *inner): key for inner, key, _ in parts})
    entries: list[_Entry] = []
    for inner, key, item in parts:
        if key.strip() and len(key) <= _LONGEST_KEY:
            entries.append(_Entry(source, key, (*path, *inner), item, read))
        else:
            text = f"A key must have 1 to {_LONGEST_KEY} characters."
            found.faults.append(Fault(field=source, message=text))
    return entries


def _note_places(found: Definitions, kind: str, read: Document, keys: Mapping[Path, str]) -> None:
    depths = {len(path) for path in keys}
    for place, (line, _) in read.places.items():
        for depth in depths:
            if (key := keys.get(place[:depth])) is not None:
                found.places.setdefault((kind, key, *place[depth:]), line)


def _part(at: int, item: Any, otherwise: str) -> tuple[Path, str, Any]:
    """Read an item of a list; `- key: {...}` is one, too."""
    fields = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
    if len(fields) == 1:
        ((key, inner),) = fields.items()
        if isinstance(inner, dict) and key not in REFERENCES:
            return (str(at), key), key, cast("dict[str, Any]", inner)
    return (str(at),), _key_of(fields or item, otherwise), cast("Any", item)


def _unwrapped(value: dict[str, Any], kind: str) -> tuple[Any, Path]:
    """Read `agents: {...}` as what is below."""
    inner = value.get(kind) if len(value) == 1 else None
    if isinstance(inner, list):
        return cast("list[Any]", inner), (kind,)
    if isinstance(inner, dict):
        fields = cast("dict[str, Any]", inner)
        if all(item is None or isinstance(item, dict) for item in fields.values()):
            return fields, (kind,)
    return value, ()


def _key_of(item: Any, otherwise: str) -> str:
    if isinstance(item, str):
        return item.strip() or otherwise
    if isinstance(item, dict):
        fields = cast("dict[str, Any]", item)
        for name in ("key", "id", "name", "title"):
            if isinstance(fields.get(name), str | int) and str(fields[name]).strip():
                return str(fields[name]).strip()[:_LONGEST_KEY]
    return otherwise


def _misshapen(source: str, kind: str, read: Document, value: Any) -> Fault:
    line, column = read.place(()) or (None, None)
    text = (
        f"It must be a mapping of keys to {kind}, or a list of {kind}; it is only "
        f"{str(value)[:60]!r}."
    )
    return Fault(field=source, message=text, line=line, column=column, bare=True)


def _member(entry: _Entry, found: Definitions) -> CrewMember | None:
    value: Any = {} if entry.value is None else entry.value
    if isinstance(value, str | int):
        value = {"agent": str(value)}
    if not isinstance(value, dict):
        found.faults.append(entry.fault("An agent must be a mapping of its fields."))
        return None
    fields = cast("dict[str, Any]", value)
    _compare(entry, fields, AGENT_WORDS, found)
    for name in ("id", "key", "name"):
        found.agent_names.add(fields.get(name), entry.key)
    if not defines_agent(fields):
        given = next((fields[name] for name in REFERENCES if fields.get(name)), None)
        reference = name_of(given) if given else _stored_in(entry.key)
        if not isinstance(reference, str) or not 0 < len(reference) <= _LONGEST_KEY:
            found.faults.append(entry.fault("An agent is named by its id, key or name."))
            return None
        return CrewMember(key=entry.key, reference=reference)
    try:
        definition = AgentSpec.model_validate(agent_values(fields, entry.key))
    except ValidationError as error:
        _refuse(entry, error, found)
        return None
    return CrewMember(key=entry.key, definition=definition)


def _stored_in(key: str) -> str:
    """Return the reference to a stored agent that a key is."""
    return key.removeprefix("agent_").strip() or key.strip()


def _task(entry: _Entry, found: Definitions) -> TaskSpec | None:
    value: Any = {} if entry.value is None else entry.value
    if isinstance(value, str):
        value = {"description": value}
    if not isinstance(value, dict):
        found.faults.append(entry.fault("A task must be a mapping of its fields."))
        return None
    fields = cast("dict[str, Any]", value)
    _compare(entry, fields, TASK_WORDS, found)
    for name in ("id", "key", "name", "title"):
        found.task_names.add(fields.get(name), entry.key)
    values, notes = task_values(fields)
    found.faults += [entry.fault(text, (name,), warning=True) for name, text in notes]
    try:
        return TaskSpec.model_validate({**values, "key": entry.key})
    except ValidationError as error:
        _refuse(entry, error, found)
        return None


def _compare(
    entry: _Entry, fields: Mapping[str, Any], words: frozenset[str], found: Definitions
) -> None:
    """Warn of fields that are misspelt; others that are not known are for other readers."""
    for name in fields:
        if name not in words and found.compared < _MOST_COMPARED:
            found.compared += 1
            if near := nearest(name, words, cutoff=_ALIKE):
                text = f"The field {name!r} is not known and is passed over."
                found.faults.append(entry.fault(text, (name,), warning=True, suggestion=near))


def _refuse(entry: _Entry, error: ValidationError, found: Definitions) -> None:
    room = _MOST_FAULTS - len(found.faults)
    for item in error.errors()[: max(room, 0)]:
        path = tuple(str(part) for part in item["loc"])
        found.faults.append(entry.fault(f"{item['msg']}.", path))
