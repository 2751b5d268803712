"""The builtin tool that tells the time in a time zone."""

from datetime import UTC
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from muster.adapters.tools.base import ToolInputInvalid
from muster.kernel import clock
from muster.kernel.errors import FieldError

_MAX_NAME = 64


def current_time(timezone: str = "UTC") -> dict[str, Any]:
    """The present moment in an IANA time zone, such as `Europe/Berlin`."""
    name = timezone.strip() or "UTC"
    moment = clock.now().astimezone(UTC if name == "UTC" else _zone(name))
    return {
        "now": moment.isoformat(timespec="seconds"),
        "date": moment.date().isoformat(),
        "time": moment.strftime("%H:%M:%S"),
        "weekday": moment.strftime("%A"),
        "timezone": name,
        "unix": int(moment.timestamp()),
    }


def _zone(name: str) -> ZoneInfo:
    known = available_timezones()
    if name in known:
        return ZoneInfo(name)
    by_city = {zone.rpartition("/")[2].casefold(): zone for zone in sorted(known)}
    wanted = name[:_MAX_NAME].replace(" ", "_").casefold()
    close = get_close_matches(wanted, [zone.casefold() for zone in known] + list(by_city), n=3)
    folded = {zone.casefold(): zone for zone in known}
    names = list(dict.fromkeys(folded.get(match) or by_city[match] for match in close))
    hint = f" Did you mean {' or '.join(names)}?" if names else " Use a name like Europe/Berlin."
    raise ToolInputInvalid(
        f"There is no time zone '{name[:_MAX_NAME]}'.{hint}",
        errors=[FieldError("timezone", "is not an IANA time zone")],
    )
