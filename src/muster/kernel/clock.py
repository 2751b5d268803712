"""Time: always aware, always UTC."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """Return ISO 8601 in UTC with microseconds and `Z`, the one notation of the API."""
    # Four times as fast as `strftime`.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
