"""HTTP surface of models."""

from typing import Annotated

from fastapi import Depends, Query, Request

from muster.domains.catalogue.models.catalogue import ModelCatalogue
from muster.domains.catalogue.models.errors import ModelNameTaken, ModelNotFound, ModelReadOnly
from muster.domains.catalogue.models.schemas import (
    ModelCreate,
    ModelList,
    ModelOut,
    ModelToggle,
    ModelUpdate,
)
from muster.domains.catalogue.models.service import ModelService
from muster.domains.catalogue.models.views import fits, named_view
from muster.kernel.egress import AddressRefused, Egress
from muster.kernel.http import Db, Router, Writing, problems
from muster.kernel.paging import Page, Rows, page_of
from muster.platform.access import Caller, Scope, requires

router = Router("/models", tag="Models")

CanRead = Annotated[Caller, requires(Scope.MODELS_READ)]
CanWrite = Annotated[Caller, requires(Scope.MODELS_WRITE)]


async def catalogue_of(request: Request) -> ModelCatalogue:
    """Return the catalogue of the application that answers."""
    catalogue: ModelCatalogue = request.app.state.models
    return catalogue


async def _egress(request: Request) -> Egress:
    egress: Egress = request.app.state.egress
    return egress


Catalogue = Annotated[ModelCatalogue, Depends(catalogue_of)]
Guard = Annotated[Egress, Depends(_egress)]


async def _writer(caller: CanWrite, session: Writing, catalogue: Catalogue) -> ModelService:
    return ModelService(session, caller, catalogue.names)


Writer = Annotated[ModelService, Depends(_writer)]


@router.get("", response_model=Page[ModelOut])
async def list_models(
    caller: CanRead, database: Db, catalogue: Catalogue, params: Annotated[ModelList, Query()]
) -> Rows[ModelOut]:
    """List the models that can be named: the project's own, the built-in one, and those that the
    providers of the environment serve.

    A model of the project goes before one of the environment with the same name.
    """
    async with database.read() as session:
        own = await ModelService(session, caller, catalogue.names).all()
    taken = {view.name for view in own}
    named = [named_view(named) for named in await catalogue.names.all()]
    views = own + [view for view in named if view.name not in taken]
    return page_of([view for view in views if fits(view, params)], params)


@router.get("/{model_name:path}", response_model=ModelOut, responses=problems(ModelNotFound))
async def get_model(
    caller: CanRead, database: Db, catalogue: Catalogue, model_name: str
) -> ModelOut:
    """Get a model by its name, which may contain slashes, or by its id."""
    async with database.read() as session:
        own = await ModelService(session, caller, catalogue.names).find(model_name)
    if own is not None:
        return own
    named = await catalogue.names.find_listed(model_name)
    if named is None:
        raise ModelNotFound(f"There is no model {model_name[:200]!r}; list them at GET /models.")
    return named_view(named)


@router.post(
    "",
    status_code=201,
    response_model=ModelOut,
    responses=problems(ModelNameTaken, AddressRefused),
)
async def create_model(models: Writer, egress: Guard, body: ModelCreate) -> ModelOut:
    """Set up a model of a provider for the project.

    It can be saved before its key exists: `configuration_status` tells what it lacks, and calling
    it is refused with a 409 until then.
    """
    if body.base_url is not None:
        # Before the first statement: names are resolved while no connection is taken.
        await egress.check(body.base_url)
    return await models.create(body)


@router.put(
    "/{model_name:path}",
    response_model=ModelOut,
    responses=problems(ModelNotFound, ModelNameTaken, ModelReadOnly, AddressRefused),
)
async def update_model(
    models: Writer, egress: Guard, model_name: str, body: ModelUpdate
) -> ModelOut:
    """Change the given fields of a model of the project; the others stay."""
    if isinstance(body.base_url, str):
        await egress.check(body.base_url)
    return await models.update(model_name, body)


@router.patch(
    "/{model_name:path}/toggle",
    response_model=ModelOut,
    responses=problems(ModelNotFound, ModelReadOnly),
)
async def toggle_model(
    models: Writer, model_name: str, body: ModelToggle | None = None
) -> ModelOut:
    """Enable or disable a model of the project; a disabled one cannot be called."""
    return await models.toggle(model_name, enabled=body.enabled if body else None)


@router.delete(
    "/{model_name:path}", status_code=204, responses=problems(ModelNotFound, ModelReadOnly)
)
async def delete_model(models: Writer, model_name: str) -> None:
    """Delete a model of the project. Agents that name it can no longer be run."""
    await models.delete(model_name)
