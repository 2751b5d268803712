"""Tools that are other agents of the project."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from muster.adapters.tools.base import ToolFailed, ToolOutcome
from muster.domains.catalogue.tools.binding import ToolContext
from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.kinds.base import Face, Kind, parse
from muster.domains.catalogue.tools.services import ToolServices
from muster.domains.catalogue.tools.shipping import ASKING_S

_PROMPT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prompt": {
            "type": "string",
            "description": "What to ask.",
            "minLength": 1,
            "maxLength": 50_000,
        }
    },
    "required": ["prompt"],
    "additionalProperties": False,
}


class AgentConfiguration(BaseModel):
    """Another agent, which answers a prompt."""

    model_config = ConfigDict(extra="forbid")

    agent: Annotated[
        str, Field(min_length=1, max_length=255, description="Key, name or id of the agent.")
    ]
    description: Annotated[
        str | None, Field(max_length=10_000, description="What the agent is good for.")
    ] = None


class AgentKind(Kind):
    """Asks another agent and returns its answer."""

    name: ClassVar[str] = "agent"
    takes_schema: ClassVar[bool] = False

    def overridable(self, definition: Definition) -> frozenset[str]:
        del definition
        return frozenset({"description"})

    def schema(self, definition: Definition | None = None) -> dict[str, Any]:
        del definition
        return AgentConfiguration.model_json_schema()

    def check(self, definition: Definition) -> None:
        parse(AgentConfiguration, definition.configuration)

    def faces(self, definition: Definition, services: ToolServices) -> list[Face]:
        del services
        parsed = parse(AgentConfiguration, definition.configuration)

        async def perform(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
            if context.ask_agent is None:
                raise ToolFailed("Agents can only be asked by an agent that runs.")
            return await context.ask_agent(parsed.agent, arguments["prompt"], context.step_key)

        return [
            Face(
                parameters=_PROMPT,
                perform=perform,
                description=parsed.description or definition.description,
                step_kind="step.message",
                verb="POST",
                # The run of the asked agent belongs to the step, and is found again.
                idempotent=True,
                needed_s=ASKING_S,
            )
        ]
