"""Trying an action out with a sample."""

import time

from muster.adapters.channels import ChannelError
from muster.domains.control.actions.configuring import ACTS_ON_AGENTS
from muster.domains.control.actions.delivering import ActionDelivery
from muster.domains.control.actions.errors import ActionHasNoTest
from muster.domains.control.actions.messages import sample_message
from muster.domains.control.actions.models import Action
from muster.domains.control.actions.schemas import TestOutcome
from muster.domains.control.actions.watching import SOURCE_KIND
from muster.kernel import clock
from muster.kernel.ids import new_id
from muster.platform.deliveries import Outgoing, Postponed


async def try_out(delivery: ActionDelivery, action: Action) -> TestOutcome:
    """Send a sample now, once, and return what became of it. It is in no log of deliveries.

    Raises:
        ActionHasNoTest: The action would change an agent.
    """
    if action.kind in ACTS_ON_AGENTS:
        raise ActionHasNoTest(
            f"An action of kind {action.kind} changes agents, and a sample is about none."
        )
    message_id = new_id()
    outgoing = Outgoing(
        id=message_id,
        project_id=action.project_id,
        source_kind=SOURCE_KIND,
        source_id=action.id,
        event_id=None,
        event_type="incident.opened",
        message=sample_message(
            message_id, action.project_id, action.id, action.name, clock.iso(clock.now())
        ),
        number=1,
        max_attempts=1,
        claim="",
    )
    began = time.monotonic()
    status_code, error = None, None
    try:
        status_code = (await delivery.act(action, outgoing)).status_code
    except ChannelError as problem:
        status_code, error = problem.status_code, problem.message
    except Postponed as postponed:
        error = postponed.reason
    return TestOutcome(
        delivered=error is None,
        message_id=message_id,
        status_code=status_code,
        duration_ms=round((time.monotonic() - began) * 1000),
        error=error,
    )
