"""One step of a task: judged, done, recorded."""

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

from muster.sdk.decisions import Decision
from muster.sdk.errors import ApprovalRequired, StepBlocked
from muster.sdk.gate import aapproved, approved
from muster.sdk.values import text_of
from muster.sdk.vocabulary import verb_of

logger = logging.getLogger("muster.sdk")

_LONGEST_NAME = 255
_CANCELLED = (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)


class Core(Protocol):
    """What a step needs of its client."""

    approve: Any

    @property
    def is_closed(self) -> bool: ...

    def shown(self, value: Any) -> Any: ...

    def put(self, task: Any, record: dict[str, Any]) -> None: ...

    async def aput(self, task: Any, record: dict[str, Any]) -> None: ...

    def judge(self, task_id: str, step: Mapping[str, Any]) -> Decision: ...

    def require(self, task: Any) -> None: ...

    def count(self, **counts: int) -> None: ...


class Owner(Protocol):
    """The task of a step."""

    id: str

    @property
    def core(self) -> Core: ...


class Step:
    """A step that is about to happen, happens, or has happened.

    Use it with `with` or `async with`; `begin` and `finish` are for hooks that have no block.

    Attributes:
        output: What came out of it; set it before the end.
        properties: What else describes it, such as `model` and `usage`.
        status: How it went, where it is not "ok": set by an exception, or by you.
        decision: What policies said, where they were asked.
    """

    def __init__(
        self,
        task: Owner,
        kind: str,
        name: str | None = None,
        *,
        verb: str | None = None,
        input: Any = None,
        properties: Mapping[str, Any] | None = None,
        gate: bool = False,
    ) -> None:
        self.kind, self.verb = kind, verb_of(kind, verb)
        self.name = text_of(name or kind)[:_LONGEST_NAME]
        self.input: Any = input
        self.output: Any = None
        self.properties: dict[str, Any] = dict(properties or {})
        self.status: str | None = None
        self.decision: Decision | None = None
        self._task, self._gate = task, gate
        self._started = 0.0
        self._is_over = False

    def usage(
        self,
        *,
        model: str | None = None,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cached_tokens: int = 0,
        reasoning_tokens: int = 0,
        cost_usd: float | None = None,
    ) -> None:
        """Say what the step has used; `input_tokens` include the cached ones."""
        counts: dict[str, Any] = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cached_tokens": cached_tokens,
            "reasoning_tokens": reasoning_tokens,
        }
        if cost_usd is not None:
            counts["cost_usd"] = cost_usd
        self.properties["usage"] = counts
        if model is not None:
            self.properties["model"] = model

    def intended(self) -> dict[str, Any]:
        """Return the step as policies judge it."""
        shown = self._task.core.shown
        told: dict[str, Any] = {"kind": self.kind, "verb": self.verb, "step_name": self.name}
        properties = shown(self.properties or None)
        if properties is not None and not isinstance(properties, dict):
            properties = {"redacted": properties}
        told |= {"input": shown(self.input), "properties": properties}
        return {name: value for name, value in told.items() if value is not None}

    def begin(self) -> None:
        """Ask policies, and begin; raises `StepBlocked` or `PlatformUnavailable`."""
        core, intended = self._task.core, self.intended() if self._gate else {}
        if self._gate:
            decision = self._judged(core.judge(self._task.id, intended))
            if decision.action == "require_approval" and approved(core.approve, intended, decision):
                core.put(self._task, _approval(self.name))
            elif stopped := self._stopped(decision):
                self.finish(stopped)
                raise stopped
        elif core.is_closed:
            core.require(self._task)
        self._started = time.perf_counter()

    async def abegin(self) -> None:
        """Do what `begin` does without holding up the event loop."""
        core, intended = self._task.core, self.intended() if self._gate else {}
        if self._gate:
            decision = self._judged(await asyncio.to_thread(core.judge, self._task.id, intended))
            if decision.action == "require_approval" and await aapproved(
                core.approve, intended, decision
            ):
                await core.aput(self._task, _approval(self.name))
            elif stopped := self._stopped(decision):
                await self.afinish(stopped)
                raise stopped
        elif core.is_closed:
            await asyncio.to_thread(core.require, self._task)
        self._started = time.perf_counter()

    def _judged(self, decision: Decision) -> Decision:
        self.decision = decision
        if decision.action != "allow" or not decision.is_judged:
            self.properties["gate"] = decision.told()
        if decision.action == "warn":
            self._task.core.count(warned=1)
            logger.warning("%s: policies warn: %s", self.name, decision.reason)
        return decision

    def _stopped(self, decision: Decision) -> StepBlocked | None:
        if decision.action == "block":
            stopped = StepBlocked(self.name, decision)
        elif decision.action == "require_approval":
            stopped = ApprovalRequired(self.name, decision)
        else:
            return None
        self._task.core.count(blocked=1)
        return stopped

    def finish(self, error: BaseException | None = None) -> None:
        """Record the step; only the first call does."""
        if not self._is_over:
            self._is_over = True
            self._task.core.put(self._task, self._record(error))

    async def afinish(self, error: BaseException | None = None) -> None:
        """Do what `finish` does without holding up the event loop."""
        if not self._is_over:
            self._is_over = True
            await self._task.core.aput(self._task, self._record(error))

    def _record(self, error: BaseException | None) -> dict[str, Any]:
        record = self.intended()
        if self.output is not None:
            record["output"] = self._task.core.shown(self.output)
        if self._started:
            record["duration_ms"] = round((time.perf_counter() - self._started) * 1000, 3)
        record["timestamp"] = datetime.now(UTC).isoformat()
        if error is not None:
            record |= failure(error, self._task.core)
        if self.status is not None:
            record["status"] = text_of(self.status)
        return record

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish(error)

    async def __aenter__(self) -> Self:
        await self.abegin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.afinish(error)


def failure(error: BaseException, core: Core) -> dict[str, Any]:
    """Return what a record says of an exception: its type, its message, and how that counts."""
    told = {"type": type(error).__name__, "message": core.shown(str(error)) or "no message"}
    if isinstance(error, StepBlocked):
        return {"status": "blocked", "error": told}
    status = "cancelled" if isinstance(error, _CANCELLED) else "failed"
    return {"status": status, "error": told}


def _approval(name: str) -> dict[str, Any]:
    """Return the record of a person's yes, in the words that policies look for."""
    return {
        "kind": "step.gate",
        "step_name": f"approval of {name}"[:_LONGEST_NAME],
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {
            "kind": "human",
            "guard": {"check_type": "human_approval", "result": "pass"},
        },
        "output": {"decision": "approve"},
    }
