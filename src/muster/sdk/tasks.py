"""A task of an agent: what begins it, its steps, and how it ends."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Optional, Self

from muster.sdk.errors import StepBlocked
from muster.sdk.steps import Core, Step, failure
from muster.sdk.values import text_of

_LONGEST_ID = 255

_current: ContextVar[Optional["Task"]] = ContextVar("muster_task", default=None)


class Task:
    """One task. Use it with `with` or `async with`; `start` and `finish` are for hooks.

    Attributes:
        id: Its id, unique among the agent's tasks.
        output: The result; set it before the end.
        execution_id: The run that records it, once something of it is stored.
        hash_tail: Hash of the last stored step: keep it to prove later what was recorded.
        incidents: What policies found in the stored steps.
        refusal: Why the platform has not taken a step of it, if that happened.
    """

    def __init__(
        self, core: Core, *, id: str | None = None, inputs: Any = None, name: str | None = None
    ) -> None:
        if id is not None and not 1 <= len(id) <= _LONGEST_ID:
            raise ValueError(f"the id of a task must have 1 to {_LONGEST_ID} characters")
        self.id = text_of(id) if id else secrets.token_hex(16)
        self.name = text_of(name)[:_LONGEST_ID] if name else None
        self.inputs: Any = inputs
        self.output: Any = None
        self.execution_id: str | None = None
        self.hash_tail: str | None = None
        self.incidents: list[dict[str, Any]] = []
        self.refusal: str | None = None
        self._core = core
        self.outer: Task | None = None
        self._token: Token[Task | None] | None = None

    @property
    def core(self) -> Core:
        return self._core

    def step(
        self,
        kind: str,
        name: str | None = None,
        *,
        verb: str | None = None,
        input: Any = None,
        properties: Mapping[str, Any] | None = None,
        gate: bool = False,
    ) -> Step:
        """Return a step that is to be entered with `with` or `async with`.

        Args:
            kind: `step.model`, `step.resource`, `step.message`, `step.self`, `step.credential`,
                `step.exec`, `step.gate` or `step.unknown`.
            name: What is done.
            verb: GET, POST, PATCH or DELETE, where the kind takes one.
            input: What goes in; redacted and cut before it leaves the process.
            properties: What else describes it.
            gate: Whether policies are asked before it begins.
        """
        return Step(self, kind, name, verb=verb, input=input, properties=properties, gate=gate)

    def log(
        self,
        kind: str,
        name: str | None = None,
        *,
        verb: str | None = None,
        input: Any = None,
        output: Any = None,
        properties: Mapping[str, Any] | None = None,
        status: str | None = None,
    ) -> None:
        """Record something that has happened."""
        step = Step(self, kind, name, verb=verb, input=input, properties=properties)
        step.output, step.status = output, status
        step.finish()

    def start(self) -> None:
        """Begin the task; raises `PlatformUnavailable` where an outage is to stop it."""
        self._core.put(self, self._mark("task.start", input=self.inputs))
        if self._core.is_closed:
            self._core.require(self)

    def finish(self, error: BaseException | None = None) -> None:
        """End the task: well, or with an exception."""
        for record in self._ending(error):
            self._core.put(self, record)

    async def astart(self) -> None:
        """Do what `start` does without holding up the event loop."""
        await self._core.aput(self, self._mark("task.start", input=self.inputs))
        if self._core.is_closed:
            await asyncio.to_thread(self._core.require, self)

    async def afinish(self, error: BaseException | None = None) -> None:
        """Do what `finish` does without holding up the event loop."""
        for record in self._ending(error):
            await self._core.aput(self, record)

    def _ending(self, error: BaseException | None) -> list[dict[str, Any]]:
        if error is None:
            return [self._mark("task.end", output=self.output)]
        told = failure(error, self._core)
        records = [self._mark("task.end", output=self.output) | told]
        if not isinstance(error, StepBlocked):
            # The task's own error; a step that was blocked stands in the record already.
            records.insert(0, self._mark("task.error") | told)
        return records

    def _mark(self, kind: str, **values: Any) -> dict[str, Any]:
        shown = {name: self._core.shown(v) for name, v in values.items() if v is not None}
        mark: dict[str, Any] = {"kind": kind, "timestamp": datetime.now(UTC).isoformat()}
        if self.name:
            mark["step_name"] = self.name
        return mark | shown

    def stored(self, answer: dict[str, Any]) -> None:
        """Take note of what the platform answers to steps of the task."""
        self.execution_id = answer.get("execution_id") or self.execution_id
        self.hash_tail = answer.get("hash_tail") or self.hash_tail
        self.incidents.extend(answer.get("incidents") or [])

    def refused(self, reason: str) -> None:
        """Take note that the platform has not taken steps of the task."""
        self.refusal = reason

    def of(self, core: Core) -> Optional["Task"]:
        """Return this task, or the nearest around it, that belongs to a client."""
        found: Task | None = self
        while found is not None and found.core is not core:
            found = found.outer
        return found

    def _enter(self) -> None:
        self.outer = _current.get()
        self._token = _current.set(self)

    def _leave(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            # A block that ends in another context, as in a generator, leaves that one as it is.
            with suppress(ValueError):
                _current.reset(token)

    def __enter__(self) -> Self:
        self.start()
        self._enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()
        self.finish(error)

    async def __aenter__(self) -> Self:
        await self.astart()
        self._enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()
        await self.afinish(error)


def current_task(core: Core | None = None) -> Task | None:
    """Return the task that this code runs in; with a client's core, the client's."""
    task = _current.get()
    return task if task is None or core is None else task.of(core)
