"""The reference of event types, written from the types themselves."""

import inspect
from typing import get_type_hints

import msgspec

from muster.platform.events.notations import documented_names
from muster.platform.events.recording import Event, event_types

_INTRODUCTION = """\
# Events

Every change of state is one event of one of these types. Subscribe to them by name, or with `*`
for any text in a name, such as `run.*`.
"""


def event_reference() -> str:
    """Return, as Markdown, every type of event that the imported slices can record."""
    others = documented_names()
    sections = [_section(event) for event in event_types().values()]
    rows = "\n".join(f"| `{name}` | `{other}` |" for name, other in sorted(others.items()))
    names = (
        "## Other names\n\nLive subscribers may ask for these events under another name as well; "
        f"the message then carries that name.\n\n| event | also as |\n| --- | --- |\n{rows}\n"
    )
    return "\n".join([_INTRODUCTION, *sections, names])


def _section(event: type[Event]) -> str:
    where = "the platform" if event.platform_wide else "its project"
    parts = [f"## `{event.type}`\n", f"About: `{event.subject}`. Recorded in the chain of {where}."]
    if prose := _prose(event):
        parts.append(f"\n{prose}")
    hints = get_type_hints(event)
    rows = [
        f"| `{field.name}` | {_typed(inspect.formatannotation(hints[field.name]))} |"
        for field in msgspec.structs.fields(event)
    ]
    if rows:
        parts.append("\n| data | type |\n| --- | --- |\n" + "\n".join(rows))
    return "\n".join(parts) + "\n"


def _typed(annotation: str) -> str:
    return "`" + annotation.replace("|", "or") + "`"


def _prose(event: type[Event]) -> str:
    return inspect.cleandoc(vars(event).get("__doc__") or "")
