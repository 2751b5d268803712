"""Tools as a run sees them: bound to a project, with their schema and a way to call them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from muster.adapters.models import ToolSpec
from muster.adapters.tools.base import (
    ToolFailed,
    ToolInputInvalid,
    ToolOutcome,
    ToolTimeout,
    validate_arguments,
)

AskAgent = Callable[[str, str, str], Awaitable[ToolOutcome]]
"""`(agent, prompt, step_key)`: runs another agent and returns its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """For whom a tool is called. Without a run there is neither a workspace nor other agents."""

    project_id: str
    run_id: str | None = None
    agent_id: str | None = None
    step_key: str = ""
    workspace: Path | None = None
    ask_agent: AskAgent | None = None

    @property
    def idempotency_key(self) -> str | None:
        """The same for the same step however often it is tried; sent to those who understand it."""
        return f"{self.run_id}:{self.step_key}" if self.run_id else None

    def require_agent(self) -> str:
        """Return the id of the agent that calls; raises `ToolFailed` where none does."""
        if self.agent_id is None:
            raise ToolFailed("Only an agent that runs can use this tool; start a run of one.")
        return self.agent_id

    def for_step(self, step_key: str) -> "ToolContext":
        """Return the context of one step."""
        return replace(self, step_key=step_key)


Call = Callable[[dict[str, Any], ToolContext], Awaitable[ToolOutcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTool:
    """A tool that can be called.

    `step_kind` and `verb` are what a call of it is in the vocabulary of governance. An `idempotent`
    tool may be called again when it is not known whether the first call came off. `resource_ids`
    are all by which access rules can name it.
    """

    spec: ToolSpec
    kind: str
    step_kind: str
    verb: str | None
    idempotent: bool
    enabled: bool
    requires_approval: bool
    timeout_s: float
    perform: Call
    resource_ids: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.spec.name

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolOutcome:
        """Check the arguments and carry the call out within the tool's time limit.

        Arguments that do not fit are an answer for the model, which can mend them.
        """
        try:
            checked = validate_arguments(self.spec.parameters, dict(arguments))
        except ToolInputInvalid as error:
            return ToolOutcome(
                content={"error": error.code, "message": error.detail}, is_error=True
            )
        bound = asyncio.timeout(self.timeout_s)
        try:
            async with bound:
                return await self.perform(checked, context)
        except TimeoutError:
            if not bound.expired():
                raise
            raise ToolTimeout(
                f"The tool {self.name} did not answer within {self.timeout_s:g} seconds."
            ) from None
