"""How long to wait after a failed attempt."""

from typing import Any

from muster.kernel.settings import DeliveriesSettings

_TRIPLE = 3


def wait_s(settings: DeliveriesSettings, failures: int, retry_after_s: float | None) -> float:
    """Return the seconds until the next attempt.

    Args:
        settings: The first and the longest wait.
        failures: In a row, this one included.
        retry_after_s: What the receiver asked for, which is kept to where it is longer.
    """
    from tenacity import RetryCallState, wait_exponential, wait_random

    first = settings.first_wait_s
    waits = wait_exponential(
        multiplier=first, exp_base=_TRIPLE, max=settings.longest_wait_s
    ) + wait_random(0, first)  # so that what failed together does not come back together
    nothing: Any = None
    state = RetryCallState(nothing, None, (), {})
    state.attempt_number = failures
    return max(waits(state), retry_after_s or 0.0)
