"""Definitions made by rules from a description, where the built-in model is all there is."""

import re
from collections.abc import Sequence
from typing import Any

from muster.domains.catalogue.agents import slug
from muster.domains.work.generation.drafts import (
    AgentDraft,
    CrewDraft,
    CrewTaskDraft,
    MemberDraft,
    NodeDraft,
    TaskDraft,
    WorkflowDraft,
)
from muster.domains.work.generation.offers import OfferedTool
from muster.domains.work.generation.wording import Reading, capitalised, is_about, read, titled

_MOST_TOOLS = 8
_MOST_AGENTS = 5
_LONGEST_NAME = 80
_LONGEST_TEXT = 15_000
_BRACES = re.compile(r"\{{2,}|\}{2,}")
_APPROVAL = ("approve", "approval", "sign off", "human review", "a person")


def agent_by_rules(description: str, tools: Sequence[OfferedTool]) -> AgentDraft:
    """Return an agent whose words are those of the description."""
    return AgentDraft(**_agent(read(description), tools))


def task_by_rules(description: str, tools: Sequence[OfferedTool]) -> TaskDraft:
    """Return a task whose words are those of the description."""
    reading = read(description)
    text = capitalised(reading.aim)
    if len(reading.steps) > 1:
        steps = "\n".join(f"{number}. {step}" for number, step in enumerate(reading.steps, 1))
        text = f"{text}\n\nSteps:\n{steps}"
    return TaskDraft(
        name=_name(text),
        description=text[:_LONGEST_TEXT],
        expected_output=_expected(reading.aim),
        tools=_fitting(f"{reading.aim} {' '.join(reading.steps)}", tools),
    )


def crew_by_rules(description: str, tools: Sequence[OfferedTool]) -> CrewDraft:
    """Return a crew with one task for each step, and an agent for each up to a few."""
    reading = read(description)
    about = "" if reading.subject in reading.steps[0] else f" ({reading.subject[:500]})"
    steps, count = reading.steps, min(len(reading.steps), _MOST_AGENTS)
    # Of many steps, those that follow each other are one agent's.
    owners = [number * count // len(steps) for number in range(len(steps))]
    agents = [
        _member(steps[owners.index(number)], reading, tools, number + 1) for number in range(count)
    ]
    tasks: list[CrewTaskDraft] = []
    for number, step in enumerate(steps):
        tasks.append(
            CrewTaskDraft(
                key=f"task_{number + 1}_{slug(step)[:40]}",
                name=_name(step),
                description=f"{step}{about}."[:_LONGEST_TEXT],
                expected_output=_expected(step),
                tools=_fitting(step, tools),
                agent=agents[owners[number]].key,
                context=[tasks[-1].key] if tasks else [],
            )
        )
    return CrewDraft(
        name=_titled_as(reading.name, "Crew"),
        description=description[:2_000],
        agents=agents,
        tasks=tasks,
    )


def workflow_by_rules(description: str, tools: Sequence[OfferedTool]) -> WorkflowDraft:
    """Return a workflow that takes one step after the other."""
    # What the description has in double braces was not meant for the workflow's own templates.
    reading = read(_BRACES.sub(lambda match: match[0][0], description))
    names = [f"step_{n}" for n in range(1, len(reading.steps) + 1)]
    nodes = [NodeDraft(name="begin", type="start", next=names[0])]
    before, last = "input", None
    for name, step, following in zip(names, reading.steps, [*names[1:], "finish"], strict=True):
        if any(word in step.lower() for word in _APPROVAL) and last is not None:
            message = f"{step}\n\n{{{{ {before} }}}}"
            nodes.append(
                NodeDraft(
                    name=name, type="approval", title=_name(step), message=message, next=following
                )
            )
            continue
        output = last = f"result_{name.removeprefix('step_')}"
        nodes.append(
            NodeDraft(
                name=name,
                type="llm",
                description=step[:2_000],
                prompt=f"{step[:_LONGEST_TEXT]}.\n\n{{{{ {before} }}}}",
                tools=_fitting(step, tools),
                output=output,
                next=following,
            )
        )
        before = output
    nodes.append(NodeDraft(name="finish", type="end"))
    return WorkflowDraft(
        name=_titled_as(reading.name, "Workflow"),
        description=description[:2_000],
        inputs=["input"],
        result=last,
        nodes=nodes,
    )


def _agent(reading: Reading, tools: Sequence[OfferedTool]) -> dict[str, Any]:
    role = f"{capitalised(reading.name.lower())} specialist"
    details = f" {reading.details}" if reading.details else ""
    return {
        "name": _titled_as(reading.name, "Agent"),
        "role": role,
        "goal": f"{capitalised(reading.aim)}."[:_LONGEST_TEXT],
        "backstory": f"You are an experienced {role[0].lower() + role[1:]} who works with care and "
        f"says what is not known.{details}"[:_LONGEST_TEXT],
        "tools": _fitting(" ".join((reading.aim, *reading.steps, reading.details)), tools),
    }


def _member(step: str, reading: Reading, tools: Sequence[OfferedTool], number: int) -> MemberDraft:
    name = titled(" ".join(step.split()[:3]))
    subject = reading.subject[:1_000]
    return MemberDraft(
        key=f"agent_{number}_{slug(name)[:40]}",
        name=_titled_as(name, "Agent"),
        role=f"{capitalised(name.lower())} specialist",
        goal=f"{step} as a part of: {subject}."[:_LONGEST_TEXT],
        backstory=f"You are one of a crew for {subject}. You work with care, build on what the "
        "others have found, and say what is not known.",
        tools=_fitting(step, tools),
    )


def _fitting(text: str, tools: Sequence[OfferedTool]) -> list[str]:
    found = [tool.name for tool in tools if is_about(text, tool.name, tool.description)]
    return found[:_MOST_TOOLS]


def _expected(text: str) -> str:
    return f"The result of: {text}. It is complete, and says what it rests on."[:_LONGEST_TEXT]


def _name(text: str) -> str:
    first = text.splitlines()[0]
    if len(first) <= _LONGEST_NAME:
        return first
    return first[:_LONGEST_NAME].rsplit(" ", 1)[0].rstrip(" ,.;:")


def _titled_as(name: str, what: str) -> str:
    return name if name.lower().endswith(what.lower()) else f"{name} {what}".strip()
