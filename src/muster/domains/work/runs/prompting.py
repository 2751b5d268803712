"""From an agent's definition and a run's inputs to what the model is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from muster.domains.catalogue.agents import AgentSpec, placeholders_of
from muster.kernel.placeholders import fill

_PROMPT_INPUTS = ("prompt", "message", "question", "task", "input", "query", "topic")


@dataclass(frozen=True, slots=True)
class Prompt:
    """The system and user turns that a run begins with."""

    system: str
    user: str


def build_prompt(spec: AgentSpec, inputs: Mapping[str, Any], started_at: datetime) -> Prompt:
    """Return the first two turns; `{placeholders}` are filled from the inputs.

    The moment is that of the run's start, not of the call: a run that is taken up again must tell
    its model the same.
    """
    parts = [
        f"You are {spec.role}." if spec.role else "",
        f"Your goal: {spec.goal}" if spec.goal else "",
        spec.backstory or "",
        spec.instructions or "",
        f"Today is {started_at.strftime(spec.date_format)}." if spec.inject_date else "",
    ]
    system = "\n\n".join(fill(part, inputs) for part in parts if part)
    return Prompt(system or f"You are {spec.name}, a helpful assistant.", _user_turn(spec, inputs))


def with_defaults(spec: AgentSpec, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs with the agent's own values for the placeholders that were not given."""
    named = placeholders_of(spec)
    return {**{name: spec.inputs[name] for name in named if name in spec.inputs}, **inputs}


def _user_turn(spec: AgentSpec, inputs: Mapping[str, Any]) -> str:
    if spec.prompt:
        return fill(spec.prompt, inputs)
    named = next((inputs[n] for n in _PROMPT_INPUTS if isinstance(inputs.get(n), str)), None)
    if named is not None and len(inputs) == 1:
        return str(named)
    rest = "\n".join(f"{name}: {fill('{' + name + '}', inputs)}" for name in inputs)
    return rest or "Begin."
