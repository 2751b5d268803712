"""What each type of node needs, and what it refers to."""

from collections.abc import Iterator
from dataclasses import dataclass

from muster.domains.work.plans import NodeSpec, Severity
from muster.domains.work.workflows.notations.document import OF_COLLECTIONS

_REQUIRED = {
    "task": ("task", "the task"),
    "crew": ("crew", "the crew"),
    "subworkflow": ("workflow", "the workflow"),
    "tool": ("tool", "the tool"),
    "if": ("condition", "the condition"),
    "switch": ("expression", "the expression that chooses a case"),
    "transform": ("assign", "what is assigned"),
    "llm": ("prompt", "the prompt"),
    "retrieval": ("query", "what is looked for"),
}
_WAYS: tuple[tuple[str, str, str, Severity], ...] = (
    ("start", "next", "The start must name the node that follows.", "error"),
    ("if", "then", "A node of type if must name the node for when it holds.", "error"),
    (
        "if",
        "otherwise",
        "Nothing follows where the condition does not hold; the run ends there.",
        "warning",
    ),
    ("switch", "cases", "A node of type switch needs cases.", "error"),
    ("switch", "default", "Nothing follows where no case fits; name a default.", "warning"),
    ("parallel", "branches", "A node of type parallel needs branches.", "error"),
    ("parallel", "next", "Name in next the node where the branches come together.", "warning"),
)
"""What a node of a flow needs to lead anywhere."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a node lacks."""

    field: str
    message: str
    severity: Severity = "error"


def needs_of(node: NodeSpec, *, in_graph: bool) -> Iterator[Need]:
    """Yield what a node lacks."""
    if (required := _REQUIRED.get(node.type)) and not getattr(node, required[0]):
        yield Need(required[0], f"A node of type {node.type} must name {required[1]}.")
    if node.type == "agent" and not (node.agent or node.prompt or node.instructions):
        yield Need("agent", "A node of type agent must name the agent, or say what it is to do.")
    if node.type == "delay" and node.delay_s is None and not node.until:
        yield Need("delay_s", "A delay needs delay_s, or until when it lasts.")
    if node.type == "map" and not node.items:
        yield Need("items", "A map needs items, the expression of the list that it goes through.")
    if node.type in {"map", "loop"} and not node.body:
        yield Need("body", f"A {node.type} needs a body, the node that is repeated.")
    if node.type == "loop" and not node.condition and node.max_iterations is None:
        yield Need("condition", "A loop needs a condition or max_iterations; else it never ends.")
    if node.type == "input" and not node.variables:
        yield Need("variables", "The node asks for nothing; name variables.", "warning")
    if node.type == "retrieval":
        yield from _of_files(node)
    if not in_graph:
        yield from _ways(node)


def _of_files(node: NodeSpec) -> Iterator[Need]:
    for field in OF_COLLECTIONS:
        if field in node.inputs:
            text = f"Files of the project are searched, which know no {field}; leave it out."
            yield Need(field, text)


def _ways(node: NodeSpec) -> Iterator[Need]:
    for kind, field, message, severity in _WAYS:
        if node.type == kind and not getattr(node, field):
            yield Need(field, message, severity)
    if node.type == "end" and node.next:
        yield Need("next", "Nothing can follow a node of type end.")


def speaks(node: NodeSpec) -> bool:
    """Tell whether a node speaks to a model of its own, and to no agent that has one."""
    return node.type == "llm" or (node.type == "agent" and not node.agent)


def references_of(node: NodeSpec) -> Iterator[tuple[str, str, str]]:
    """Yield the kind, field and name of everything that a node refers to outside the workflow.

    A name that is a template is known only when the node runs.
    """
    task = node.task
    named = [
        ("agent", "agent", node.agent),
        ("tool", "tool", node.tool),
        ("model", "model", node.model),
        ("crew", "crew", node.crew),
        ("workflow", "workflow", node.workflow),
        *(("tool", f"tools.{index}", tool) for index, tool in enumerate(node.tools)),
    ]
    if task is not None and not isinstance(task, str):
        named.append(("agent", "task.agent", task.agent))
        named += [("tool", f"task.tools.{index}", tool) for index, tool in enumerate(task.tools)]
        if task.llm_guardrail:
            named.append(("model", "task.llm_guardrail.llm_model", task.llm_guardrail.llm_model))
    for kind, field, reference in named:
        if reference and "{{" not in reference:
            yield kind, field, reference
