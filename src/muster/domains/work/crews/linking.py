"""How agents and tasks of a crew are called by each other: keys, ids and names become keys."""

from collections.abc import Iterable
from typing import Any

from muster.domains.work.plans import CrewMember, CrewSpec, TaskSpec


class Names:
    """What a key is called besides itself; the first one who is called so has the name."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}

    def add(self, name: Any, key: str) -> None:
        """Note another name of a key."""
        if isinstance(name, str | int) and str(name).strip():
            self._keys.setdefault(str(name).strip(), key)

    def own(self, keys: Iterable[str], prefix: str) -> None:
        """Let keys win over names, and be called without their prefix too."""
        known = list(keys)
        before, self._keys = self._keys, {key: key for key in known}
        for key in known:
            self.add(key.removeprefix(prefix), key)
            self.add(prefix + key, key)
        for name, key in before.items():
            self.add(name, key)
        for name, key in [*self._keys.items()]:
            self._keys.setdefault(name.casefold(), key)

    def find(self, name: str) -> str | None:
        """Return the key that is called so."""
        plain = name.strip()
        return self._keys.get(plain) or self._keys.get(plain.casefold())


def link(spec: CrewSpec, agents: Names, tasks: Names) -> CrewSpec:
    """Return the crew with agents and tasks named by their keys; what nobody is called stays."""
    for member in spec.agents:
        agents.add(member.reference, member.key)
        if member.definition is not None:
            agents.add(member.definition.key, member.key)
            agents.add(member.definition.name, member.key)
    keyed = _keyed(spec.tasks)
    for task in keyed:
        tasks.add(task.name, str(task.key))
    agents.own((member.key for member in spec.agents), "agent_")
    tasks.own((str(task.key) for task in keyed), "task_")
    linked = [
        task.model_copy(
            update={
                "agent": (agents.find(task.agent) or task.agent) if task.agent else None,
                "context": list(dict.fromkeys(tasks.find(name) or name for name in task.context)),
            }
        )
        for task in keyed
    ]
    manager = spec.manager_agent
    if manager:
        manager = agents.find(manager) or manager
    return spec.model_copy(update={"tasks": linked, "manager_agent": manager})


def _keyed(tasks: list[TaskSpec]) -> list[TaskSpec]:
    return [
        task if task.key else task.model_copy(update={"key": f"task_{number}"})
        for number, task in enumerate(tasks, 1)
    ]


def called(member: CrewMember, reference: str) -> bool:
    """Tell whether a member is the stored agent, or stands in its place."""
    return reference in {member.key, member.reference, member.key.removeprefix("agent_")}
