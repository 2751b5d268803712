"""When a call to a provider is made again, and how long that may take in all."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from muster.adapters.models.base import ModelFailed, ModelTimeout

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

_log = structlog.get_logger(__name__)

DEFAULT_BUDGET_SECONDS = 25.0
_LONGEST_BUDGET_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patiently a call is repeated. Waits are in seconds and double each time, plus jitter."""

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 8.0
    jitter: float = 0.5


class Transient(Exception):
    """A failure after which the same call may succeed. Carries what is said if it does not."""

    def __init__(
        self,
        failure: ModelFailed | ModelTimeout,
        *,
        reason: str,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.failure = failure
        self.reason = reason
        self.retry_after = retry_after


def budget_of(settings: dict[str, Any]) -> float:
    """Return how many seconds a call may take, retries included."""
    given = settings.get("timeout")
    if isinstance(given, bool) or not isinstance(given, int | float) or given <= 0:
        return DEFAULT_BUDGET_SECONDS
    return min(float(given), _LONGEST_BUDGET_SECONDS)


async def patiently(
    attempt: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    budget: float,
    late: Callable[[], ModelTimeout],
    **names: str,
) -> T:
    """Make attempts until one succeeds, fails for good, or the time is used up.

    It ends before a wait that would not fit into the budget.

    Args:
        attempt: Raises `Transient` where another one may succeed.
        policy: How often and after which waits.
        budget: Seconds for everything together.
        late: Makes what is raised when the first attempt takes that long. Later ones are cut short
            in favour of the failure that is already known.
        names: Go into the log.
    """
    # Imported here: a process that calls no model starts sooner.
    from tenacity import (
        AsyncRetrying,
        retry_if_exception_type,
        stop_after_attempt,
        stop_any,
        stop_before_delay,
        wait_exponential_jitter,
    )

    known: ModelFailed | ModelTimeout | None = None
    backoff = wait_exponential_jitter(
        initial=policy.first_wait, max=policy.longest_wait, jitter=policy.jitter
    )

    def wait(state: "RetryCallState") -> float:
        asked = _transient(state).retry_after
        return backoff(state) if asked is None else max(asked, 0.0)

    def note(state: "RetryCallState") -> None:
        nonlocal known
        known = _transient(state).failure
        _log.warning(
            "model_call_repeated",
            attempt=state.attempt_number,
            wait_seconds=round(state.upcoming_sleep, 2),
            reason=_transient(state).reason,
            **names,
        )

    attempts = AsyncRetrying(
        retry=retry_if_exception_type(Transient),
        wait=wait,
        stop=stop_any(stop_after_attempt(policy.attempts), stop_before_delay(budget)),
        before_sleep=note,
        reraise=True,
    )
    try:
        async with asyncio.timeout(budget):
            async for turn in attempts:
                with turn:
                    return await attempt()
    except TimeoutError as error:
        raise (known or late()) from error
    except Transient as error:
        raise error.failure from error.__cause__
    raise known or late()  # pragma: no cover - the loop ends by returning or raising


def _transient(state: "RetryCallState") -> Transient:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, Transient):  # pragma: no cover - tenacity only asks after a retry
        raise TypeError(f"not a transient failure: {error!r}")
    return error
