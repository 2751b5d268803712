"""One step: from what was sent to what the journal keeps; and what looks at it."""

from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.logs import Foresight, Intake, LogAgent, LoggedStep
from muster.domains.work.logs.translation import read_step
from muster.entrypoints.assembly import Muster
from tests.support.accounts import find_accounts
from tests.support.people import People, signed_in
from tests.work.external_setting import agent_client, code, registered, steps_of

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]


def read(**fields: Any) -> LoggedStep:
    return read_step({"kind": "step.exec", **fields}, "agent")


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"properties": {"usage": {"input_tokens": 1, "output_tokens": 2}}}, (1, 2, 0, 0)),
        ({"properties": {"cached_tokens": 3, "reasoning_tokens": 4}}, (0, 0, 3, 4)),
        ({"meta": {"input_tokens": 5}, "properties": {"output_tokens": 6}}, (5, 6, 0, 0)),
        ({"properties": {"usage": "many", "input_tokens": -1, "output_tokens": True}}, (0,) * 4),
        ({"properties": {"input_tokens": "7", "output_tokens": 2**40}}, (0,) * 4),
        ({}, (0,) * 4),
    ],
)
def test_tokens(fields: dict[str, Any], counts: tuple[int, ...]) -> None:
    new = read(**fields).new
    found = (new.input_tokens, new.output_tokens, new.cached_tokens, new.reasoning_tokens)
    assert found == counts


USED = {"input_tokens": 1_000_000, "output_tokens": 0}


@pytest.mark.parametrize(
    ("properties", "known"),
    [
        ({"cost": 0.25}, 0.25),
        ({"cost_usd": 1}, 1.0),
        ({"usage": {"cost": 2.0}, "cost": 3.0}, 2.0),
        ({"cost": True}, None),
        ({"cost": -1}, None),
        ({"cost": "1"}, None),
        (USED, None),
        ({**USED, "model": "nobody-knows-this"}, None),
        ({**USED, "model": "openai/nobody-knows-this"}, None),
        ({"model": "openai/gpt-4o"}, None),
    ],
)
def test_cost(properties: dict[str, Any], known: float | None) -> None:
    assert read(properties=properties).new.cost == known


@pytest.mark.parametrize(
    "named",
    [
        {"model": "openai/gpt-4o"},
        {"model": "gpt-4o"},
        {"model_name": "gpt-4o", "provider": "openai"},
    ],
)
def test_price(named: dict[str, Any]) -> None:
    cost = read(properties={**USED, **named}, timestamp="2026-05-04T12:00:00Z").new.cost
    assert cost == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"error": "Broke"}, "Broke"),
        ({"error": {"message": "Broke", "code": 5}}, "Broke"),
        ({"error": {"code": 5}}, "failed"),
        ({"output": {"error": "Broke"}}, "Broke"),
        ({"properties": {"error": "Broke"}}, "Broke"),
        ({"output": "Broke"}, "Broke"),
        ({}, "failed"),
    ],
)
def test_errors(fields: dict[str, Any], message: str) -> None:
    new = read(status="failed", **fields).new
    assert new.error is not None
    assert new.error["message"] == message
    assert read_step({"kind": "task.error"}, "agent").new.error == {"message": "failed"}


def test_nothing_that_was_sent_is_lost() -> None:
    fields = {"input": None, "input_data": 1, "output": 2, "output_data": 3, "properties": None}
    new = read(**fields).new
    assert (new.input, new.output) == (1, 2)
    assert new.properties == {"sent": {"kind": "step.exec", "input": None, "output_data": 3}}
    kept = read(properties={"sent": "mine", "a": 1}).new.properties
    assert kept == {"a": 1, "sent": {"kind": "step.exec", "properties": {"sent": "mine"}}}
    gate = read_step({"node_type": "HUMAN_APPROVAL", "output_data": "approved"}, "agent")
    assert gate.normal.properties["guard"]["result"] == "pass"
    assert gate.new.properties == {"sent": {"node_type": "HUMAN_APPROVAL"}}


def test_names_and_times() -> None:
    assert read(properties={"model": "gpt-4o"}).new.name == "gpt-4o"
    assert read().new.name == "step.exec"
    new = read(timestamp="2026-05-04T14:00:00+02:00", duration_ms=1500.5).new
    assert new.ended_at.isoformat() == "2026-05-04T12:00:00+00:00"
    assert new.started_at.isoformat() == "2026-05-04T11:59:58.499500+00:00"
    now = read().new
    assert now.started_at == now.ended_at


class Notes:
    """Remembers what it was shown, and finds something in it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, list[int]]] = []

    async def foresee(
        self, agent: LogAgent, run_id: str, task_id: str | None, steps: Sequence[LoggedStep]
    ) -> Foresight | None:
        del agent, run_id, task_id
        return Foresight() if steps[0].normal.kind == "step.self" else None

    async def observe(
        self,
        agent: LogAgent,
        run_id: str,
        task_id: str | None,
        steps: Sequence[tuple[int, LoggedStep]],
        session: AsyncSession,
    ) -> list[dict[str, Any]]:
        numbers = [seq for seq, _ in steps]
        assert session.in_transaction()
        assert task_id == "t-1"
        self.seen.append((agent.key, run_id, numbers))
        return [{"policy": "no exec", "kind": step.normal.kind} for _, step in steps]


@pytest.fixture
async def people(muster: Muster, connect: Connect) -> People:
    """The people of the application that executes nothing."""
    return signed_in(await find_accounts(muster), connect)


async def test_what_an_observer_finds_is_told(
    muster: Muster, people: People, connect: Connect
) -> None:
    agent = await agent_client(people.owner, connect)
    notes = Notes()
    intake = Intake(muster.database, muster.running.parts.writer, notes)
    muster.app.state.intake = intake
    agent_id = await registered(agent)
    body = {"agent_id": agent_id, "task_id": "t-1", "kind": "step.exec"}
    for headers in ({}, {}, {"Idempotency-Key": "a"}, {"Idempotency-Key": "a"}):
        answer = await agent.post("/logs", json=body, headers=headers)
        assert answer.json()["incidents"] == [{"policy": "no exec", "kind": "step.exec"}]
    run_id = answer.json()["execution_id"]
    assert notes.seen == [("invoices", run_id, [number]) for number in (1, 2, 3)]
    of_no_interest = await agent.post("/logs", json={**body, "kind": "step.self", "verb": "GET"})
    assert of_no_interest.json()["incidents"] == []
    refused = await agent.post("/logs", json={**body, "kind": "no.kind"})
    assert code(refused) == (422, "validation_error")
    assert len(notes.seen) == 3
    assert len(await steps_of(people.viewer)) == 4
