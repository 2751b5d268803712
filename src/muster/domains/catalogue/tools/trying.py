"""Trying a tool outside of a run: a real call, or a new look at what it offers."""

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.tools.binding import BoundTool, ToolContext
from muster.domains.catalogue.tools.catalogue import Named, ToolCatalogue
from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.errors import ToolDisabled, ToolTestRefused
from muster.domains.catalogue.tools.kinds import KINDS, ExpandingKind
from muster.domains.catalogue.tools.preparing import Prepared, prepare, require_stdio_allowed
from muster.domains.catalogue.tools.references import secret_names
from muster.domains.catalogue.tools.schemas import ToolTest, ToolTestError, ToolTestOut
from muster.kernel.errors import AppError, FieldError, Invalid
from muster.platform.access import Caller, Scope


class AccessGuard(Protocol):
    """Knows the rules of access, which are above this slice."""

    async def require(
        self, caller: Caller, resource_type: Literal["tool"], resource_ids: Collection[str]
    ) -> None:
        """Raise why the caller may not use a tool."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of a test. `prepared` is set when the tool was looked at again."""

    result: ToolTestOut
    function: str | None
    prepared: Prepared | None = None


async def try_out(
    catalogue: ToolCatalogue, caller: Caller, named: Named, definition: Definition, body: ToolTest
) -> Trial:
    """Call a tool for real. No session is held meanwhile.

    Raises:
        ToolTestRefused: The caller may call the tool in runs only, or not with this configuration.
        ToolDisabled: It is disabled, and the caller cannot enable it.
        McpStdioRefused: It starts a command.
    """
    _require_allowed(caller, definition, body)
    require_stdio_allowed(catalogue.services, caller, definition)
    function = body.function or named.function
    trying = catalogue
    if body.configuration is not None:
        trying, definition = await _with_configuration(catalogue, caller, definition, body)
    elif isinstance(KINDS[definition.kind], ExpandingKind) and function is None:
        return await _look(catalogue, caller, definition, body)
    tool = _choose(trying, definition, named, function)
    return Trial(result=await _call(tool, body, caller), function=function)


def _require_allowed(caller: Caller, definition: Definition, body: ToolTest) -> None:
    if caller.may(Scope.TOOLS_WRITE):
        return
    if body.configuration is not None:
        raise ToolTestRefused(f"To try another configuration needs {Scope.TOOLS_WRITE}.")
    if definition.requires_approval:
        raise ToolTestRefused(
            f"Calls of {definition.name} need an approval, which a test would pass by; that needs "
            f"the scope {Scope.TOOLS_WRITE}. Let an agent call it in a run."
        )
    if not definition.enabled:
        raise ToolDisabled(f"The tool {definition.name} is disabled; an editor can enable it.")


async def _with_configuration(
    catalogue: ToolCatalogue, caller: Caller, definition: Definition, body: ToolTest
) -> tuple[ToolCatalogue, Definition]:
    """Return the tool as it would be, and a catalogue that knows the secrets just given."""
    merged = {**definition.configuration, **(body.configuration or {})}
    known = secret_names(definition.configuration)
    prepared = await prepare(
        catalogue.services, caller, replace(definition, configuration=merged), known_secrets=known
    )
    services = catalogue.services

    async def read(project_id: str, name: str) -> str:
        given = prepared.secrets.get(name)
        return given if given is not None else await services.read_secret(project_id, name)

    return ToolCatalogue(replace(services, read_secret=read)), prepared.definition


async def _look(
    catalogue: ToolCatalogue, caller: Caller, definition: Definition, body: ToolTest
) -> Trial:
    if body.arguments or not caller.may(Scope.TOOLS_WRITE):
        raise _function_needed(definition)
    started = time.monotonic()
    prepared = await prepare(catalogue.services, caller, definition)
    functions = prepared.definition.functions or []
    info: dict[str, Any] = prepared.definition.configuration.get("info") or {}
    problem: str | None = info.get("problem")
    result = ToolTestOut(
        ok=problem is None,
        content={"functions": [function["name"] for function in functions]},
        is_error=False,
        error=ToolTestError(code="tool_failed", message=problem) if problem else None,
        duration_ms=_since(started),
        properties=info,
    )
    return Trial(result=result, function=None, prepared=prepared)


def _choose(
    catalogue: ToolCatalogue, definition: Definition, named: Named, function: str | None
) -> BoundTool:
    if isinstance(KINDS[definition.kind], ExpandingKind) and function is None:
        raise _function_needed(definition)
    chosen = replace(named, definition=definition, function=function)
    return catalogue.bind_one(chosen, {})[0]


async def _call(tool: BoundTool, body: ToolTest, caller: Caller) -> ToolTestOut:
    started = time.monotonic()
    outcome, failure = ToolOutcome(content=None), None
    try:
        outcome = await tool.call(body.arguments, ToolContext(project_id=caller.project_id))
    except AppError as error:
        failure = ToolTestError(code=error.code, message=error.detail)
    return ToolTestOut(
        ok=failure is None and not outcome.is_error,
        content=outcome.content,
        is_error=outcome.is_error,
        error=failure,
        duration_ms=_since(started),
        properties=outcome.properties,
    )


def _function_needed(definition: Definition) -> Invalid:
    names = ", ".join(function["name"] for function in (definition.functions or [])[:20])
    text = f"name one of the tool's functions: {names or 'none is known'}"
    return Invalid(f"function: {text}.", errors=[FieldError("function", text)])


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
