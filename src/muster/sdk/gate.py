"""Asking the platform before a step, and what becomes of the step by its answer."""

import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from muster.sdk.decisions import INACTIVE, Decision
from muster.sdk.errors import PlatformUnavailable
from muster.sdk.health import Counters
from muster.sdk.lanes import Lanes
from muster.sdk.options import Options
from muster.sdk.platform import Away, Platform, Refused
from muster.sdk.registration import Registration
from muster.sdk.values import dumps

logger = logging.getLogger("muster.sdk")

_PATIENCE = 4
"""How many doublings longer the pause after a failed question is than that after a failed call."""

Approve = Callable[[Mapping[str, Any], Decision], bool | Awaitable[bool]]
"""Asks a person: is given the step and the decision, and returns whether it may happen."""


class Gate:
    """Judges steps before they happen.

    Policies look at what the task has done, so all of it is brought to the platform before it is
    asked.

    Args:
        lanes: The queue of steps.
        platform: The platform.
        registration: Whose steps they are.
        options: Time limits, and what an outage means.
        counters: What is told of it.
    """

    def __init__(
        self,
        lanes: Lanes,
        platform: Platform,
        registration: Registration,
        options: Options,
        counters: Counters,
    ) -> None:
        self._lanes, self._platform, self._registration = lanes, platform, registration
        self._options, self._counters = options, counters
        self._failures = 0

    def ask(self, task_id: str, step: Mapping[str, Any]) -> Decision:
        """Return what policies say; raises `PlatformUnavailable` where an outage is to stop it."""
        if self._lanes.is_paused and not self._options.is_closed:
            return self._unasked("the platform is away")
        until = time.monotonic() + self._options.gate_timeout_s
        try:
            self._settle(task_id, until)
            decision = Decision.read(self._evaluate(task_id, step, until))
            self._failures = 0
            return decision
        except Away as error:
            self._failures += 1
            # Else each step of an agent that goes on would wait for the platform anew.
            self._lanes.pause(self._options.pause(self._failures + _PATIENCE))
            return self._unasked(str(error))
        except Refused as error:
            if error.code == INACTIVE:
                return self._inactive()
            return self._unjudged(f"the platform cannot judge: {error}")
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read judges nothing
            return self._unjudged(f"the platform cannot judge: {error!r}")

    def require(self, task_id: str) -> None:
        """Wait until all of a task is stored; raises `PlatformUnavailable` otherwise.

        Where nothing waits, nothing would show that the platform is away: it is asked.
        """
        until = time.monotonic() + self._options.gate_timeout_s
        try:
            if self._lanes.has(task_id):
                self._settle(task_id, until)
            else:
                self._platform.ping(self._options.gate_timeout_s)
        except Away as error:
            raise PlatformUnavailable(str(error)) from error

    def _settle(self, task_id: str, until: float) -> None:
        self._lanes.nudge()
        if not self._lanes.flush(max(until - time.monotonic(), 0.0), task_id):
            raise Away("the steps before this one could not be stored in time")

    def _evaluate(self, task_id: str, step: Mapping[str, Any], until: float) -> dict[str, Any]:
        failures = 0
        while True:
            left = until - time.monotonic()
            try:
                body = {
                    "agent": self._registration.ensure(),
                    "context": {"task_id": task_id},
                    "step": step,
                }
                answer = self._platform.post("/gate/evaluate", dumps(body), timeout_s=left)
                self._counters.set(reachable=True)
                return answer
            except Away:
                failures += 1
                pause_s = self._options.pause(failures)
                if time.monotonic() + pause_s >= until:
                    raise
                time.sleep(pause_s)

    def _unasked(self, reason: str) -> Decision:
        """Decide while nobody answers; the last word about a deactivated agent still holds."""
        return self._inactive() if self._registration.is_inactive else self._unjudged(reason)

    def _inactive(self) -> Decision:
        self._counters.set(last_error=INACTIVE)
        return Decision(action="block", risk_score=1.0, is_active=False)

    def _unjudged(self, reason: str) -> Decision:
        self._counters.set(last_error=reason)
        if self._options.is_closed:
            raise PlatformUnavailable(reason)
        self._counters.add(unjudged=1)
        logger.warning("a step begins without a decision: %s", reason)
        return Decision(action="allow", is_judged=False)


def approved(approve: Approve | None, step: Mapping[str, Any], decision: Decision) -> bool:
    """Ask a person; whoever fails to answer has not said yes."""
    if approve is None:
        return False
    try:
        answer = approve(step, decision)
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise TypeError("an asynchronous approve needs `async with`")  # noqa: TRY301
    except Exception:
        logger.exception("approve failed; the step is not approved")
        return False
    return answer is True


async def aapproved(approve: Approve | None, step: Mapping[str, Any], decision: Decision) -> bool:
    """Ask a person, who may take time; whoever fails to answer has not said yes."""
    if approve is None:
        return False
    try:
        answer = approve(step, decision)
        if inspect.isawaitable(answer):
            answer = await answer
    except Exception:
        logger.exception("approve failed; the step is not approved")
        return False
    return answer is True
