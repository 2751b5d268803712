"""What answers and failures of HTTP mean for something that was to be sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from muster.adapters.channels.errors import ChannelError, SendFailed, SendRefused
from muster.kernel.egress import (
    AddressRefused,
    EgressFailed,
    EgressInvalidRequest,
    EgressInvalidUrl,
    EgressTimeout,
    ResponseTooLarge,
)
from muster.kernel.errors import AppError

EGRESS_ERRORS = (
    AddressRefused,
    EgressFailed,
    EgressInvalidRequest,
    EgressInvalidUrl,
    EgressTimeout,
    ResponseTooLarge,
)

_NEVER = frozenset({400, 401, 402, 403, 405, 406, 410, 411, 413, 414, 415, 422, 431, 451, 501, 505})
_TOO_MANY = 429
_SERVER_FAULT = 500
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Sent:
    """Something was taken by the other side."""

    status_code: int | None = None


def judge(status: int, headers: Mapping[str, str], now: datetime) -> Sent:
    """Return that it was taken, or raise what the answer means.

    Raises:
        SendFailed: The other side was not able, or asks to wait.
        SendRefused: It does not want it, or is not there any more.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - the range that HTTP defines
        return Sent(status)
    if 300 <= status < 400:  # noqa: PLR2004
        raise SendRefused(
            f"The receiver redirects (HTTP {status}); give the address that it leads to.",
            status_code=status,
            answered=True,
        )
    if status in _NEVER:
        raise SendRefused(
            f"The receiver refused with HTTP {status}; it would not take it a second time either.",
            status_code=status,
            answered=True,
        )
    raise SendFailed(
        f"The receiver answered HTTP {status}.",
        status_code=status,
        answered=status < _SERVER_FAULT and status != _TOO_MANY,
        retry_after_s=retry_after(headers.get("retry-after"), now),
    )


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait, a day at most."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else _until(value, now)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_S)


def _until(value: str, now: datetime) -> float:
    moment = parsedate_to_datetime(value)
    return (moment - now).total_seconds()


def explained(error: AppError) -> ChannelError:
    """Return what a failure of the guarded client means."""
    if isinstance(error, AddressRefused | EgressInvalidUrl | EgressInvalidRequest):
        return SendRefused(error.detail)
    if isinstance(error, ResponseTooLarge):
        return SendFailed(error.detail, answered=True)
    return SendFailed(error.detail, answered=False)
