"""The one HTTP client for addresses that a user can name."""

from muster.kernel.egress.client import DEFAULT_MAX_BYTES, MAX_REDIRECTS, Egress
from muster.kernel.egress.connect import Resolver
from muster.kernel.egress.errors import (
    AddressRefused,
    EgressFailed,
    EgressInvalidRequest,
    EgressInvalidUrl,
    EgressTimeout,
    ResponseTooLarge,
)
from muster.kernel.egress.failures import explain
from muster.kernel.egress.policy import EgressPolicy
from muster.kernel.egress.responses import EgressResponse, EgressStream

__all__ = [
    "DEFAULT_MAX_BYTES",
    "MAX_REDIRECTS",
    "AddressRefused",
    "Egress",
    "EgressFailed",
    "EgressInvalidRequest",
    "EgressInvalidUrl",
    "EgressPolicy",
    "EgressResponse",
    "EgressStream",
    "EgressTimeout",
    "Resolver",
    "ResponseTooLarge",
    "explain",
]
