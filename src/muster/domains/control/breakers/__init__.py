"""Circuit breakers: what fails again and again is not called for a while, then probed."""

from muster.domains.control.breakers.check import BreakerCheck
from muster.domains.control.breakers.circuits import Admission, Barred, Circuits
from muster.domains.control.breakers.models import CircuitBreaker
from muster.domains.control.breakers.names import BreakerId, breaker_of

__all__ = [
    "Admission",
    "Barred",
    "BreakerCheck",
    "BreakerId",
    "CircuitBreaker",
    "Circuits",
    "breaker_of",
]
