"""What can go wrong with a request to an address that a user named."""

from muster.kernel.errors import Forbidden, Invalid, UpstreamFailed, UpstreamTimeout


class AddressRefused(Forbidden):
    code, title = "address_refused", "Muster does not reach this address"


class EgressInvalidUrl(Invalid):
    code, title = "invalid_url", "Not an address that Muster can ask"


class EgressInvalidRequest(Invalid):
    code, title = "invalid_outbound_request", "The request cannot be put into HTTP"


class EgressFailed(UpstreamFailed):
    code, title = "egress_failed", "The address did not answer properly"


class EgressTimeout(UpstreamTimeout):
    code, title = "egress_timeout", "The address did not answer in time"


class ResponseTooLarge(UpstreamFailed):
    code, title = "response_too_large", "The answer is too large"
