"""What an agent does is what the platform shows."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from muster.sdk import Muster, PlatformUnavailable, Task, current_task
from tests.sdk.conftest import Agent, Person

pytestmark = pytest.mark.anyio


def test_a_task_with_its_steps(agent: Agent, people: Person) -> None:
    muster = agent(purpose="Reads invoices", environment="production", declared_tools=["read"])
    answer = muster.register()
    assert answer is not None
    assert answer["registration_status"] == "created"
    assert muster.agent_id == answer["agent_id"]
    shown = people.get(f"/agents/{muster.agent_id}")
    assert (shown["purpose"], shown["environment"]) == ("Reads invoices", "production")
    again = muster.register()
    assert again is not None
    assert again["registration_status"] == "updated"

    with muster.task(inputs={"invoice": 7}, id="invoice-7", name="Invoice 7") as task:
        assert current_task() is task
        assert muster.current_task() is task
        with task.step("step.resource", "fetch", verb="get", input={"id": 7}) as step:
            step.output = b"paper"
        with task.step("step.model", "read", input="paper") as step:
            step.output = {"total": 42}
            step.usage(
                model="gpt-4o", input_tokens=10, output_tokens=3, cached_tokens=4, cost_usd=0.5
            )
            step.properties["note"] = "x"
        task.log("step.message", "tell", verb="POST", output="told", properties={"to": "anna"})
        task.output = {"paid": True}
    assert current_task() is None
    assert muster.flush()

    steps = people.steps("invoice-7")
    assert [(s["kind"], s["verb"], s["step_name"]) for s in steps] == [
        ("task.start", None, "Invoice 7"),
        ("step.resource", "GET", "fetch"),
        ("step.model", "POST", "read"),
        ("step.message", "POST", "tell"),
        ("task.end", None, "Invoice 7"),
    ]
    assert {s["status"] for s in steps} == {"ok"}
    assert [s["input"] for s in steps] == [{"invoice": 7}, {"id": 7}, "paper", None, None]
    assert steps[1]["output"] == "[5 bytes]"
    model = steps[2]
    counts = (model["input_tokens"], model["output_tokens"], model["cached_tokens"], model["cost"])
    assert counts == (10, 3, 4, 0.5)
    assert model["properties"]["note"] == "x"
    assert model["duration_ms"] > 0
    assert people.is_valid("invoice-7")
    assert people.status("invoice-7") == "completed"
    assert task.hash_tail == steps[-1]["hash"]
    assert task.execution_id == steps[0]["execution_id"]
    health = muster.health
    assert (health.sent, health.queued, health.queued_bytes, health.rejected) == (5, 0, 0, 0)
    assert (health.registered, health.reachable, health.last_error) == (True, True, None)
    assert health.as_dict()["sent"] == 5


def test_a_task_that_fails(agent: Agent, people: Person) -> None:
    muster = agent()
    with pytest.raises(ZeroDivisionError), muster.task(id="t-1") as task:  # noqa: PT012
        with contextlib.suppress(KeyError), task.step("step.exec", "look") as step:
            step.output = "half"
            raise KeyError("no such thing")
        with task.step("step.exec", "own status") as step:
            step.status = "deferred"
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), muster.task(id="t-2"):
        raise KeyboardInterrupt
    assert muster.flush()

    steps = people.steps("t-1")
    assert [(s["kind"], s["status"]) for s in steps] == [
        ("task.start", "ok"),
        ("step.exec", "error"),
        ("step.exec", "ok"),
        ("task.error", "error"),
        ("task.end", "error"),
    ]
    assert steps[1]["error"] == {"type": "KeyError", "message": "'no such thing'"}
    assert steps[1]["output"] == "half"
    assert steps[3]["error"] == {"type": "ZeroDivisionError", "message": "no message"}
    assert people.status("t-1") == "failed"
    assert people.steps("t-2")[-1]["properties"]["sent"]["status"] == "cancelled"
    assert people.is_valid("t-1")


async def test_the_same_from_coroutines(agent: Agent, people: Person) -> None:
    muster = agent()
    assert await muster.aregister() is not None

    @muster.step("step.exec", "double")
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    async def one(number: int) -> None:
        async with muster.task(id=f"t-{number}", inputs=number) as task:
            async with task.step("step.exec", "first"):
                await asyncio.sleep(0)
            assert current_task() is task
            with contextlib.suppress(ValueError):
                async with muster.step("step.exec", "second"):
                    raise ValueError("no")
            task.output = await double(number)

    await asyncio.gather(*(one(number) for number in range(20)))
    with pytest.raises(LookupError):
        async with muster.task(id="bad"):
            raise LookupError("x")
    assert await muster.aflush()
    for number in range(20):
        steps = people.steps(f"t-{number}")
        names = [s["step_name"] for s in steps]
        assert names[1:-1] == ["first", "second", "double"]
        assert steps[2]["status"] == "error"
        assert (steps[3]["input"], steps[3]["output"]) == ({"number": number}, number * 2)
        assert people.is_valid(f"t-{number}")
    assert people.status("bad") == "failed"
    async with muster:
        pass
    assert muster.health.lost == 0


def test_decorated_functions(agent: Agent, people: Person) -> None:
    muster = agent()

    class Reader:
        @muster.step("step.resource", verb="GET", properties={"from": "paper"})
        def read(self, page: int, *, loud: bool = False) -> str:
            """Read a page."""
            return f"page {page}"

    @muster.step(input="given")
    def fail() -> None:
        raise OSError("gone")

    assert Reader.read.__doc__ == "Read a page."
    with muster.task(id="t-1"):
        assert Reader().read(3) == "page 3"
        with pytest.raises(OSError, match="gone"):
            fail()
        with pytest.raises(TypeError):
            Reader().read()  # pyright: ignore[reportCallIssue]
        with muster.step("step.self", "remember", verb="POST") as step:
            step.output = 1
    assert muster.flush()
    steps = people.steps("t-1")[1:-1]
    assert [s["input"] for s in steps[:2]] == [{"page": 3}, "given"]
    assert steps[0]["step_name"].endswith("Reader.read")
    assert steps[0]["properties"]["from"] == "paper"
    assert [s["status"] for s in steps] == ["ok", "error", "error", "ok"]

    with pytest.raises(TypeError, match="generator"):

        @muster.step()
        def many() -> Iterator[int]:
            yield 1


async def test_a_step_without_a_task_is_one(agent: Agent, people: Person) -> None:
    muster = agent()

    @muster.step(name="alone")
    def work() -> int:
        return 5

    @muster.step(name="alone too")
    async def awork() -> None:
        raise ValueError("no")

    assert work() == 5
    with pytest.raises(ValueError, match="no"):
        await awork()
    assert muster.flush()
    found = people.get("/logs", external=True)["items"]
    tasks = {step["task_id"] for step in found}
    assert len(tasks) == 2
    kinds = sorted([s["kind"] for s in people.steps(task)] for task in tasks)
    assert kinds == [
        ["task.start", "step.exec", "task.end"],
        ["task.start", "step.exec", "task.error", "task.end"],
    ]


def test_fifty_threads_and_clients_within_each_other(agent: Agent, people: Person) -> None:
    muster, other = agent(), agent(agent_key="other", name="Other")
    seen: list[Task | None] = []

    def work(number: int) -> None:
        with muster.task(id=f"t-{number}") as task:
            for count in range(10):
                with muster.step("step.exec", f"{number}.{count}"):
                    pass
            seen.append(muster.current_task() if task is not None else None)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert muster.flush(30)
    assert len({task.id for task in seen if task}) == 50
    for number in range(50):
        names = [s["step_name"] for s in people.steps(f"t-{number}")]
        assert names[1:-1] == [f"{number}.{count}" for count in range(10)]
    assert muster.health.sent == 50 * 12

    inner = muster.step("step.exec", "of the outer")
    with muster.task(id="outer") as outer, other.task(id="inner"), inner:
        assert muster.current_task() is outer
    assert muster.flush()
    assert other.flush()
    assert [s["step_name"] for s in people.steps("outer")][1] == "of the outer"
    assert len(people.steps("inner")) == 2


def test_more_steps_than_one_call_takes(agent: Agent, people: Person) -> None:
    muster = agent(batch_size=1000, interval_s=5.0)
    with muster.task(id="long") as task:
        for number in range(2500):
            task.log("step.exec", str(number))
    assert muster.flush(60)
    assert (muster.health.sent, muster.health.batches) == (2502, 3)
    assert [s["step_name"] for s in people.steps("long")][1:-1] == [str(n) for n in range(2500)]
    assert people.is_valid("long")


def test_what_is_refused_where_it_is_written(agent: Agent, monkeypatch: Any) -> None:
    muster = agent()
    for kind, verb in (("step.nothing", None), ("step.resource", None), ("step.exec", "GET")):
        with pytest.raises(ValueError, match="step"):
            muster.step(kind, verb=verb)
    with pytest.raises(ValueError, match="GET, POST"):
        muster.step("step.message", verb="DELETE")
    with pytest.raises(ValueError, match="1 to 255"):
        muster.task(id="")
    for wrong in ({"on_outage": "maybe"}, {"batch_size": 1001}, {"queue_size": 0}):
        with pytest.raises(ValueError, match="must be"):
            agent(**wrong)
    with pytest.raises(ValueError, match="http"):
        Muster("ftp://there", "key", agent_key="a")
    monkeypatch.delenv("MUSTER_URL", raising=False)
    with pytest.raises(ValueError, match="MUSTER_URL"):
        Muster(key="key", agent_key="a")


def test_url_and_key_of_the_environment(
    agent: Agent, people: Person, key: str, monkeypatch: Any
) -> None:
    base = str(people.client.base_url)
    monkeypatch.setenv("MUSTER_URL", base)
    monkeypatch.setenv("MUSTER_AGENT_KEY", key)
    muster = Muster(agent_key="from-environment", on_outage="closed", metadata={"a": 1})
    with muster, muster.task(id="t-1"):
        pass
    assert [s["kind"] for s in people.steps("t-1")] == ["task.start", "task.end"]
    with pytest.raises(PlatformUnavailable), muster.task():
        pass
