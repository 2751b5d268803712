"""Actions hear of the incidents that fit their conditions, in the incident's own commit."""

from contextlib import suppress
from typing import Any

import pytest

from muster.domains.control.incidents import Violation, report
from muster.entrypoints.assembly import Muster
from muster.platform.access import Caller
from tests.adapters.channels_setting import Receiver
from tests.control.actions_setting import (
    POLICY,
    broken,
    delivered,
    deliveries,
    hook,
    made,
    mailbox,
    one,
    receiver,
    settings,
    told,
)
from tests.support.people import People
from tests.work.external_setting import code

__all__ = ["mailbox", "receiver", "settings"]

pytestmark = pytest.mark.anyio


async def matched(muster: Muster, people: People, **incident: Any) -> int:
    """Return how many deliveries a new incident causes."""
    before = len(await deliveries(people.viewer, limit=200))
    await broken(muster, people.project_id, **incident)
    return len(await deliveries(people.viewer, limit=200)) - before


@pytest.mark.parametrize(
    ("on", "fits", "unfit"),
    [
        ({}, {"severity": "low"}, None),
        ({"severities": ["high", "low"]}, {"severity": "low"}, {"severity": "medium"}),
        ({"min_severity": "high"}, {"severity": "critical"}, {"severity": "medium"}),
        (
            {"severities": ["low", "high"], "min_severity": "medium"},
            {"severity": "high"},
            {"severity": "low"},
        ),
        ({"policy_ids": [POLICY]}, {}, {"policy_id": None}),
        ({"agent_ids": ["agent-1", "agent-2"]}, {"agent_id": "agent-2"}, {"agent_id": None}),
        ({"environments": ["production"]}, {}, {"environment": "staging"}),
        (
            {"environments": ["production"], "agent_ids": ["agent-2"]},
            {"agent_id": "agent-2"},
            {"agent_id": "agent-1"},
        ),
        ({"events": ["incident.resolved"]}, None, {}),
    ],
)
async def test_conditions(
    muster: Muster,
    people: People,
    receiver: Receiver,
    on: dict[str, Any],
    fits: dict[str, Any] | None,
    unfit: dict[str, Any] | None,
) -> None:
    await made(people.editor, config=hook(receiver), on=on)
    if unfit is not None:
        other = {"policy_name": "Another", "policy_id": None}  # else it would be a repeat
        assert await matched(muster, people, **{**other, **unfit}) == 0
    if fits is not None:
        assert await matched(muster, people, **fits) == 1
    assert await delivered(muster) == (0 if fits is None else 1)


async def test_every_move_of_an_incident_can_be_heard(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    moves = ["acknowledged", "resolved", "reactivated", "ignored", "opened", "repeated"]
    await made(
        people.editor, config=hook(receiver), on={"events": [f"incident.{m}" for m in moves]}
    )
    incident = await broken(muster, people.project_id)
    for _ in range(9):
        await broken(muster, people.project_id)
    for verb in ("acknowledge", "resolve", "reactivate", "ignore"):
        answer = await people.operator.post(f"/incidents/{incident.id}/{verb}")
        assert answer.status_code == 200, answer.text
    await delivered(muster)
    messages = sorted((call.message for call in receiver.calls), key=lambda m: m["sequence"])
    assert [message["type"] for message in messages] == [
        f"incident.{m}"
        for m in ("opened", "repeated", "acknowledged", "resolved", "reactivated", "ignored")
    ]
    assert [message["data"]["incident"]["status"] for message in messages] == [
        *("open", "open", "active", "resolved", "active", "ignored")
    ]
    events = {event["id"]: event for event in await told(people.viewer, "incident.")}
    assert {message["id"] for message in messages} == set(events)


async def test_an_incident_that_is_not_committed_tells_nobody(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    await made(people.editor, config=hook(receiver))
    caller = Caller.system(people.project_id)
    violation = Violation(
        project_id=people.project_id,
        policy_id=None,
        policy_name="Broken",
        rule_type=None,
        severity="high",
        action="block",
    )
    with suppress(ZeroDivisionError):
        async with muster.database.write() as session:
            await report(session, caller, [violation])
            raise ZeroDivisionError
    assert await deliveries(people.viewer) == []
    async with muster.database.write() as session:
        # Twice in one unit of work is one message of each kind.
        await report(session, caller, [violation] * 3)
        await report(session, caller, [violation])
    assert len(await deliveries(people.viewer)) == 1


async def test_other_projects_hear_nothing(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    await made(people.editor, config=hook(receiver))
    await broken(muster, people.other_project_id)
    assert await delivered(muster) == 0
    await broken(muster, people.project_id)
    delivery = await one(people.viewer)
    for method, path in (("GET", ""), ("POST", "/retry")):
        answer = await people.outsider.request(
            method, f"/actions/deliveries/{delivery['id']}{path}"
        )
        assert code(answer) == (404, "delivery_not_found")
    assert await deliveries(people.outsider) == []
