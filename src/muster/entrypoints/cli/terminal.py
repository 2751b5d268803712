"""What commands print, and where: answers on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)


class Refusal(Exception):
    """A command cannot do what it was asked; the text says what to do instead.

    Args:
        message: What happened.
        code: Exit code of the command.
    """

    def __init__(self, message: str, *, code: int = 1) -> None:
        super().__init__(message)
        self.message, self.code = message, code


def say(text: str = "", *, style: str | None = None) -> None:
    """Print a line of an answer as it is, however wide the terminal is."""
    OUT.print(Text(text, style=style or ""), soft_wrap=True)


def tell(text: str, *, style: str | None = None) -> None:
    """Print a remark beside the answer."""
    ERR.print(Text(text, style=style or ""), soft_wrap=True)


def show_json(value: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print a table; without a terminal as aligned columns that are never cut."""
    if not rows:
        tell(empty)
        return
    if OUT.is_terminal:
        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        OUT.print(table)
        return
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
    for row in (columns, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_box(title: str, lines: Sequence[str], *, console: Console) -> None:
    """Print lines that nobody may overlook."""
    if console.is_terminal:
        text = Text("\n".join(lines))
        console.print(
            Panel(text, title=title, border_style="bold yellow", expand=False, padding=(1, 3))
        )
        return
    width = max(len(line) for line in (title, *lines))
    rule = "+" + "-" * (width + 4) + "+"
    shown = [rule, *(f"|  {line.ljust(width)}  |" for line in (title, "", *lines)), rule]
    console.print(Text("\n".join(shown)), soft_wrap=True)


def short_id(id: str) -> str:
    """Return the end of an id, by which commands find it: the beginnings of new ids are alike."""
    return id.rpartition("-")[2]


def shown_id(id: str) -> str:
    """Return an id as lists show it: short for eyes, whole for programs."""
    return short_id(id) if OUT.is_terminal else id


def ago(moment: datetime | None) -> str:
    """Return a moment in local time."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else "-"


def seconds(milliseconds: float | None) -> str:
    """Return a duration for people."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1000:  # noqa: PLR2004
        return f"{milliseconds:.0f} ms"
    if milliseconds < 60_000:  # noqa: PLR2004
        return f"{milliseconds / 1000:.1f} s"
    minutes, rest = divmod(round(milliseconds / 1000), 60)
    return f"{minutes} min {rest} s"


def dollars(cost: float | None) -> str:
    """Return a cost for people; None is a call whose price nobody knows."""
    if cost is None:
        return "unknown"
    if not cost:
        return "$0"
    return f"${cost:.4f}" if cost < 1 else f"${cost:,.2f}"
