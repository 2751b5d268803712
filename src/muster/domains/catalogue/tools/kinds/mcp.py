"""Tools that a server of the Model Context Protocol offers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field

from muster.adapters.tools.base import ToolConfigurationInvalid, ToolFailed, ToolOutcome
from muster.adapters.tools.mcp_configuration import McpConfiguration
from muster.domains.catalogue.tools.binding import ToolContext
from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.kinds.base import (
    ExpandingKind,
    Face,
    Found,
    parse,
    sound_schema,
    with_secrets,
)
from muster.domains.catalogue.tools.references import Opened, ReadByName, masked, open_secrets
from muster.domains.catalogue.tools.services import ToolServices
from muster.kernel.errors import AppError

_OWN = ("tools", "info")
_LOOK_S = 20.0


class McpToolConfiguration(McpConfiguration):
    """A server, and which of its tools may be called.

    The server is asked for its tools when the tool is saved; `info` says what it answered.
    """

    tools: Annotated[
        tuple[str, ...] | None, Field(description="Names of the tools to offer. Null is all.")
    ] = None
    info: Annotated[
        dict[str, Any] | None, Field(description="What the server said; set by the server.")
    ] = None


class McpKind(ExpandingKind):
    """The tools of a server, each as a function."""

    name: ClassVar[str] = "mcp"

    def overridable(self, definition: Definition) -> frozenset[str]:
        del definition
        return frozenset({"tools"})

    def schema(self, definition: Definition | None = None) -> dict[str, Any]:
        del definition
        return McpToolConfiguration.model_json_schema()

    def check(self, definition: Definition) -> None:
        parse(McpToolConfiguration, masked(definition.configuration))

    def addresses(self, definition: Definition) -> list[str]:
        if isinstance(definition.configuration.get("url"), dict):
            return []  # the whole address is a secret; each call is guarded all the same
        url = server_of(masked(definition.configuration)).url
        return [url] if url else []

    async def look(
        self, definition: Definition, services: ToolServices, project_id: str, read: ReadByName
    ) -> Found:
        kept = {k: v for k, v in definition.configuration.items() if k != "info"}
        wanted = replace(definition, configuration=kept)
        try:
            found = await ask(wanted, services, project_id, read)
        except AppError as error:
            # The server may be started later: the tool is saved and tells what is wrong.
            return Found(configuration={**kept, "info": {"problem": error.detail}}, functions=None)
        functions = [
            {**tool, "input_schema": sound_schema(tool["input_schema"], {"type": "object"})}
            for tool in found["tools"]
        ]
        info = {"server": found["server"]}
        return Found(configuration={**kept, "info": info}, functions=functions)

    def faces(self, definition: Definition, services: ToolServices) -> list[Face]:
        parsed = parse(McpToolConfiguration, masked(definition.configuration))
        return [
            self._face(definition, services, tool)
            for tool in definition.functions or []
            if parsed.tools is None or tool["name"] in parsed.tools
        ]

    def _face(
        self, definition: Definition, services: ToolServices, tool: Mapping[str, Any]
    ) -> Face:
        hints: Mapping[str, Any] = tool.get("annotations") or {}
        read_only = bool(hints.get("read_only_hint") or hints.get("readOnlyHint"))
        repeatable = read_only or bool(hints.get("idempotent_hint") or hints.get("idempotentHint"))
        limit_s = definition.timeout_s or services.default_timeout_s

        async def perform(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
            async def act(opened: Opened) -> ToolOutcome:
                server = server_of(opened.configuration)
                if server.transport == "stdio" and not services.mcp_stdio:
                    raise ToolFailed(STDIO_OFF)
                return await services.mcp.call(
                    server,
                    tool["name"],
                    arguments,
                    timeout_s=limit_s,
                    partition=context.project_id,
                    idempotent=repeatable
                    if definition.idempotent is None
                    else definition.idempotent,
                )

            return await with_secrets(definition, services, context, act)

        return Face(
            function=tool["name"],
            parameters={"type": "object", **tool["input_schema"]},
            perform=perform,
            description=tool.get("description") or tool.get("title") or tool["name"],
            verb="GET" if read_only else "POST",
            idempotent=repeatable,
        )


STDIO_OFF = (
    "MCP servers that are started as a command are turned off on this installation "
    "(MUSTER_TOOLS_MCP_STDIO=off). Use a server with an address."
)


def server_of(configuration: Mapping[str, Any]) -> McpConfiguration:
    """Return the server of a tool, whatever the tool offers of it."""
    return McpConfiguration.parse({k: v for k, v in configuration.items() if k not in _OWN})


def starts_command(configuration: Mapping[str, Any]) -> bool:
    """Tell whether a configuration, valid or not, asks for a command to be started."""
    try:
        return server_of(masked(configuration)).transport == "stdio"
    except ToolConfigurationInvalid:
        return bool(configuration.get("command")) or configuration.get("transport") == "stdio"


async def ask(
    definition: Definition, services: ToolServices, project_id: str, read: ReadByName
) -> dict[str, Any]:
    """Return what a server says about itself and its tools, without the secrets it was sent."""
    opened = await open_secrets(definition.configuration, read)
    try:
        found = await services.mcp.discover(
            server_of(opened.configuration), partition=project_id, timeout_s=_LOOK_S
        )
    except AppError as error:
        raise opened.hide_in_error(error) from None
    return opened.hide(found)
