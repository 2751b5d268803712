"""The error hierarchy: an error knows its problem type, never its transport."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with one field of the request."""

    field: str
    message: str


class AppError(Exception):
    """An expected failure. `code` is public API: clients switch on it.

    Args:
        detail: What happened and what to do about it, fit for the caller's eyes.
        errors: The fields at fault.
        details: Machine-readable facts beside the text.
        headers: Response headers, such as `Retry-After`.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = list(errors)
        self.details = dict(details or {})
        self.headers = dict(headers or {})


class BadRequest(AppError):
    status, code, title = 400, "bad_request", "The request cannot be read"


class Unauthorized(AppError):
    status, code, title = 401, "unauthorized", "Authentication is required"


class Forbidden(AppError):
    status, code, title = 403, "forbidden", "Missing permission"


class NotFound(AppError):
    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(AppError):
    status, code, title = 405, "method_not_allowed", "This path does not take the method"


class Conflict(AppError):
    status, code, title = 409, "conflict", "The request conflicts with the present state"


class Gone(AppError):
    status, code, title = 410, "gone", "No longer there"


class PayloadTooLarge(AppError):
    status, code, title = 413, "payload_too_large", "The request body is too large"


class Invalid(AppError):
    status, code, title = 422, "validation_error", "The request is not valid"


class TooManyRequests(AppError):
    status, code, title = 429, "too_many_requests", "Too many requests"


class UpstreamFailed(AppError):
    status, code, title = 502, "upstream_failed", "A service that was asked failed"


class Unavailable(AppError):
    status, code, title = 503, "unavailable", "Not available now"


class UpstreamTimeout(AppError):
    status, code, title = 504, "upstream_timeout", "A service that was asked did not answer in time"
