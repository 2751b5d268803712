"""HTTP surface of circuit breakers."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from muster.domains.catalogue.models import ModelCatalogue
from muster.domains.control.breakers.errors import CircuitBreakerNameInvalid
from muster.domains.control.breakers.schemas import (
    BreakerList,
    BreakerOut,
    BreakerPut,
    ForceOpen,
)
from muster.domains.control.breakers.service import BreakerService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/circuit-breakers", tag="Circuit breakers")

CanRead = Annotated[Caller, requires(Scope.BREAKERS_READ)]
CanWrite = Annotated[Caller, requires(Scope.BREAKERS_WRITE)]


async def _reader(connection: HTTPConnection, session: Reading, caller: CanRead) -> BreakerService:
    state = connection.app.state
    return BreakerService(session, caller, state.live, state.settings.breakers)


async def _writer(connection: HTTPConnection, caller: CanWrite, session: Writing) -> BreakerService:
    state = connection.app.state
    return BreakerService(session, caller, state.live, state.settings.breakers)


async def _models(connection: HTTPConnection) -> ModelCatalogue:
    models: ModelCatalogue = connection.app.state.models
    return models


Reader = Annotated[BreakerService, Depends(_reader)]
Writer = Annotated[BreakerService, Depends(_writer)]
Models = Annotated[ModelCatalogue, Depends(_models)]


@router.get("", response_model=Page[BreakerOut])
async def list_circuit_breakers(
    breakers: Reader, models: Models, params: Annotated[BreakerList, Query()]
) -> Rows[BreakerOut]:
    """List the circuit breakers of the platform and of the project, by name.

    A tool, host or model of the project is listed once something has failed or was set.
    """
    return await breakers.list(params, models.environment.providers)


@router.post("", responses=problems(CircuitBreakerNameInvalid))
async def configure_circuit_breaker(breakers: Writer, body: BreakerPut) -> BreakerOut:
    """Set when a circuit breaker opens and closes; the first time it is made.

    `provider:<name>` stands before a provider of the operator, for all projects. `model:<name>`,
    `tool:<name>` and `host:<host>` stand before what the project set up.
    """
    return await breakers.configure(body)


@router.post("/{name:path}/force-open", responses=problems(CircuitBreakerNameInvalid))
async def force_open_circuit_breaker(
    breakers: Writer, name: str, body: ForceOpen | None = None
) -> BreakerOut:
    """Open a circuit breaker until a person closes it: what it stands before is not called."""
    return await breakers.force_open(name, body.reason if body else None)


@router.post("/{name:path}/force-close", responses=problems(CircuitBreakerNameInvalid))
async def force_close_circuit_breaker(breakers: Writer, name: str) -> BreakerOut:
    """Close a circuit breaker; it opens again when calls fail again."""
    return await breakers.force_close(name)


@router.post("/{name:path}/reset", responses=problems(CircuitBreakerNameInvalid))
async def reset_circuit_breaker(breakers: Writer, name: str) -> BreakerOut:
    """Close a circuit breaker and give it the defaults: as if nothing had ever happened."""
    return await breakers.reset(name)
