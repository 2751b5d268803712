"""HTTP surface of tools."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request

from muster.adapters.tools.base import ToolConfigurationInvalid, ToolFailed, ToolTimeout
from muster.domains.catalogue.tools.catalogue import Named, ToolCatalogue
from muster.domains.catalogue.tools.changing import changed, changes_of, defined
from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.errors import (
    BuiltinTool,
    McpStdioRefused,
    ToolDisabled,
    ToolKindFixed,
    ToolNameTaken,
    ToolNotFound,
    ToolSchemaNotFound,
    ToolTestRefused,
)
from muster.domains.catalogue.tools.kinds import KINDS
from muster.domains.catalogue.tools.preparing import LOOKED_AT, Prepared, discover, prepare
from muster.domains.catalogue.tools.presenting import fits, present
from muster.domains.catalogue.tools.references import secret_names
from muster.domains.catalogue.tools.schemas import (
    McpDiscover,
    McpFound,
    ToolCreate,
    ToolList,
    ToolOut,
    ToolTest,
    ToolTestOut,
    ToolToggled,
    ToolUpdate,
)
from muster.domains.catalogue.tools.service import ToolService
from muster.domains.catalogue.tools.trying import AccessGuard, try_out
from muster.kernel.egress import AddressRefused
from muster.kernel.http import Router, Sealing, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows, page_of
from muster.platform.access import Caller, Scope, requires

router = Router("/tools", tag="Tools")

CanRead = Annotated[Caller, requires(Scope.TOOLS_READ)]
CanWrite = Annotated[Caller, requires(Scope.TOOLS_WRITE)]
CanInvoke = Annotated[Caller, requires(Scope.TOOLS_INVOKE)]


async def _catalogue(request: Request) -> ToolCatalogue:
    catalogue: ToolCatalogue = request.app.state.tools
    return catalogue


async def _guard(request: Request) -> AccessGuard:
    guard: AccessGuard = request.app.state.access_rules
    return guard


Catalogue = Annotated[ToolCatalogue, Depends(_catalogue)]
Guard = Annotated[AccessGuard, Depends(_guard)]


# The session takes a connection at its first statement, which comes after all that may take long.
async def _writer(caller: CanWrite, session: Writing, key: Sealing) -> ToolService:
    return ToolService(session, caller, key)


async def _noter(caller: CanInvoke, session: Writing, key: Sealing) -> ToolService:
    return ToolService(session, caller, key)


Writer = Annotated[ToolService, Depends(_writer)]
Noter = Annotated[ToolService, Depends(_noter)]


@router.get("", response_model=Page[ToolOut])
async def list_tools(
    caller: CanRead, tools: Catalogue, params: Annotated[ToolList, Query()]
) -> Rows[ToolOut]:
    """List the project's own tools and those that ship with the product.

    A tool of the project takes the place of one of the product with the same name.
    """
    return await _list(tools, caller, params)


@router.get("/enabled", response_model=Page[ToolOut])
async def list_enabled_tools(
    caller: CanRead, tools: Catalogue, params: Annotated[ListParams, Query()]
) -> Rows[ToolOut]:
    """List the tools that agents may use."""
    return await _list(tools, caller, ToolList(**params.model_dump(), enabled=True))


@router.get("/configurations/{tool_name}/schema", responses=problems(ToolSchemaNotFound))
async def get_tool_schema(caller: CanRead, tools: Catalogue, tool_name: str) -> dict[str, Any]:
    """Get the JSON Schema of the configuration of a tool, or of a kind of tool."""
    named = await tools.find(caller.project_id, tool_name)
    if named.definition is not None:
        return KINDS[named.definition.kind].schema(named.definition)
    if tool_name not in KINDS:
        raise ToolSchemaNotFound(f"Schema for tool {tool_name[:200]} not found")
    return KINDS[tool_name].schema()


@router.post(
    "/mcp/discover",
    responses=problems(
        ToolConfigurationInvalid, McpStdioRefused, AddressRefused, ToolFailed, ToolTimeout
    ),
)
async def discover_mcp_tools(caller: CanWrite, tools: Catalogue, body: McpDiscover) -> McpFound:
    """Connect to an MCP server and list the tools that it offers. Nothing is saved."""
    found = await discover(tools.services, caller, body.configuration())
    return McpFound.model_validate(found)


@router.get("/{tool_id}", responses=problems(ToolNotFound))
async def get_tool(caller: CanRead, tools: Catalogue, tool_id: str) -> ToolOut:
    """Get a tool by its id, name or title, and what it lacks."""
    definition = await _find(tools, caller, tool_id)
    return await _shown(tools, caller, definition)


@router.post(
    "",
    status_code=201,
    responses=problems(
        ToolNameTaken, ToolConfigurationInvalid, McpStdioRefused, AddressRefused, ToolFailed
    ),
)
async def create_tool(
    writer: Writer, caller: CanWrite, tools: Catalogue, body: ToolCreate
) -> ToolOut:
    """Define a tool.

    Values of passwords, tokens and keys in the configuration are moved into the vault. The document
    of a tool of kind `openapi` and the server of one of kind `mcp` are looked at for their
    functions; a server that does not answer now can be looked at later with a test.
    """
    prepared = await prepare(tools.services, caller, defined(body))
    return present(await writer.create(prepared), tools.services, caller.project_id)


@router.put(
    "/{tool_id}",
    responses=problems(
        ToolNotFound,
        ToolNameTaken,
        BuiltinTool,
        ToolKindFixed,
        ToolConfigurationInvalid,
        McpStdioRefused,
        AddressRefused,
        ToolFailed,
    ),
)
async def update_tool(
    writer: Writer, caller: CanWrite, tools: Catalogue, tool_id: str, body: ToolUpdate
) -> ToolOut:
    """Change the given fields of a tool; the others keep their values.

    Of a tool that ships with the product `enabled`, `requires_approval` and `timeout_s` can be set.
    """
    return await _change(writer, caller, tools, tool_id, body)


@router.patch(
    "/{tool_id}",
    responses=problems(
        ToolNotFound,
        ToolNameTaken,
        BuiltinTool,
        ToolKindFixed,
        ToolConfigurationInvalid,
        McpStdioRefused,
        AddressRefused,
        ToolFailed,
    ),
)
async def patch_tool(
    writer: Writer, caller: CanWrite, tools: Catalogue, tool_id: str, body: ToolUpdate
) -> ToolOut:
    """Change the given fields of a tool, as PUT does."""
    return await _change(writer, caller, tools, tool_id, body)


@router.delete("/{tool_id}", status_code=204, responses=problems(ToolNotFound, BuiltinTool))
async def delete_tool(writer: Writer, caller: CanWrite, tools: Catalogue, tool_id: str) -> None:
    """Delete a tool of the project. Agents that name it cannot run until it is taken off them."""
    await writer.delete(await _find(tools, caller, tool_id))


@router.patch("/{tool_id}/toggle-enabled", responses=problems(ToolNotFound))
async def toggle_tool(
    writer: Writer, caller: CanWrite, tools: Catalogue, tool_id: str
) -> ToolToggled:
    """Disable a tool that is enabled, or enable one that is disabled.

    A disabled tool is not offered to models, and a call of it is refused.
    """
    definition = await writer.toggle(await _find(tools, caller, tool_id))
    shown = present(definition, tools.services, caller.project_id)
    message = f"Tool {definition.name} {'enabled' if definition.enabled else 'disabled'}"
    return ToolToggled(**shown.model_dump(), message=message)


@router.post(
    "/{tool_id}/test",
    responses=problems(
        ToolNotFound, ToolDisabled, ToolTestRefused, McpStdioRefused, ToolConfigurationInvalid
    ),
)
async def test_tool(
    noter: Noter, caller: CanInvoke, tools: Catalogue, guard: Guard, tool_id: str, body: ToolTest
) -> ToolTestOut:
    """Call a tool for real and tell what came of it. A failure of the tool is `ok: false`.

    A tool of kind openapi or mcp needs a `function`; without one its source is looked at again, and
    what it offers is saved. An access rule may refuse the call with `access_denied_by_rule`.
    """
    named = await tools.find(caller.project_id, tool_id)
    definition = _existing(named)
    await guard.require(caller, "tool", definition.resource_ids)
    trial = await try_out(tools, caller, named, definition, body)
    if trial.prepared is not None:
        await noter.update(definition.id, trial.prepared, LOOKED_AT)
    noter.note_test(definition, trial.function, ok=trial.result.ok)
    return trial.result


async def _list(tools: ToolCatalogue, caller: Caller, params: ToolList) -> Rows[ToolOut]:
    found = [tool for tool in await tools.all(caller.project_id) if fits(tool, params)]
    rows = page_of(found, params)
    services, project_id = tools.services, caller.project_id
    shown = [present(tool, services, project_id, brief=True) for tool in rows.items]
    return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)


async def _find(tools: ToolCatalogue, caller: Caller, reference: str) -> Definition:
    named = await tools.find(caller.project_id, reference)
    if named.function is not None:
        raise _missing(reference)
    return _existing(named)


def _existing(named: Named) -> Definition:
    if named.definition is None:
        raise _missing(named.reference)
    return named.definition


def _missing(reference: str) -> ToolNotFound:
    return ToolNotFound(f"There is no tool {reference[:200]!r} in this project.")


async def _shown(tools: ToolCatalogue, caller: Caller, definition: Definition) -> ToolOut:
    found = await tools.problems(caller.project_id, [definition.id], {})
    issues = [problem for _, problem in found]
    return present(definition, tools.services, caller.project_id, issues=issues)


async def _change(
    writer: ToolService, caller: Caller, tools: ToolCatalogue, tool_id: str, body: ToolUpdate
) -> ToolOut:
    definition = await _find(tools, caller, tool_id)
    shown = present(definition, tools.services, caller.project_id)
    changes = changes_of(body, shown)
    if definition.builtin is not None:
        result = await writer.override(definition, changes)
        return present(result, tools.services, caller.project_id)
    wanted = changed(definition, changes)
    fields = set(changes)
    prepared = Prepared(definition=wanted, secrets={})
    if {"configuration", "input_schema"} & fields:
        fields |= LOOKED_AT
        known = secret_names(definition.configuration)
        prepared = await prepare(tools.services, caller, wanted, known_secrets=known)
    result = await writer.update(definition.id, prepared, fields)
    return present(result, tools.services, caller.project_id)
