"""The platform goes away and comes back: the agent goes on, or is stopped where it asked for it."""

import asyncio
import logging
import os
import threading
import time
from typing import Any

import pytest

from muster.sdk import Muster, PlatformUnavailable, RegistrationRefused
from tests.sdk.conftest import Agent, Person
from tests.sdk.served import Served

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}


def until(condition: Any, seconds: float = 20) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def test_the_agent_goes_on_and_all_arrives_once(
    served: Served, agent: Agent, people: Person
) -> None:
    muster = agent()
    with muster.task(id="t-1") as task:
        task.log("step.exec", "before")
        assert muster.flush()
        served.stop()
        for number in range(300):
            with task.step("step.exec", f"during {number}", gate=number == 5):
                pass
        until(lambda: muster.health.retries > 2)
        assert muster.health.reachable is False
        assert muster.health.queued == 300
        served.start()
        task.log("step.exec", "after")
    assert muster.flush(30)
    names = [s["step_name"] for s in people.steps("t-1")]
    assert names[1:-1] == ["before", *(f"during {n}" for n in range(300)), "after"]
    assert people.is_valid("t-1")
    health = muster.health
    assert (health.rejected, health.dropped, health.lost, health.reachable) == (0, 0, 0, True)


def test_an_answer_that_is_lost_is_no_second_step(
    served: Served, agent: Agent, people: Person
) -> None:
    muster = agent()
    muster.register()
    served.faults.only, served.faults.lose_answers = "/logs/batch", 3
    with muster.task(id="t-1") as task:
        for number in range(20):
            task.log("step.exec", str(number))
    assert muster.flush(20)
    assert [s["step_name"] for s in people.steps("t-1")][1:-1] == [str(n) for n in range(20)]
    seen = [headers for path, headers in served.faults.seen if path.endswith("/batch")]
    keys = [headers["idempotency-key"] for headers in seen]
    assert len(keys) > len(set(keys))
    assert muster.health.retries == 3


def test_an_agent_that_begins_without_a_platform(
    served: Served, agent: Agent, people: Person, caplog: pytest.LogCaptureFixture
) -> None:
    served.stop()
    muster = agent()
    with caplog.at_level(logging.WARNING, "muster.sdk"):
        assert muster.register() is None
        with muster.task(id="t-1"):
            pass
        until(lambda: muster.health.retries)
        assert not muster.flush(0.05)
    assert "could not be registered" in caplog.text
    assert "steps wait" in caplog.text
    assert muster.agent_id is None
    served.start()
    assert muster.flush(20)
    assert muster.agent_id is not None
    assert len(people.steps("t-1")) == 2


def test_answers_that_ask_to_be_left_alone(served: Served, agent: Agent, people: Person) -> None:
    muster = agent()
    muster.register()
    served.faults.only = "/logs/batch"
    served.faults.answer = [
        (429, {"retry-after": "0.05"}, b""),
        (503, {"retry-after": "soon"}, b""),
        (500, JSON, b"{}"),
        (502, {"content-type": "text/html"}, b"<html>"),
        (200, {"content-type": "text/html"}, b"<html>a proxy</html>"),
    ]
    with muster.task(id="t-1"):
        pass
    assert muster.flush(20)
    assert len(people.steps("t-1")) == 2
    assert muster.health.retries == 5
    assert muster.health.last_error == "no JSON in an answer with status 200"


def test_closed_means_no_step_without_the_platform(
    served: Served, agent: Agent, people: Person
) -> None:
    muster = agent(on_outage="closed", gate_timeout_s=3.0)
    done: list[int] = []
    with pytest.raises(PlatformUnavailable), muster.task(id="t-1") as task:  # noqa: PT012
        with task.step("step.exec", "first"):
            done.append(1)
        served.stop()
        with task.step("step.exec", "second"):
            done.append(2)
    with pytest.raises(PlatformUnavailable), muster.task(id="t-2"):
        done.append(3)
    with pytest.raises(PlatformUnavailable):
        muster.register()
    assert done == [1]
    served.start()
    assert muster.flush(20)
    kinds = [(s["kind"], s["step_name"]) for s in people.steps("t-1")]
    assert kinds[1] == ("step.exec", "first")
    assert [kind for kind, _ in kinds[2:]] == ["task.error", "task.end"]
    with muster.task(id="t-3") as task, task.step("step.exec", "again"):
        done.append(4)
    assert done == [1, 4]


def test_closed_means_no_step_that_cannot_be_stored(served: Served, agent: Agent) -> None:
    muster = agent(on_outage="closed")
    with pytest.raises(PlatformUnavailable, match="task_ended"), muster.task(id="t-1") as task:  # noqa: PT012
        muster.task(id="t-1").finish()
        assert muster.flush()
        task.log("step.exec", "too late")
        with task.step("step.exec", "later still"):
            raise AssertionError
    with muster.task() as task:
        assert muster.flush()
        served.faults.only, served.faults.answer = "/health", [(418, {}, b"")]
        with pytest.raises(PlatformUnavailable, match="418"):
            task.step("step.exec").begin()


