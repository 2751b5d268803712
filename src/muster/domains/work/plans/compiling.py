"""From a crew to the graph of tasks that is executed."""

from muster.domains.work.plans.nodes import NodeSpec, Retry, WorkflowSpec
from muster.domains.work.plans.tasks import CrewSpec, TaskSpec


def task_names(tasks: list[TaskSpec]) -> list[str]:
    """Return a name for each task, unique in the crew: its key, else its name, else its number."""
    names: list[str] = []
    for number, task in enumerate(tasks, 1):
        wanted = name = (task.key or task.name or f"task_{number}")[:90]
        while name in names:
            name, number = f"{wanted}_{number}", number + 1
        names.append(name)
    return names


def compile_crew(crew: CrewSpec) -> WorkflowSpec:
    """Return the graph of a crew's tasks.

    One after the other, but that nothing waits for an asynchronous task before the next one that is
    not, or that has it in its context. A task that names no context gets all outputs that are there
    when it begins.
    """
    names = task_names(crew.tasks)
    known: dict[str, str] = {}
    nodes: list[NodeSpec] = []
    reached: dict[str, list[str]] = {}
    barrier: list[str] = []
    since: list[str] = []
    for name, task in zip(names, crew.tasks, strict=True):
        # What comes later cannot be context: both would wait for each other.
        context = list(dict.fromkeys(known[ref] for ref in task.context if ref in known))
        for reference in (task.key, task.name, name):
            if reference:
                known.setdefault(reference, name)
        waits = [*barrier, *([] if task.async_execution else since), *context]
        depends_on = list(dict.fromkeys(waits))
        before = [one for one in names if one in _closure(depends_on, reached)]
        reached[name] = depends_on
        nodes.append(
            NodeSpec(
                name=name,
                type="task",
                depends_on=depends_on,
                when=task.condition,
                task=task.model_copy(
                    update={"key": name, "context": context if task.context else before}
                ),
                retry=Retry(attempts=task.retry_on_fail),
                timeout_s=task.timeout_s,
            )
        )
        if task.async_execution:
            since.append(name)
        else:
            barrier, since = [name], []
    return WorkflowSpec(
        name=crew.name,
        description=crew.description,
        mode="graph",
        model=crew.model,
        nodes=nodes,
        inputs=crew.inputs,
    )


def _closure(names: list[str], reached: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += reached.get(name, [])
    return found
