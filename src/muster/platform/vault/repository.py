"""Queries on secrets."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from sqlalchemy import or_

from muster.kernel import clock
from muster.kernel.db import Repository
from muster.kernel.paging import Rows
from muster.platform.vault.errors import SecretNameTaken, SecretNotFound
from muster.platform.vault.models import Secret

if TYPE_CHECKING:
    from muster.platform.vault.schemas import SecretList


class SecretRepository(Repository[Secret]):
    model, missing, taken = Secret, SecretNotFound, SecretNameTaken

    async def find_by_reference(self, reference: str) -> Secret | None:
        """Return the secret with this id, else the one with this name."""
        statement = self.query().where(or_(Secret.id == reference, Secret.name == reference))
        found = (await self.session.scalars(statement)).all()
        return next((row for row in found if row.id == reference), found[0] if found else None)

    async def search(self, params: "SecretList") -> Rows[Secret]:
        statement = self.query()
        if params.service is not None:
            statement = statement.where(Secret.service == params.service)
        if params.search:
            statement = statement.where(Secret.name.icontains(params.search, autoescape=True))
        return await self.page(statement, params, (Secret.name, False))

    async def usable(self, references: Collection[str]) -> set[str]:
        """Return those of these ids and names that stand for a value which has not expired."""
        wanted = set(references)
        if not wanted:
            return set()
        statement = (
            self.query()
            .with_only_columns(Secret.id, Secret.name)
            .where(or_(Secret.id.in_(wanted), Secret.name.in_(wanted)))
            .where(Secret.ciphertext.is_not(None))
            .where(or_(Secret.expires_at.is_(None), Secret.expires_at > clock.now()))
        )
        found = (await self.session.execute(statement)).all()
        return wanted & {text for row in found for text in row}
