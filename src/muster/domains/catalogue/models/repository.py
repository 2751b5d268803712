"""Queries on the models of a project."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, bindparam, func, or_, select

from muster.domains.catalogue.models.errors import ModelNameTaken, ModelNotFound
from muster.domains.catalogue.models.models import Model
from muster.kernel.db import Repository

VERSION: Select[*tuple[Any, ...]] = select(func.count(Model.id), func.max(Model.updated_at)).where(
    Model.project_id == bindparam("project_id")
)
"""What changes whenever the models of a project do."""


class ModelRepository(Repository[Model]):
    model, missing, taken = Model, ModelNotFound, ModelNameTaken

    async def find_by_reference(self, reference: str) -> Model | None:
        """Return the model with this name, else the one with this id."""
        statement = self.query().where(or_(Model.name == reference, Model.id == reference))
        return by_reference((await self.session.scalars(statement)).all()).get(reference)

    async def all(self) -> Sequence[Model]:
        """Return every model of the project, by name."""
        return (await self.session.scalars(self.query().order_by(Model.name))).all()


def by_reference(rows: Sequence[Model]) -> dict[str, Model]:
    """Return models under the names and ids that stand for them, a name before an id."""
    return {row.id: row for row in rows} | {row.name: row for row in rows}
