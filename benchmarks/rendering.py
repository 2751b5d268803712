"""Showing reports: tables on a terminal, and a page of documentation."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Report
from benchmarks.machine import Machine

_STYLE = {True: "green", False: "bold red", None: "dim"}

_INTRODUCTION = """# Benchmarks

The figures that Muster promises, and what was measured. This page is written by the benchmarks:

    {command}

Each benchmark is also run alone (`make bench BENCH_OPTIONS=NAME`); `--quick` takes a fraction of
the time and says roughly the same. Where a figure is compared with something else, both were
measured in the same run, so ratios can be trusted further than absolute times. SQLite runs with
WAL and `synchronous=FULL`, PostgreSQL with `fsync` and `synchronous_commit` on: what counts as
written survives a power cut in every figure.
"""
_SHARED = (
    "Others computed on this machine at the same time (the load average tells how much), which "
    "makes absolute times worse than they are on a machine of one's own."
)


def show(console: Console, report: Report) -> None:
    """Print one report."""
    table = Table(title=f"{report.name}: {report.title}", title_justify="left", expand=False)
    table.add_column("figure", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("bar", justify="right", no_wrap=True)
    table.add_column("verdict")
    for figure in report.figures:
        style = _STYLE[figure.met]
        table.add_row(
            figure.name,
            figure.shown,
            figure.shown_bar,
            f"[{style}]{figure.verdict}[/{style}]" if figure.verdict else "",
        )
    console.print(table)
    console.print(report.how, style="dim", highlight=False)
    for note in report.notes:
        console.print(f"  note: {note}", style="yellow", highlight=False)
    console.print()


def markdown(machine: Machine, command: str, reports: Sequence[Report]) -> str:
    """Return the page of documentation."""
    parts = [_INTRODUCTION.format(command=command)]
    parts.append(f"Measured at {machine.at} with Muster {machine.muster} on {machine.line}.")
    if machine.is_busy:
        parts[-1] += f" {_SHARED}"
    parts.append("")
    for report in reports:
        parts += _section(report)
    return "\n".join(parts).rstrip() + "\n"


def _section(report: Report) -> list[str]:
    lines = [f"## {report.title} (`{report.name}`)", "", report.how, ""]
    lines += ["| figure | measured | bar | verdict |", "|---|---:|---:|---|"]
    for figure in report.figures:
        cells = (figure.name, figure.shown, figure.shown_bar, figure.verdict)
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for note in report.notes:
        lines += [f"- {note}"]
    if report.notes:
        lines.append("")
    return lines
