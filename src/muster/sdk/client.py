"""The client of an agent that runs elsewhere."""

import asyncio
import atexit
import logging
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from muster.sdk.core import ClientCore
from muster.sdk.errors import PlatformUnavailable, RegistrationRefused
from muster.sdk.gate import Approve
from muster.sdk.health import Health
from muster.sdk.limits import Limits
from muster.sdk.options import OnRejected, Options, Redact
from muster.sdk.platform import Away, Refused
from muster.sdk.recorded import Recorded
from muster.sdk.tasks import Task, current_task

logger = logging.getLogger("muster.sdk")

# Held until they are closed: what waits in one that nobody holds any more is to be sent too.
_open: "dict[int, Muster]" = {}


class Muster:
    """Tells Muster what an agent does, and asks it what the agent may do.

    One object for a process, until it is closed, from any thread and any event loop of asyncio.
    Nothing is sent and no thread runs before the first task. With `on_outage="open"` nothing but a
    policy's word is raised into the agent; what goes wrong is logged (logger `muster.sdk`) and
    counted in `health`.

    Args:
        url: Where the platform is; `MUSTER_URL` by default.
        key: API key of kind `agent`; `MUSTER_AGENT_KEY` by default.
        agent_key: The agent's own stable key.
        name: Its name; the key by default.
        purpose: What it is for.
        description: More about it.
        owner_id: Who answers for it.
        maintainer_id: Who looks after it; the owner by default.
        risk_classification: high, limited, minimal, unacceptable or unclassified.
        environment: development, qa, staging or production.
        declared_tools: Names of the tools that it uses.
        metadata: Whatever else is to be kept of it.
        on_outage: "open": the agent goes on without the platform. "closed": it stops before a step.
        approve: Asks a person where policies require it. Without it such steps are refused.
        redact: Is given each input and output before it leaves the process.
        on_rejected: Is given the task, the steps that the platform refused, and why.
        limits: Times, sizes and pauses: the fields of `Options`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        agent_key: str,
        name: str | None = None,
        purpose: str | None = None,
        description: str | None = None,
        owner_id: str | None = None,
        maintainer_id: str | None = None,
        risk_classification: str | None = None,
        environment: str | None = None,
        declared_tools: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        approve: Approve | None = None,
        redact: Redact | None = None,
        on_rejected: OnRejected | None = None,
        **limits: Unpack[Limits],
    ) -> None:
        url = url or os.environ.get("MUSTER_URL")
        key = key or os.environ.get("MUSTER_AGENT_KEY")
        if not url or not key:
            raise ValueError("give url and key, or set MUSTER_URL and MUSTER_AGENT_KEY")
        profile = {
            "agent_key": agent_key,
            "name": name or agent_key,
            "purpose": purpose,
            "description": description,
            "owner_id": owner_id,
            "maintainer_id": maintainer_id,
            "risk_classification": risk_classification,
            "environment": environment,
            "declared_tools": None if declared_tools is None else list(declared_tools),
            "metadata": None if metadata is None else dict(metadata),
        }
        told = {name: value for name, value in profile.items() if value is not None}
        self.options = Options(**limits)
        self._core = ClientCore(url, key, told, self.options, approve, redact, on_rejected)
        _open[id(self)] = self

    @property
    def health(self) -> Health:
        """How the client fares at this moment."""
        return self._core.health()

    @property
    def agent_id(self) -> str | None:
        """The id that the platform has given the agent, once it is known."""
        return self._core.registration.agent_id

    def register(self) -> dict[str, Any] | None:
        """Tell the platform who the agent is; the first step does it otherwise.

        Returns the platform's answer with `registration_status` and `incidents`; None when that
        failed. With `on_outage="closed"` a failure raises `PlatformUnavailable` or
        `RegistrationRefused`.
        """
        try:
            return self._core.registration.renew()
        except Refused as error:
            refused = RegistrationRefused(str(error))
            refused.__cause__ = error
        except Away as error:
            refused = PlatformUnavailable(str(error))
            refused.__cause__ = error
        self._core.counters.set(last_error=str(refused))
        if self.options.is_closed:
            raise refused
        logger.warning("the agent could not be registered: %s", refused)
        return None

    async def aregister(self) -> dict[str, Any] | None:
        """Do what `register` does without holding up the event loop."""
        return await asyncio.to_thread(self.register)

    def task(self, *, inputs: Any = None, id: str | None = None, name: str | None = None) -> Task:
        """Return a task that is to be entered with `with` or `async with`.

        Args:
            inputs: What it is about.
            id: Its id, 1 to 255 characters, never used before; a new one by default.
            name: What it is called.
        """
        return Task(self._core, id=id, inputs=inputs, name=name)

    def current_task(self) -> Task | None:
        """Return this client's task that the code runs in."""
        return current_task(self._core)

    def step(
        self,
        kind: str = "step.exec",
        name: str | None = None,
        *,
        verb: str | None = None,
        input: Any = None,
        properties: Mapping[str, Any] | None = None,
        gate: bool = False,
    ) -> Recorded:
        """Return a decorator and context manager for a step of the current task.

        The arguments are those of `Task.step`. Where no task is open, the step is a task of its
        own. A decorated function's arguments are the input, and what it returns is the output.
        """
        return Recorded(
            self._core, kind, name, verb=verb, input=input, properties=properties, gate=gate
        )

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything recorded so far is stored or refused; False: not in time."""
        return self._core.flush(timeout_s)

    async def aflush(self, timeout_s: float = 10.0) -> bool:
        """Do what `flush` does without holding up the event loop."""
        return await asyncio.to_thread(self.flush, timeout_s)

    def close(self, timeout_s: float | None = None) -> bool:
        """Send what waits, for a bounded time, and stop; False where steps were lost.

        Called at the end of the process by itself.
        """
        limit = self.options.shutdown_timeout_s if timeout_s is None else timeout_s
        is_sent = self._core.close(limit)
        _open.pop(id(self), None)
        return is_sent

    async def aclose(self, timeout_s: float | None = None) -> bool:
        """Do what `close` does without holding up the event loop."""
        return await asyncio.to_thread(self.close, timeout_s)

    def begin_anew(self) -> None:
        """Leave what waits to the process that this one was forked from."""
        self._core.begin_anew()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


@atexit.register
def close_all() -> None:
    """Send what waits in every client before the process ends."""
    for client in list(_open.values()):
        client.close()


def _after_fork() -> None:
    for client in list(_open.values()):
        client.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
