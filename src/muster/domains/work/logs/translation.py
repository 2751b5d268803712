"""From a step as an agent sends it to a step of the journal; nothing that was sent is lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, cast

from muster.domains.control.policies import NormalStep, VocabularyError, normalise
from muster.domains.work.journal import NewStep, StepKind, StepStatus
from muster.domains.work.logs.usage import spent
from muster.kernel import clock
from muster.kernel.errors import FieldError, Invalid

_STATUSES = {"ok": StepStatus.OK, "blocked": StepStatus.BLOCKED, "failed": StepStatus.ERROR}
_LONGEST_MS = 10 * 365 * 86_400_000
_MOST_MESSAGE = 2000
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
# Shown in columns of their own; everything else that was sent lies under `properties.sent`.
_KEPT_ELSEWHERE = frozenset({"agent_id", "task_id", "properties"})
_SENT = "sent"


@dataclass(frozen=True, slots=True)
class LoggedStep:
    """A step as policies judge it, and as the journal keeps it."""

    normal: NormalStep
    new: NewStep


def read_step(raw: Any, agent_id: str, place: str = "") -> LoggedStep:
    """Read a step in any of the vocabularies; raises `Invalid` with the field at fault.

    Args:
        raw: The step as it was sent.
        agent_id: Whose step it is.
        place: Where the step lies in the body, such as `steps.3.`.
    """
    if not isinstance(raw, dict):
        raise refused(place.rstrip(".") or "body", "must be an object")
    sent = cast("dict[str, Any]", raw)
    try:
        normal = normalise(sent)
    except VocabularyError as error:
        raise refused(f"{place}{error.field}", error.message) from error
    started_at, ended_at = _times(normal, sent, place)
    status = StepStatus.ERROR if normal.kind == "task.error" else _STATUSES[normal.outcome]
    usage = spent(normal, ended_at)
    new = NewStep(
        key="",
        kind=StepKind(normal.kind),
        verb=normal.verb,
        name=normal.name or _name_of(normal),
        started_at=started_at,
        ended_at=ended_at,
        status=status,
        agent_id=agent_id,
        input=normal.input,
        output=normal.output,
        properties=_properties(sent),
        error=_error(sent, normal) if status is StepStatus.ERROR else None,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost=usage.cost,
    )
    return LoggedStep(normal, new)


def refused(field: str, message: str) -> Invalid:
    """Return the error for one field."""
    return Invalid(f"{field}: {message}", errors=[FieldError(field, message)])


def _name_of(normal: NormalStep) -> str:
    model = normal.properties.get("model")
    return model if isinstance(model, str) and model else normal.kind


def _properties(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties as sent, and beside them all that has no place of its own."""
    elsewhere = {*_KEPT_ELSEWHERE, _used(sent, "input"), _used(sent, "output")}
    rest = {name: value for name, value in sent.items() if name not in elsewhere}
    properties: dict[str, Any] = sent.get("properties") or {}
    if _SENT in properties:
        rest = {**rest, "properties": {_SENT: properties[_SENT]}}
    return {**properties, _SENT: rest}


def _used(sent: Mapping[str, Any], name: str) -> str:
    return name if sent.get(name) is not None else f"{name}_data"


def _error(sent: Mapping[str, Any], normal: NormalStep) -> dict[str, Any]:
    output: Any = normal.output
    for told in (sent.get("error"), _inside(output, "error"), _inside(normal.properties, "error")):
        if isinstance(told, dict) and told:
            return {"message": normal.status or normal.kind, **cast("dict[str, Any]", told)}
        if isinstance(told, str) and told:
            return {"message": told[:_MOST_MESSAGE]}
    if isinstance(output, str) and output:
        return {"message": output[:_MOST_MESSAGE]}
    return {"message": normal.status or "failed"}


def _inside(value: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else None


def _times(normal: NormalStep, sent: Mapping[str, Any], place: str) -> tuple[datetime, datetime]:
    """Return when the step began and ended: `timestamp` is its end, `duration_ms` how long."""
    ended_at = _moment(normal.timestamp, f"{place}timestamp") if normal.timestamp else clock.now()
    duration = sent.get("duration_ms")
    if duration is None:
        return ended_at, ended_at
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        raise refused(f"{place}duration_ms", "must be a number of milliseconds")
    if not (0 <= duration <= _LONGEST_MS and isfinite(duration)):
        raise refused(f"{place}duration_ms", f"must be between 0 and {_LONGEST_MS}")
    return ended_at - timedelta(milliseconds=duration), ended_at


def _moment(text: str, field: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
        moment = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = "must be a moment in ISO 8601, such as 2026-05-04T12:00:00Z"
        raise refused(field, message) from error
    if not _EARLIEST <= moment < _LATEST:
        raise refused(field, "must lie between the years 1970 and 9998")
    return moment
