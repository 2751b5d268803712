"""Queries on the models of a project."""

from collections.abc import Collection, Sequence

from sqlalchemy import or_

from muster.domains.catalogue.models.errors import ModelNameTaken, ModelNotFound
from muster.domains.catalogue.models.models import Model
from muster.kernel.db import Repository


class ModelRepository(Repository[Model]):
    model, missing, taken = Model, ModelNotFound, ModelNameTaken

    async def find_by_reference(self, reference: str) -> Model | None:
        """Return the model with this name, else the one with this id."""
        return (await self.find_all([reference])).get(reference)

    async def find_all(self, references: Collection[str]) -> dict[str, Model]:
        """Return the models that these names or ids stand for, a name before an id."""
        wanted = set(references)
        statement = self.query().where(or_(Model.name.in_(wanted), Model.id.in_(wanted)))
        rows: Sequence[Model] = (await self.session.scalars(statement)).all()
        by_id = {row.id: row for row in rows if row.id in wanted}
        return by_id | {row.name: row for row in rows if row.name in wanted}

    async def all(self) -> Sequence[Model]:
        """Return every model of the project, by name."""
        return (await self.session.scalars(self.query().order_by(Model.name))).all()
