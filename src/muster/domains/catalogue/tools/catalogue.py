"""From the names that an agent gives to tools that can be called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.models import ToolSpec
from muster.adapters.tools.base import ToolConfigurationInvalid
from muster.domains.catalogue.tools.binding import BoundTool
from muster.domains.catalogue.tools.builtins import BUILTINS
from muster.domains.catalogue.tools.definitions import Definition, of_builtin, of_row
from muster.domains.catalogue.tools.errors import ToolUnknown
from muster.domains.catalogue.tools.kinds import KINDS, ExpandingKind, Face
from muster.domains.catalogue.tools.kinds.mcp import STDIO_OFF, starts_command
from muster.domains.catalogue.tools.naming import (
    derived_name,
    free_name,
    function_name,
    split_candidates,
)
from muster.domains.catalogue.tools.references import secret_names
from muster.domains.catalogue.tools.repository import VERSION, OverrideRepository, ToolRepository
from muster.domains.catalogue.tools.services import ToolServices
from muster.kernel.cached import CachedByProject
from muster.kernel.errors import Invalid
from muster.platform.vault import usable_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a reference means: a tool, or one function of it. No definition: nothing."""

    reference: str
    definition: Definition | None
    function: str | None = None


class ToolCatalogue:
    """Finds tools by name, for every project; one for the process."""

    def __init__(self, services: ToolServices) -> None:
        self.services = services
        self._known = CachedByProject(services.database, version=VERSION, load=self._load)

    async def bind(
        self, project_id: str, names: Sequence[str], configs: Mapping[str, dict[str, Any]]
    ) -> list[BoundTool]:
        """Return the tools that names mean in a project, ready to be called, in their order.

        Tools of kind openapi and mcp become one tool for each function, `<tool>__<function>`.
        Disabled tools are there too, and say so.

        Args:
            project_id: The project whose own tools go before those of the product.
            names: Names, ids or titles of tools, or `<tool>__<function>`.
            configs: By tool, what goes over its configuration for this agent.

        Raises:
            ToolUnknown: A name means nothing; the text names it.
            ToolConfigurationInvalid: A tool cannot be used with its configuration.
        """
        found = await self.find_all(project_id, names)
        bound: dict[tuple[str, str], BoundTool] = {}
        taken: set[str] = set()
        for named in found:
            for tool in self.bind_one(named, config_of(named, configs)):
                key = (named.definition.id if named.definition else "", tool.name)
                if key not in bound:
                    bound[key] = _renamed(tool, free_name(tool.name, taken))
                    taken.add(bound[key].name)
        return list(bound.values())

    async def problems(
        self, project_id: str, names: Sequence[str], configs: Mapping[str, dict[str, Any]]
    ) -> list[tuple[str, str]]:
        """Return (tool, what is wrong) for each tool that cannot be used; asks no other server."""
        found, secrets = await self._find_with_secrets(project_id, names, configs)
        return [
            (named.reference, problem)
            for named in found
            for problem in self._problems_of(named, config_of(named, configs), secrets)
        ]

    async def find_all(self, project_id: str, references: Sequence[str]) -> list[Named]:
        """Return what references mean; raises `ToolUnknown` when one means nothing."""
        found, _ = await self._find_with_secrets(project_id, references, None)
        if unknown := [named.reference for named in found if named.definition is None]:
            raise _unknown(unknown)
        return found

    async def find(self, project_id: str, reference: str) -> Named:
        """Return what a reference means; without a definition where it means nothing."""
        found, _ = await self._find_with_secrets(project_id, [reference], None)
        return found[0]

    async def all(self, project_id: str) -> list[Definition]:
        """Return every tool of a project: its own by name, then those of the product."""
        tools = {tool.id: tool for tool in (await self._known.get(project_id)).values()}.values()
        own = sorted((tool for tool in tools if not tool.builtin), key=lambda tool: tool.name)
        taken = {tool.name for tool in own}
        return [*own, *(tool for tool in tools if tool.builtin and tool.name not in taken)]

    def bind_one(self, named: Named, config: Mapping[str, Any]) -> list[BoundTool]:
        """Return what one reference means, ready to be called, with a configuration over it."""
        if named.definition is None:
            raise _unknown([named.reference])
        definition = configured(named.definition, config)
        faces = KINDS[definition.kind].faces(definition, self.services)
        tools = [self._bound(definition, face) for face in faces]
        if named.function is None:
            return tools
        chosen = [
            tool
            for face, tool in zip(faces, tools, strict=True)
            if named.function == face.function or named.reference == tool.name
        ]
        if not chosen:
            raise ToolUnknown(
                f"The tool {definition.name} has no function {named.function[:200]!r}, or it may "
                "not be called."
            )
        return chosen

    def _bound(self, definition: Definition, face: Face) -> BoundTool:
        name = definition.name
        if face.function is not None:
            name = function_name(definition.name, face.function)
        limit_s = definition.timeout_s or max(self.services.default_timeout_s, face.needed_s)
        idempotent = face.idempotent if definition.idempotent is None else definition.idempotent
        return BoundTool(
            spec=ToolSpec(name=name, description=face.description, parameters=face.parameters),
            kind=definition.kind,
            step_kind=face.step_kind,
            verb=face.verb,
            idempotent=idempotent,
            enabled=definition.enabled,
            requires_approval=definition.requires_approval,
            timeout_s=limit_s,
            perform=face.perform,
            resource_ids=definition.resource_ids,
        )

    async def _load(self, session: AsyncSession, project_id: str) -> dict[str, Definition]:
        return await _known_tools(session, project_id, self.services)

    async def _find_with_secrets(
        self,
        project_id: str,
        references: Sequence[str],
        configs: Mapping[str, dict[str, Any]] | None,
    ) -> tuple[list[Named], set[str]]:
        """Find tools and, with `configs`, which of the secrets that they name can be opened."""
        if not references:
            return [], set()
        known = await self._known.get(project_id)
        found = [_named(reference, known) for reference in references]
        names: set[str] = set()
        if configs is not None:
            for named in found:
                names |= set(_secret_names(named, config_of(named, configs)))
        if not names:
            return found, set()
        async with self.services.database.read() as session:
            return found, await usable_secrets(session, project_id, names)

    def _problems_of(self, named: Named, config: Mapping[str, Any], secrets: set[str]) -> list[str]:
        definition = named.definition
        if definition is None:
            return [_unknown([named.reference]).detail]
        name = definition.name
        if not definition.enabled:
            return [f"The tool {name} is disabled; enable it or take it off the agent."]
        builtin = definition.builtin
        if builtin and builtin.needs and self.services.searxng_url is None:
            return [f"The tool {name} needs {builtin.needs}, which the operator has not set."]
        try:
            tools = self.bind_one(named, config)
        except (Invalid, ToolUnknown) as error:
            return [f"The tool {name} cannot be used: {error.detail}"]
        return self._lacks(configured(definition, config), tools, secrets)

    def _lacks(
        self, definition: Definition, tools: Sequence[BoundTool], secrets: set[str]
    ) -> list[str]:
        name, configuration = definition.name, definition.configuration
        found = [
            f"The tool {name} names the secret {secret!r}, which does not exist, has no value or "
            "has expired. Store it with POST /api-keys."
            for secret in secret_names(configuration)
            if secret not in secrets
        ]
        if definition.kind == "mcp" and starts_command(configuration):
            found += [] if self.services.mcp_stdio else [f"The tool {name}: {STDIO_OFF}"]
        if not tools:
            info: Mapping[str, Any] = configuration.get("info") or {}
            why = info.get("problem") or "it offers none, or none that is allowed."
            found.append(
                f"The tool {name} has no functions: {why} Look at it again with "
                f"POST /tools/{name}/test."
            )
        return found


