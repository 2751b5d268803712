"""What one can do with tools. Knows nothing of HTTP."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.tools.definitions import Definition, of_builtin, of_row
from muster.domains.catalogue.tools.errors import BuiltinTool
from muster.domains.catalogue.tools.events import (
    ToolCreated,
    ToolDeleted,
    ToolTested,
    ToolToggled,
    ToolUpdated,
)
from muster.domains.catalogue.tools.models import Tool
from muster.domains.catalogue.tools.preparing import Prepared, orphans
from muster.domains.catalogue.tools.repository import OverrideRepository, ToolRepository
from muster.kernel.crypto import MasterKey
from muster.platform.access import Caller
from muster.platform.events import Event, record
from muster.platform.vault import SecretNotFound, VaultService

_OVERRIDABLE = frozenset({"enabled", "requires_approval", "timeout_s"})
_SERVICE = "tool"


class ToolService:
    """The tools of the caller's project, within one unit of work."""

    def __init__(self, session: AsyncSession, caller: Caller, master_key: MasterKey) -> None:
        self._session, self._caller = session, caller
        self._tools = ToolRepository(session, caller.project_id)
        self._overrides = OverrideRepository(session, caller.project_id)
        self._vault = VaultService(session, caller, master_key)

    async def create(self, prepared: Prepared) -> Definition:
        """Save a new tool, and its secrets in the vault."""
        row = await self._tools.add(**_columns(prepared.definition))
        await self._store_secrets(prepared)
        self._record(ToolCreated(tool_id=row.id, name=row.name, kind=row.kind))
        return of_row(row)

    async def update(self, tool_id: str, prepared: Prepared, fields: Collection[str]) -> Definition:
        """Save these fields of a tool as they are now defined."""
        row = await self._tools.get(tool_id)
        before = row.configuration
        columns = {name: getattr(prepared.definition, name) for name in fields}
        changed = sorted(name for name, value in columns.items() if getattr(row, name) != value)
        if not changed and not prepared.secrets:
            return of_row(row)
        await self._tools.update(row, **{name: columns[name] for name in changed})
        await self._store_secrets(prepared)
        await self._drop_orphans(row, before, row.configuration)
        self._record(
            ToolUpdated(
                tool_id=row.id, name=row.name, kind=row.kind, changed=changed or ["secrets"]
            )
        )
        return of_row(row)

    async def override(self, definition: Definition, changes: Mapping[str, Any]) -> Definition:
        """Set what a project may set differently about a tool of the product."""
        if refused := sorted(set(changes) - _OVERRIDABLE):
            raise BuiltinTool(
                f"{definition.name} ships with the product: {', '.join(refused)} cannot be "
                f"changed, only {', '.join(sorted(_OVERRIDABLE))}. Define a tool of your own."
            )
        return await self._set_override(definition, changes, toggled=False)

    async def toggle(self, definition: Definition) -> Definition:
        """Enable a tool that is disabled, and the other way round."""
        if definition.builtin is not None:
            wanted = {"enabled": not definition.enabled}
            return await self._set_override(definition, wanted, toggled=True)
        row = await self._tools.get(definition.id)
        await self._tools.update(row, enabled=not row.enabled)
        self._record(ToolToggled(tool_id=row.id, name=row.name, kind=row.kind, enabled=row.enabled))
        return of_row(row)

    async def delete(self, definition: Definition) -> None:
        """Delete a tool of the project, and the secrets that were made for it."""
        if definition.builtin is not None:
            raise BuiltinTool(
                f"{definition.name} ships with the product and cannot be deleted; disable it."
            )
        row = await self._tools.get(definition.id)
        await self._tools.delete(row)
        await self._drop_orphans(row, row.configuration, {})
        self._record(ToolDeleted(tool_id=row.id, name=row.name, kind=row.kind))

    def note_test(self, definition: Definition, function: str | None, *, ok: bool) -> None:
        """Record that somebody tried a tool."""
        self._record(
            ToolTested(
                tool_id=definition.id,
                name=definition.name,
                kind=definition.kind,
                function=function,
                ok=ok,
            )
        )

    async def _set_override(
        self, definition: Definition, changes: Mapping[str, Any], *, toggled: bool
    ) -> Definition:
        builtin = definition.builtin
        if builtin is None:
            raise TypeError("only tools of the product are set differently")
        row = (await self._overrides.by_name()).get(builtin.name)
        values = {name: value for name, value in changes.items() if name in _OVERRIDABLE}
        changed = sorted(n for n, value in values.items() if getattr(definition, n) != value)
        if not changed:
            return definition
        if row is None:
            row = await self._overrides.add(name=builtin.name, **values)
        else:
            await self._overrides.update(row, **values)
        facts = {"tool_id": builtin.id, "name": builtin.name, "kind": definition.kind}
        event = (
            ToolToggled(**facts, enabled=row.enabled)
            if toggled
            else ToolUpdated(**facts, changed=changed)
        )
        self._record(event)
        return of_builtin(builtin, row)

    async def _store_secrets(self, prepared: Prepared) -> None:
        for name, value in prepared.secrets.items():
            await self._vault.set(name, value, service=_SERVICE)

    async def _drop_orphans(
        self, row: Tool, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> None:
        if not orphans(before, after, ()):
            return
        others = [tool.configuration for tool in await self._tools.all() if tool.id != row.id]
        for name in orphans(before, after, others):
            with suppress(SecretNotFound):
                await self._vault.delete(name)

    def _record(self, event: Event) -> None:
        record(self._session, self._caller, event)


def _columns(definition: Definition) -> dict[str, Any]:
    names = (
        "name",
        "title",
        "description",
        "icon",
        "kind",
        "configuration",
        "input_schema",
        "functions",
        "enabled",
        "requires_approval",
        "idempotent",
        "timeout_s",
    )
    return {name: getattr(definition, name) for name in names}
