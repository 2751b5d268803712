"""What can go wrong with circuit breakers."""

from muster.kernel.errors import Invalid


class CircuitBreakerNameInvalid(Invalid):
    code, title = "circuit_breaker_name_invalid", "This is no name of a circuit breaker"
