"""HTTP surface of actions and of what they deliver."""

from typing import Annotated

from fastapi import Depends, Query
from pydantic import MISSING
from starlette.requests import HTTPConnection

from muster.domains.control.actions.delivering import ActionDelivery
from muster.domains.control.actions.errors import (
    ActionConfigInvalid,
    ActionHasNoSecret,
    ActionHasNoTest,
    ActionKindRefused,
    ActionNameTaken,
    ActionNotFound,
    EmailNotConfigured,
)
from muster.domains.control.actions.models import Action
from muster.domains.control.actions.repository import ActionRepository
from muster.domains.control.actions.schemas import (
    ActionCreate,
    ActionList,
    ActionOut,
    ActionUpdate,
    ActionWithSecret,
    TestOutcome,
)
from muster.domains.control.actions.service import ActionService
from muster.domains.control.actions.trying import try_out
from muster.domains.control.actions.watching import SOURCE_KIND
from muster.kernel.egress import AddressRefused, EgressInvalidUrl
from muster.kernel.http import Db, Reading, Router, Sealing, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires
from muster.platform.deliveries import (
    DeliveryDetail,
    DeliveryList,
    DeliveryNotDead,
    DeliveryNotFound,
    DeliveryOut,
    DeliveryService,
)

router = Router("/actions", tag="Actions")

CanRead = Annotated[Caller, requires(Scope.ACTIONS_READ)]
CanWrite = Annotated[Caller, requires(Scope.ACTIONS_WRITE)]


async def _reader(
    connection: HTTPConnection, session: Reading, caller: CanRead, key: Sealing
) -> ActionService:
    return ActionService(session, caller, key, connection.app.state.live)


async def _writer(
    connection: HTTPConnection, caller: CanWrite, session: Writing, key: Sealing
) -> ActionService:
    return ActionService(session, caller, key, connection.app.state.live)


async def _delivery(connection: HTTPConnection) -> ActionDelivery:
    delivery: ActionDelivery = connection.app.state.action_delivery
    return delivery


async def _deliveries(
    connection: HTTPConnection, session: Reading, caller: CanRead
) -> DeliveryService:
    return DeliveryService(session, caller, SOURCE_KIND, connection.app.state.courier)


async def _retrier(
    connection: HTTPConnection, caller: CanWrite, session: Writing
) -> DeliveryService:
    return DeliveryService(session, caller, SOURCE_KIND, connection.app.state.courier)


Reader = Annotated[ActionService, Depends(_reader)]
Writer = Annotated[ActionService, Depends(_writer)]
Delivering = Annotated[ActionDelivery, Depends(_delivery)]
Deliveries = Annotated[DeliveryService, Depends(_deliveries)]
Retrier = Annotated[DeliveryService, Depends(_retrier)]

_CHANGES = problems(
    ActionNotFound,
    ActionNameTaken,
    ActionConfigInvalid,
    ActionKindRefused,
    EmailNotConfigured,
    EgressInvalidUrl,
    AddressRefused,
)


@router.get("", response_model=Page[ActionOut])
async def list_actions(actions: Reader, params: Annotated[ActionList, Query()]) -> Rows[Action]:
    """List actions, newest first."""
    return await actions.list(params)


@router.post(
    "",
    status_code=201,
    responses=problems(
        ActionNameTaken,
        ActionConfigInvalid,
        ActionKindRefused,
        EmailNotConfigured,
        EgressInvalidUrl,
        AddressRefused,
    ),
)
async def create_action(
    actions: Writer, delivering: Delivering, body: ActionCreate
) -> ActionWithSecret:
    """Respond to incidents by itself: by webhook, e-mail, chat, or by acting on the agent.

    Every incident that fits `on` is delivered at least once, in no promised order. Webhooks are
    signed; the secret is in this answer and in no other. `pause_agent` deactivates the agent, and
    `open_approval` asks people whether it may go on: both also need `agents:write`.
    """
    # Before the first statement: name servers may be asked while no connection is taken.
    await delivering.targets.check(body.kind, body.config, {})
    return await actions.create(body)


@router.get("/deliveries", response_model=Page[DeliveryOut])
async def list_action_deliveries(
    deliveries: Deliveries, params: Annotated[DeliveryList, Query()]
) -> Rows[DeliveryOut]:
    """List what all actions have delivered or are to deliver, newest first."""
    return await deliveries.list(params)


@router.get("/deliveries/{delivery_id}", responses=problems(DeliveryNotFound))
async def get_action_delivery(deliveries: Deliveries, delivery_id: str) -> DeliveryDetail:
    """Get a delivery with what is sent and how each attempt went."""
    return await deliveries.get(delivery_id)


@router.post(
    "/deliveries/{delivery_id}/retry", responses=problems(DeliveryNotFound, DeliveryNotDead)
)
async def retry_action_delivery(deliveries: Retrier, delivery_id: str) -> DeliveryDetail:
    """Attempt a delivery again that was given up, under the same id."""
    return await deliveries.retry(delivery_id)


@router.get("/{action_id}", response_model=ActionOut, responses=problems(ActionNotFound))
async def get_action(actions: Reader, action_id: str) -> Action:
    """Get an action; what is secret in it is masked."""
    return await actions.get(action_id)


@router.put("/{action_id}", response_model=ActionOut, responses=_CHANGES)
@router.patch(
    "/{action_id}", response_model=ActionOut, responses=_CHANGES, name="update_action_by_patch"
)
async def update_action(
    caller: CanWrite,
    database: Db,
    actions: Writer,
    delivering: Delivering,
    action_id: str,
    body: ActionUpdate,
) -> Action:
    """Change, enable or disable an action. What is left away stays; masked values stay too."""
    if body.config is not MISSING:
        async with database.read() as session:
            before = await ActionRepository(session, caller.project_id).get(action_id)
        await delivering.targets.check(before.kind, body.config, before.config)
    return await actions.update(action_id, body)


@router.delete("/{action_id}", status_code=204, responses=problems(ActionNotFound))
async def delete_action(actions: Writer, action_id: str) -> None:
    """Delete an action and its secrets. What it was still to deliver is given up."""
    await actions.delete(action_id)


@router.post("/{action_id}/test", responses=problems(ActionNotFound, ActionHasNoTest))
async def test_action(
    caller: CanWrite, database: Db, delivering: Delivering, action_id: str
) -> TestOutcome:
    """Send a sample now, once, whether the action is enabled or not, and answer what happened."""
    async with database.read() as session:
        action = await ActionRepository(session, caller.project_id).get(action_id)
    return await try_out(delivering, action)


@router.post(
    "/{action_id}/rotate-secret",
    responses=problems(ActionNotFound, ActionHasNoSecret, ActionConfigInvalid),
)
async def rotate_action_secret(actions: Writer, action_id: str) -> ActionWithSecret:
    """Make a new signing secret and show it once. For 24 hours the old one signs beside it."""
    return await actions.rotate_secret(action_id)


@router.get(
    "/{action_id}/deliveries",
    response_model=Page[DeliveryOut],
    responses=problems(ActionNotFound),
)
async def list_deliveries_of_action(
    actions: Reader,
    deliveries: Deliveries,
    action_id: str,
    params: Annotated[DeliveryList, Query()],
) -> Rows[DeliveryOut]:
    """List what one action has delivered or is to deliver, newest first."""
    await actions.get(action_id)
    return await deliveries.list(params, action_id)
