"""Tools that ship with the product."""

from typing import Any, ClassVar

from muster.adapters.tools.base import (
    ToolConfigurationInvalid,
    ToolInputInvalid,
    ToolOutcome,
    validate_arguments,
)
from muster.domains.catalogue.tools.binding import ToolContext
from muster.domains.catalogue.tools.definitions import BUILTIN, Definition
from muster.domains.catalogue.tools.kinds.base import Face, Kind
from muster.domains.catalogue.tools.services import ToolServices
from muster.domains.catalogue.tools.shipping import Builtin


class BuiltinKind(Kind):
    """A tool of the product. Its configuration fixes arguments, which the model then cannot set."""

    name: ClassVar[str] = BUILTIN
    takes_schema: ClassVar[bool] = False

    def overridable(self, definition: Definition) -> frozenset[str]:
        return frozenset(_builtin(definition).parameters["properties"])

    def schema(self, definition: Definition | None = None) -> dict[str, Any]:
        properties: dict[str, dict[str, Any]] = {}
        if definition is not None:
            properties = _builtin(definition).parameters["properties"]
        return {
            "type": "object",
            "description": "Arguments that are fixed: the model is not asked for them.",
            "properties": {
                name: {key: value for key, value in schema.items() if key != "default"}
                for name, schema in properties.items()
            },
            "additionalProperties": False,
        }

    def check(self, definition: Definition) -> None:
        self._fixed(definition)

    def _fixed(self, definition: Definition) -> dict[str, Any]:
        try:
            return validate_arguments(self.schema(definition), definition.configuration)
        except ToolInputInvalid as error:
            raise ToolConfigurationInvalid(error.detail, errors=error.errors) from None

    def faces(self, definition: Definition, services: ToolServices) -> list[Face]:
        tool, fixed = _builtin(definition), self._fixed(definition)
        parameters = {
            **tool.parameters,
            "properties": {
                k: v for k, v in tool.parameters["properties"].items() if k not in fixed
            },
            "required": [name for name in tool.parameters["required"] if name not in fixed],
        }

        async def perform(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
            return await tool.perform({**arguments, **fixed}, context, services)

        return [
            Face(
                parameters=parameters,
                perform=perform,
                description=tool.description,
                step_kind=tool.step_kind,
                verb=tool.verb,
                idempotent=tool.idempotent,
                needed_s=tool.needed_s,
            )
        ]


def _builtin(definition: Definition | None) -> Builtin:
    if definition is None or definition.builtin is None:
        raise TypeError("this definition is not one of a tool of the product")
    return definition.builtin
