"""Queries on prompt templates."""

from sqlalchemy import or_, select

from muster.domains.catalogue.prompts.errors import (
    PromptTemplateNameTaken,
    PromptTemplateNotFound,
    PromptTemplateVersionNotFound,
)
from muster.domains.catalogue.prompts.models import PromptTemplate, PromptTemplateVersion
from muster.domains.catalogue.prompts.schemas import PromptTemplateList
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows, paginate


class PromptTemplateRepository(Repository[PromptTemplate]):
    """The prompt templates of one project."""

    model, missing, taken = PromptTemplate, PromptTemplateNotFound, PromptTemplateNameTaken

    async def search(self, params: PromptTemplateList) -> Rows[PromptTemplate]:
        """Return templates that match the filters, newest first."""
        query = self.query()
        if params.is_active is not None:
            query = query.where(PromptTemplate.is_active.is_(params.is_active))
        if params.search:
            columns = (PromptTemplate.name, PromptTemplate.description)
            text = params.search
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        return await self.page(query, params, (PromptTemplate.created_at, True))

    async def named(self, name: str) -> PromptTemplate:
        """Return the template with a name."""
        row: PromptTemplate | None = await self.session.scalar(
            self.query().where(PromptTemplate.name == name)
        )
        if row is None:
            raise PromptTemplateNotFound
        return row

    async def held(self, template_id: str) -> PromptTemplate:
        """Return a template that nobody else changes until the unit of work ends."""
        row: PromptTemplate | None = await self.session.scalar(
            self.query()
            .where(PromptTemplate.id == template_id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise PromptTemplateNotFound
        return row

    async def versions(
        self, template: PromptTemplate, params: ListParams
    ) -> Rows[PromptTemplateVersion]:
        """Return the versions of a template, newest first."""
        statement = select(PromptTemplateVersion).where(
            PromptTemplateVersion.template_id == template.id
        )
        return await paginate(
            self.session,
            statement,
            params,
            sort=(PromptTemplateVersion.version, True),
            tiebreak=PromptTemplateVersion.template_id,
        )

    async def version(self, template: PromptTemplate, number: int) -> PromptTemplateVersion:
        """Return one version of a template."""
        found = await self.session.get(PromptTemplateVersion, (template.id, number))
        if found is None:
            raise PromptTemplateVersionNotFound
        return found
