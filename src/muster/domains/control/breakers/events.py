"""Facts about circuit breakers. Those of the platform are in its chain, others in their project's.

A fact about the platform's is the same type of event: the subclass only says where it belongs.
"""

from typing import ClassVar

from muster.platform.events import Event


class CircuitBreakerOpened(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "circuit_breaker.opened"
    subject: ClassVar[str] = "circuit_breaker"
    circuit_breaker_id: str
    name: str
    reason: str | None
    failures: int
    probe_at: str | None
    by_hand: bool


class CircuitBreakerClosed(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "circuit_breaker.closed"
    subject: ClassVar[str] = "circuit_breaker"
    circuit_breaker_id: str
    name: str
    by_hand: bool


class CircuitBreakerReset(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "circuit_breaker.reset"
    subject: ClassVar[str] = "circuit_breaker"
    circuit_breaker_id: str
    name: str


class CircuitBreakerConfigured(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "circuit_breaker.configured"
    subject: ClassVar[str] = "circuit_breaker"
    circuit_breaker_id: str
    name: str
    failure_threshold: int
    window_s: float
    open_s: float
    half_open_max: int
    success_threshold: int


class PlatformBreakerOpened(CircuitBreakerOpened, frozen=True, kw_only=True):
    platform_wide: ClassVar[bool] = True


class PlatformBreakerClosed(CircuitBreakerClosed, frozen=True, kw_only=True):
    platform_wide: ClassVar[bool] = True


class PlatformBreakerReset(CircuitBreakerReset, frozen=True, kw_only=True):
    platform_wide: ClassVar[bool] = True


class PlatformBreakerConfigured(CircuitBreakerConfigured, frozen=True, kw_only=True):
    platform_wide: ClassVar[bool] = True
