"""Facts about circuit breakers. Those of the platform are in its chain, others in their project's.

A fact about the platform's is the same type of event: the subclass only says where it belongs.
"""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerOpened(Event):
    type: ClassVar[str] = "circuit_breaker.opened"
    subject: ClassVar[str] = "circuit_breaker"
    circuit_breaker_id: str
    name: str
    reason: str | None
    failures: int
    probe_at: str | None
    by_hand: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerClosed(Event):
    type: ClassVar[str] = "circuit_breaker.closed"
    subject: ClassVar[str] = "circuit_breaker"
    circuit_breaker_id: str
    name: str
    by_hand: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerReset(Event):
    type: ClassVar[str] = "circuit_breaker.reset"
    subject: ClassVar[str] = "circuit_breaker"
    circuit_breaker_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerConfigured(Event):
    type: ClassVar[str] = "circuit_breaker.configured"
    subject: ClassVar[str] = "circuit_breaker"
    circuit_breaker_id: str
    name: str
    failure_threshold: int
    window_s: float
    open_s: float
    half_open_max: int
    success_threshold: int


class PlatformBreakerOpened(CircuitBreakerOpened):
    platform_wide: ClassVar[bool] = True


class PlatformBreakerClosed(CircuitBreakerClosed):
    platform_wide: ClassVar[bool] = True


class PlatformBreakerReset(CircuitBreakerReset):
    platform_wide: ClassVar[bool] = True


class PlatformBreakerConfigured(CircuitBreakerConfigured):
    platform_wide: ClassVar[bool] = True
