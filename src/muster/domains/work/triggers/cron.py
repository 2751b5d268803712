"""Times of cron expressions in a time zone, by the rules of Debian's cron.

A time that the clocks skip in spring comes right after the gap; one that comes twice in autumn
counts once, unless the expression goes by minutes or hours of their own (`*/30 * * * *`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from muster.domains.work.triggers.errors import CronInvalid, TriggerInvalid
from muster.kernel.errors import FieldError

LONGEST = 200
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class CronRule:
    """Five fields (minute, hour, day, month, weekday), or six with the second first.

    Raises:
        CronInvalid: It is no such expression, or no day will ever fit it.
        TriggerInvalid: The time zone is not known.
    """

    def __init__(self, expression: str, timezone: str) -> None:
        if timezone not in _known_zones():
            raise TriggerInvalid(
                f"{timezone[:64]!r} is no time zone; name one as in Europe/Berlin, or UTC.",
                errors=[FieldError("timezone", "Not a time zone of the IANA database")],
            )
        self._zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
        self._expression = _NAMED.get(expression.strip().lower(), expression)
        try:
            found = self.after(datetime.now(UTC))
        except (CronSimError, ValueError) as error:
            reason = str(error) if isinstance(error, CronSimError) else "a number is too large"
            raise _invalid(expression, reason) from None
        if found is None:
            raise _invalid(expression, "no day will ever fit it")

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time after a moment, in UTC."""
        for found in self._times(moment, reverse=False):
            # Local times come twice in autumn: one may lie before the moment.
            if found > moment:
                return found
        return None

    def upcoming(self, moment: datetime, count: int) -> list[datetime]:
        """Return the next times after a moment, in UTC."""
        found: list[datetime] = []
        while len(found) < count and (moment_ := self.after(moment)) is not None:
            found.append(moment_)
            moment = moment_
        return found

    def latest(self, moment: datetime) -> datetime | None:
        """Return the last time that is not after a moment, in UTC."""
        for found in self._times(moment + timedelta(seconds=1), reverse=True):
            if found <= moment:
                return found
        return None

    def _times(self, moment: datetime, *, reverse: bool) -> Iterator[datetime]:
        local = moment.astimezone(self._zone)
        for found in CronSim(self._expression, local, reverse=reverse):
            yield found.astimezone(UTC)


@cache
def _known_zones() -> frozenset[str]:
    """Return the names of all time zones: to find them reads some hundred files."""
    return frozenset(available_timezones())


def _invalid(expression: str, reason: str) -> CronInvalid:
    text = expression.strip()[:LONGEST]
    return CronInvalid(
        f"Invalid cron expression: {text!r}: {reason}. Give minute, hour, day of the month, month "
        "and day of the week, such as `0 9 * * 1-5`.",
        errors=[FieldError("cron_expression", reason)],
    )