async def test_closed_in_coroutines(served: Served, agent: Agent) -> None:
    muster = agent(on_outage="closed", gate_timeout_s=3.0)
    async with muster.task() as task:
        async with task.step("step.exec", "first"):
            pass
        await asyncio.to_thread(served.stop)
        for gate in (False, True):
            with pytest.raises(PlatformUnavailable):
                async with task.step("step.exec", "second", gate=gate):
                    pass
    with pytest.raises(PlatformUnavailable):
        async with muster.step("step.exec", "alone"):
            pass


def test_what_is_refused_is_told_and_the_rest_arrives(
    agent: Agent, people: Person, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[str, list[str], str]] = []

    def on_rejected(task_id: str, steps: Any, reason: str) -> None:
        told.append((task_id, [step.get("step_name") for step in steps], reason))
        raise RuntimeError("the hook fails too")

    muster = agent(on_rejected=on_rejected)
    muster.register()
    with muster.task(id="t-1") as task:
        for number in range(10):
            # A verb that no kind takes, past the check of the SDK.
            step = task.step("step.exec", str(number))
            step.verb = "GET" if number in {3, 7} else None
            step.finish()
    assert muster.flush(20)
    assert [names for _, names, _ in told] == [["3"], ["7"]]
    assert "takes no verb" in told[0][2]
    assert "on_rejected failed" in caplog.text
    assert muster.health.rejected == 2
    assert [s["step_name"] for s in people.steps("t-1")][1:-1] == list("01245689")

    with muster.task(id="t-1"):  # has ended already
        pass
    assert muster.flush(20)
    assert muster.health.rejected == 4
    assert "task_ended" in told[-1][2]


def test_a_batch_that_is_always_a_fault_does_not_stand_in_the_way(
    served: Served, agent: Agent, people: Person
) -> None:
    muster = agent(retry_max_s=0.02)
    muster.register()
    served.faults.only = "/logs/batch"
    served.faults.answer = [(500, JSON, b"{}")] * 8
    with muster.task(id="t-1"):
        assert muster.flush(20)
    assert muster.flush(20)
    assert muster.health.rejected == 1
    assert [s["kind"] for s in people.steps("t-1")] == ["task.end"]


def test_an_agent_that_nobody_knows_any_more(
    served: Served, agent: Agent, people: Person, caplog: pytest.LogCaptureFixture
) -> None:
    muster = agent(agent_key="known")
    muster.register()
    served.faults.only = "/logs/batch"
    served.faults.answer = [(404, JSON, b'{"error":"agent_not_found","detail":"?"}')]
    with muster.task(id="t-1"):
        pass
    assert muster.flush(20)
    assert len(people.steps("t-1")) == 2
    served.faults.answer = [(404, JSON, b'{"error":"agent_not_found","detail":"?"}')] * 2
    with muster.task(id="t-2"):
        pass
    assert muster.flush(20)
    assert muster.health.rejected == 2
    assert "agent_not_found" in caplog.text


def test_a_registration_that_is_refused(agent: Agent, people: Person) -> None:
    muster = agent(agent_key="not a key!")
    assert muster.register() is None
    assert "422" in str(muster.health.last_error)
    with muster.task():
        pass
    until(lambda: muster.health.retries)
    assert not muster.close(0)
    assert muster.health.lost == 2
    with pytest.raises(RegistrationRefused):
        agent(agent_key="not a key!", on_outage="closed").register()
    with muster.task():
        pass
    assert muster.health.dropped == 2


def test_back_pressure(served: Served, agent: Agent, people: Person) -> None:
    muster = agent(queue_size=5, full_timeout_s=0.05)
    muster.register()
    served.stop()
    with muster.task(id="t-1") as task:
        for number in range(10):
            task.log("step.exec", str(number))
        assert muster.health.dropped == 6
        assert muster.health.queued == 5
    # What begins and ends tasks has places of its own.
    assert (muster.health.dropped, muster.health.queued) == (6, 6)
    served.start()
    assert muster.flush(20)
    kinds = [s["kind"] for s in people.steps("t-1")]
    assert kinds == ["task.start", *["step.exec"] * 4, "task.end"]

    # A place that becomes free in time is waited for.
    patient = agent(queue_size=5, full_timeout_s=20.0, batch_size=2)
    with patient.task(id="t-2") as task:
        for number in range(50):
            task.log("step.exec", str(number))
    assert patient.flush(20)
    assert (patient.health.dropped, len(people.steps("t-2"))) == (0, 52)

    small = agent(queue_bytes=400, full_timeout_s=0.0, interval_s=60.0)
    with small.task() as task:
        for _ in range(10):
            task.log("step.exec", "x" * 100)
    assert small.health.dropped > 5


