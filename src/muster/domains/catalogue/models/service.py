"""What one can do with the models of a project."""

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.models.errors import ModelNameTaken, ModelNotFound, ModelReadOnly
from muster.domains.catalogue.models.events import (
    ModelCreated,
    ModelDeleted,
    ModelToggled,
    ModelUpdated,
)
from muster.domains.catalogue.models.models import Model
from muster.domains.catalogue.models.naming import Names
from muster.domains.catalogue.models.providers import BUILTIN_MODEL
from muster.domains.catalogue.models.repository import ModelRepository
from muster.domains.catalogue.models.schemas import ModelCreate, ModelOut, ModelUpdate
from muster.domains.catalogue.models.views import own_view
from muster.kernel.errors import FieldError, Invalid
from muster.platform.access import Caller
from muster.platform.events import Event, record
from muster.platform.vault import usable_secrets


class ModelService:
    """The models of the caller's project, within one unit of work.

    A `reference` is a model's name or else its id.
    """

    def __init__(self, session: AsyncSession, caller: Caller, names: Names) -> None:
        self._session, self._caller, self._names = session, caller, names
        self._models = ModelRepository(session, caller.project_id)

    async def all(self) -> list[ModelOut]:
        """Return every model of the project, by name."""
        rows = await self._models.all()
        keys = {row.api_key_name for row in rows if row.api_key_name}
        secrets = await usable_secrets(self._session, self._caller.project_id, keys)
        return [own_view(row, self._names.environment, secrets) for row in rows]

    async def find(self, reference: str) -> ModelOut | None:
        row = await self._models.find_by_reference(reference)
        return await self._view(row) if row else None

    async def create(self, body: ModelCreate) -> ModelOut:
        values = body.columns()
        if values["name"] == BUILTIN_MODEL:
            raise ModelNameTaken(f"{BUILTIN_MODEL} is the name of the built-in model.")
        row = Model(project_id=self._caller.project_id, **values)
        _check_prices(row)
        self._session.add(row)
        await self._models.flush()
        self._record(ModelCreated(model_id=row.id, name=row.name, provider=row.provider))
        return await self._view(row)

    async def update(self, reference: str, body: ModelUpdate) -> ModelOut:
        """Change the given fields."""
        row = await self._get(reference)
        changes = body.columns(row.parameters)
        if changes.get("name") == BUILTIN_MODEL:
            raise ModelNameTaken(f"{BUILTIN_MODEL} is the name of the built-in model.")
        await self._models.update(row, **changes)
        _check_prices(row)
        if changes:
            self._record(ModelUpdated(model_id=row.id, name=row.name, changed=sorted(changes)))
        return await self._view(row)

    async def toggle(self, reference: str, *, enabled: bool | None) -> ModelOut:
        """Enable or disable a model, or turn round which of the two it is."""
        row = await self._get(reference)
        wanted = not row.enabled if enabled is None else enabled
        if wanted != row.enabled:
            await self._models.update(row, enabled=wanted)
            self._record(ModelToggled(model_id=row.id, name=row.name, enabled=wanted))
        return await self._view(row)

    async def delete(self, reference: str) -> None:
        row = await self._get(reference)
        await self._models.delete(row)
        self._record(ModelDeleted(model_id=row.id, name=row.name))

    async def _get(self, reference: str) -> Model:
        row = await self._models.find_by_reference(reference)
        if row is not None:
            return row
        if (named := self._names.known(reference)) is not None:
            raise ModelReadOnly(
                f"{named.name!r} is set up by the operator of this server or built in, so a "
                "project cannot change it. Add a model of your own with POST /models."
            )
        raise ModelNotFound(f"There is no model {reference[:200]!r} in this project.")

    async def _view(self, row: Model) -> ModelOut:
        keys = [row.api_key_name] if row.api_key_name else []
        secrets = await usable_secrets(self._session, self._caller.project_id, keys)
        return own_view(row, self._names.environment, secrets)

    def _record(self, event: Event) -> None:
        record(self._session, self._caller, event)


def _check_prices(row: Model) -> None:
    if (row.input_price is None) != (row.output_price is None):
        field = "input_price" if row.input_price is None else "output_price"
    elif row.cached_price is not None and row.input_price is None:
        field = "input_price"
    else:
        return
    message = "the prices of input and output tokens are given together"
    raise Invalid(f"{field}: {message}", errors=[FieldError(field, message)])