async def _known_tools(
    session: AsyncSession, project_id: str, services: ToolServices
) -> dict[str, Definition]:
    """Return all tools of a project under everything that they may be called by."""
    overrides = await OverrideRepository(session, project_id).by_name()
    known: dict[str, Definition] = {}
    for builtin in BUILTINS.values():
        if not builtin.offered_by(services):
            continue
        definition = of_builtin(builtin, overrides.get(builtin.name))
        known[builtin.id] = known[builtin.name] = definition
    own = [of_row(row) for row in await ToolRepository(session, project_id).by_age()]
    # A later entry wins: an id before a name, a name before a title, and the oldest of a title.
    for key in ("title", "name", "id"):
        known |= {getattr(tool, key): tool for tool in reversed(own)}
    return known


def configured(definition: Definition, config: Mapping[str, Any]) -> Definition:
    """Return a tool with an agent's configuration over its own.

    Raises:
        ToolConfigurationInvalid: The agent may not set a field, or the whole does not fit.
    """
    if not config:
        return definition
    kind = KINDS[definition.kind]
    allowed = kind.overridable(definition)
    if refused := sorted(set(config) - allowed):
        raise ToolConfigurationInvalid(
            f"An agent cannot set {', '.join(refused)[:300]} of the tool {definition.name}; it may "
            f"set {', '.join(sorted(allowed)) or 'nothing'}."
        )
    merged = replace(definition, configuration={**definition.configuration, **config})
    kind.check(merged)
    return merged


def config_of(named: Named, configs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what an agent sets for a tool, under whichever of its names it does so."""
    tool = named.definition
    keys = [named.reference, *((tool.name, tool.id, tool.title) if tool else ())]
    return next((configs[key] for key in keys if configs.get(key)), dict[str, Any]())


def _renamed(tool: BoundTool, name: str) -> BoundTool:
    return tool if tool.name == name else replace(tool, spec=replace(tool.spec, name=name))


def _secret_names(named: Named, config: Mapping[str, Any]) -> list[str]:
    if named.definition is None:
        return []
    try:
        return secret_names({**named.definition.configuration, **config})
    except ToolConfigurationInvalid:
        return []


def _named(reference: str, by_reference: Mapping[str, Definition]) -> Named:
    definition = by_reference.get(reference)
    if definition is not None:
        return Named(reference=reference, definition=definition)
    for tool, function in split_candidates(reference):
        definition = by_reference.get(tool)
        if definition is not None and isinstance(KINDS[definition.kind], ExpandingKind):
            return Named(reference=reference, definition=definition, function=function)
    return Named(reference=reference, definition=by_reference.get(derived_name(reference)))


def _unknown(references: Sequence[str]) -> ToolUnknown:
    shown = ", ".join(repr(reference[:200]) for reference in references[:20])
    return ToolUnknown(
        f"No tool is called {shown}. GET /tools lists those at hand; define one with POST /tools.",
        details={"tools": [reference[:200] for reference in references[:20]]},
    )