async def test_back_pressure_does_not_hold_up_the_loop(served: Served, agent: Agent) -> None:
    muster = agent(queue_size=1, full_timeout_s=0.3, on_outage="closed")
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.01)

    async with muster.task() as task:
        assert await muster.aflush()
        await asyncio.to_thread(served.stop)
        beating = asyncio.create_task(beat())
        step = task.step("step.exec", "one")
        await step.afinish()
        with pytest.raises(PlatformUnavailable):
            await task.step("step.exec", "two").afinish()
        await step.afinish()
        beating.cancel()
    assert beats > 5


def test_the_end_is_bounded(served: Served, agent: Agent) -> None:
    muster = agent(shutdown_timeout_s=0.2)
    with muster.task():
        assert muster.flush()
        served.faults.hold.clear()
        muster.task().start()
        assert not muster.close()
    assert muster.health.lost == 1
    served.faults.hold.set()


def test_a_process_that_is_forked(agent: Agent, people: Person) -> None:
    muster = agent(interval_s=0.3)
    muster.register()
    with muster.task(id="parent") as task:
        child = os.fork()
        if child == 0:  # pragma: no cover - coverage does not follow
            status = 1
            try:
                with muster.task(id="child") as own, own.step("step.exec", "in the child"):
                    pass
                status = 0 if muster.close(10) and muster.health.sent == 3 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        task.log("step.exec", "in the parent")
    assert muster.flush(20)
    assert [s["kind"] for s in people.steps("parent")] == ["task.start", "step.exec", "task.end"]
    assert [s["kind"] for s in people.steps("child")] == ["task.start", "step.exec", "task.end"]


def test_a_copy_that_begins_anew(agent: Agent, people: Person) -> None:
    muster = agent(interval_s=60.0)
    muster.register()
    with muster.task(id="left"):
        muster.begin_anew()
        assert (muster.health.queued, muster.health.registered) == (0, True)
    assert muster.flush(20)
    assert [s["kind"] for s in people.steps("left")] == ["task.end"]


def test_a_sender_that_fails_gives_up_the_batch_alone(
    agent: Agent, people: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    muster = agent()
    with monkeypatch.context() as patch, muster.task(id="t-1"):
        patch.setattr("muster.sdk.lanes.Batch.body", lambda *_: 1 / 0)
        assert muster.flush(20)
    assert muster.flush(20)
    assert (muster.health.rejected, muster.health.sent) == (1, 1)

    task = muster.task(id="t-2")
    monkeypatch.setattr(task, "stored", lambda answer: answer["nothing"])
    with task:
        pass
    assert muster.flush(20)
    assert (muster.health.rejected, len(people.steps("t-2"))) == (1, 2)


def test_nothing_but_policies_is_raised_into_the_agent(
    agent: Agent, people: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    muster = agent(redact=lambda value: "text" if isinstance(value, dict) else value)
    odd: Any = 5
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with muster.task(id="t-\ud800", name="\ud800") as task:
            with task.step("step.exec", "\ud800\0") as step:
                step.status = odd
            patch.setattr("muster.sdk.core.dumps", lambda _: 1 / 0)
            task.log("step.exec", "never")
            patch.undo()
    assert "cannot be sent for now" in caplog.text
    assert "could not be queued" in caplog.text
    assert muster.health.dropped == 1
    with muster.task(id="t-1") as task:
        task.log("step.exec", odd, properties={"a": 1})
    assert muster.flush(20)
    assert [s["step_name"] for s in people.steps("t-?")][1] == "?\ufffd"
    assert people.steps("t-1")[1]["properties"]["redacted"] == "text"


def test_somebody_else_at_the_address(served: Served, agent: Agent) -> None:
    muster = agent()
    served.faults.answer = [(200, JSON, b"{}")] * 3
    assert muster.register() is None
    assert muster.agent_id is None


def test_the_end_of_the_process_sends_what_waits(served: Served, people: Person, key: str) -> None:
    import subprocess
    import sys

    code = f"""
from muster.sdk import Muster
muster = Muster({served.url!r}, {key!r}, agent_key="short", interval_s=60.0)
with muster.task(id="short"):
    pass
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert len(people.steps("short")) == 2


def test_importing_is_light() -> None:
    import subprocess
    import sys

    code = """
import sys
import muster.sdk
heavy = {"httpx", "httpx2", "openai", "anthropic", "langchain_core", "pydantic_ai", "pydantic",
         "sqlalchemy", "fastapi", "tenacity"}
found = heavy & set(sys.modules)
ours = [m for m in sys.modules if m.startswith("muster.") and not m.startswith("muster.sdk")]
assert not found and not ours, (found, ours)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert Muster.__module__ == "muster.sdk.client"
