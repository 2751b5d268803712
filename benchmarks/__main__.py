"""Command line of the benchmarks.

    python -m benchmarks [NAME ...] [--quick] [--with-peers] [--database sqlite,postgresql]
                         [--json FILE] [--markdown FILE]

Without names all of them are run. A bar that is missed does not make the command fail: a shared
machine is no judge. `--strict` makes it fail, for a machine that is; a benchmark that breaks always
does.
"""

import argparse
import asyncio
import json
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from rich.console import Console

from benchmarks.context import DATABASES, Context
from benchmarks.figures import Report
from benchmarks.machine import Machine
from benchmarks.registry import BENCHMARKS
from benchmarks.rendering import markdown, show

_WIDTH = 120
"""Of the tables where they go to a file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the arguments name; return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    context = Context(
        size=options.size,
        databases=tuple(options.database),
        with_peers=options.with_peers,
        say=lambda text: console.print(f"  {text}", style="dim", highlight=False),
    )
    machine = Machine.now()
    command = shlex.join(["python", "-m", "benchmarks", *given])
    console.print(machine.line, highlight=False)
    if machine.is_busy:
        console.print("The machine is busy: trust ratios, not absolute figures.", style="yellow")
    console.print()
    reports = [_run(name, context, console) for name in options.names or BENCHMARKS]
    if options.json:
        found = [report.as_json() for report in reports]
        document = {"command": command, "machine": machine.as_json(), "benchmarks": found}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(machine, command, reports), encoding="utf-8")
    missed = [figure for report in reports for figure in report.figures if figure.met is False]
    failed = [report for report in reports if not report.figures]
    return 1 if failed or (options.strict and missed) else 0


def _run(name: str, context: Context, console: Console) -> Report:
    console.print(f"Measuring {name} ...", style="bold")
    begun = time.monotonic()
    # The loop that the server runs on.
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        try:
            report = runner.run(_call(name, context))
        except Exception as error:  # noqa: BLE001 - what the others found is not thrown away
            console.print_exception()
            text = f"It failed with {type(error).__name__}, so there are no figures."
            report = Report(name=name, title="failed", how=text)
    report.seconds = time.monotonic() - begun
    show(console, report)
    return report


async def _call(name: str, context: Context) -> Report:
    return await BENCHMARKS[name](context)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the figures that this project promises."
    )
    parser.add_argument(
        "names",
        nargs="*",
        type=_name,
        metavar="NAME",
        help=f"what to measure: {', '.join(BENCHMARKS)}",
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--quick",
        dest="size",
        action="store_const",
        const="quick",
        default="full",
        help="measure less, in a fraction of the time",
    )
    sizes.add_argument(
        "--tiny",
        dest="size",
        action="store_const",
        const="tiny",
        help="measure next to nothing: only shows that everything runs",
    )
    parser.add_argument(
        "--database",
        type=_databases,
        default=list(DATABASES),
        metavar="LIST",
        help="databases, separated by commas (default: %(default)s)",
    )
    parser.add_argument(
        "--with-peers",
        action="store_true",
        help="install the peers into .bench/venv (about 1 GB) where they are missing",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the results as a page of documentation"
    )
    parser.add_argument("--strict", action="store_true", help="fail where a bar is missed")
    return parser


def _name(text: str) -> str:
    if text not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(BENCHMARKS)}")
    return text


def _databases(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in DATABASES:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(DATABASES)}")
    return names


if __name__ == "__main__":
    # As Ctrl-C does: whatever was started is ended, and its files are deleted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
