"""What one can do with prompt templates. Knows nothing of HTTP."""

from collections.abc import Mapping
from typing import Any

from pydantic import MISSING
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.prompts.errors import (
    PromptTemplateInactive,
    RenderedTooLong,
    VariablesMissing,
)
from muster.domains.catalogue.prompts.events import (
    PromptTemplateCreated,
    PromptTemplateDeleted,
    PromptTemplateUpdated,
)
from muster.domains.catalogue.prompts.models import PromptTemplate, PromptTemplateVersion
from muster.domains.catalogue.prompts.repository import PromptTemplateRepository
from muster.domains.catalogue.prompts.schemas import (
    PromptTemplateCreate,
    PromptTemplateList,
    PromptTemplateOut,
    PromptTemplatePatch,
    PromptTemplateVersionOut,
    RenderOut,
)
from muster.kernel.errors import FieldError
from muster.kernel.paging import ListParams, Rows
from muster.kernel.placeholders import fill, filled_length, placeholders_in
from muster.platform import events
from muster.platform.access import Caller

_CONTENT = ("name", "description", "template", "variables", "is_active")
_LONGEST_RENDERED = 1_000_000


class PromptTemplateService:
    """Use cases of prompt templates, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._templates = PromptTemplateRepository(session, caller.project_id)

    async def list(self, params: PromptTemplateList) -> Rows[PromptTemplateOut]:
        found = await self._templates.search(params)
        shown = [PromptTemplateOut.of(row) for row in found.items]
        return Rows(shown, found.total, found.limit, found.offset, found.has_more)

    async def get(self, template_id: str) -> PromptTemplateOut:
        return PromptTemplateOut.of(await self._templates.get(template_id))

    async def named(self, name: str) -> PromptTemplateOut:
        """Return the template with a name."""
        return PromptTemplateOut.of(await self._templates.named(name))

    async def create(self, body: PromptTemplateCreate) -> PromptTemplateOut:
        """Keep a template as its first version."""
        row = await self._templates.add(**body.model_dump(), version=1)
        self._keep_version(row, None)
        events.record(
            self._session, self._caller, PromptTemplateCreated(template_id=row.id, name=row.name)
        )
        return PromptTemplateOut.of(row)

    async def update(self, template_id: str, body: PromptTemplatePatch) -> PromptTemplateOut:
        """Change the given fields; a change is a new version."""
        row = await self._templates.held(template_id)
        given = {name: getattr(body, name) for name in _CONTENT}
        changes = {name: value for name, value in given.items() if value is not MISSING}
        return await self._store(row, changes, None)

    async def delete(self, template_id: str) -> None:
        """Delete a template and its versions."""
        row = await self._templates.held(template_id)
        await self._templates.delete(row)
        events.record(
            self._session, self._caller, PromptTemplateDeleted(template_id=row.id, name=row.name)
        )

    async def versions(
        self, template_id: str, params: ListParams
    ) -> Rows[PromptTemplateVersionOut]:
        template = await self._templates.get(template_id)
        found = await self._templates.versions(template, params)
        shown = [PromptTemplateVersionOut.of(row) for row in found.items]
        return Rows(shown, found.total, found.limit, found.offset, found.has_more)

    async def version(self, template_id: str, number: int) -> PromptTemplateVersionOut:
        template = await self._templates.get(template_id)
        return PromptTemplateVersionOut.of(await self._templates.version(template, number))

    async def restore(self, template_id: str, number: int) -> PromptTemplateOut:
        """Make an earlier version the present one, as a new version."""
        row = await self._templates.held(template_id)
        version = await self._templates.version(row, number)
        changes = {name: version.content[name] for name in _CONTENT}
        return await self._store(row, changes, f"Restored from version {number}")

    async def render(self, template_id: str, variables: Mapping[str, Any]) -> RenderOut:
        """Fill the placeholders of a template.

        Raises:
            PromptTemplateInactive: It is switched off.
            VariablesMissing: A placeholder has no value; the errors name each.
            RenderedTooLong: The values are too long for a text that repeats them.
        """
        row = await self._templates.get(template_id)
        if not row.is_active:
            raise PromptTemplateInactive(
                f"The prompt template {row.name} is not active; set is_active to use it."
            )
        if missing := [n for n in placeholders_in(row.template) if n not in variables]:
            raise VariablesMissing(
                f"No value is given for {', '.join(missing)[:1000]}; give them in variables.",
                errors=[FieldError(f"variables.{name}", "A value is needed.") for name in missing],
                details={"missing": missing},
            )
        if filled_length(row.template, variables) > _LONGEST_RENDERED:
            raise RenderedTooLong(
                f"The filled text would have more than {_LONGEST_RENDERED} characters; give "
                "shorter values."
            )
        text = fill(row.template, variables)
        return RenderOut(text=text, template_id=row.id, version=row.version)

    async def _store(
        self, row: PromptTemplate, values: Mapping[str, Any], note: str | None
    ) -> PromptTemplateOut:
        changes = {name: new for name, new in values.items() if new != getattr(row, name)}
        if not changes:
            return PromptTemplateOut.of(row)
        await self._templates.update(row, **changes, version=row.version + 1)
        self._keep_version(row, note)
        fact = PromptTemplateUpdated(
            template_id=row.id, name=row.name, version=row.version, changed=sorted(changes)
        )
        events.record(self._session, self._caller, fact)
        return PromptTemplateOut.of(row)

    def _keep_version(self, row: PromptTemplate, note: str | None) -> None:
        self._session.add(
            PromptTemplateVersion(
                template_id=row.id,
                version=row.version,
                content={name: getattr(row, name) for name in _CONTENT},
                note=note,
                created_by_id=self._caller.key_id or self._caller.id,
                created_by_name=self._caller.name,
            )
        )
