"""`muster verify`: an audit export, checked offline."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from muster.entrypoints.cli.options import AsJson
from muster.entrypoints.cli.terminal import OUT, Refusal, say, show_json, tell

if TYPE_CHECKING:
    from muster.platform.audit import ExportReport, PublicKey

_LONGEST_KEY_FILE = 2**20
_LONGEST_LINE = 1000


def verify(
    export: Annotated[
        Path,
        typer.Argument(help="File of an export (GET /audit/export).", exists=True, dir_okay=False),
    ],
    public_key: Annotated[
        list[str] | None,
        typer.Option(
            "--public-key",
            "-k",
            help="Key that you trust: a file (lines, PEM, or the answer of GET /audit/keys) or the "
            "key in base64. May be given several times.",
            metavar="KEY",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an audit export; needs no server, no database and no settings.

    Recomputes every event's hash, the chain, the proofs, and the signatures of the checkpoints.
    Exit code 1 when anything is not as it was signed; the first bad place is named.

    Example: muster verify audit-1-500.ndjson --public-key muster.pub
    """
    from muster.platform.audit import verify_export

    trusted = [key for given in public_key or [] for key in _keys(given)]
    with export.open("rb") as lines:
        report = verify_export(lines, trusted)
    if as_json:
        show_json(_as_json(report))
    else:
        _show(report)
    raise typer.Exit(0 if report.valid else 1)


def _keys(given: str) -> list["PublicKey"]:
    from muster.platform.audit import PublicKey

    path = Path(given)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # a key may be longer than a name of a file
        is_file = False
    text = given
    if is_file:
        text = path.read_bytes()[:_LONGEST_KEY_FILE].decode("utf-8", "replace")
    try:
        found = [PublicKey.parse(part) for part in _each_key(text)]
    except ValueError as error:
        what = f"The file {given} holds" if is_file else f"{given!r} is no file and"
        raise Refusal(f"{what} no public key of Muster: {error}.") from None
    if not found:
        raise Refusal(f"The file {given} holds no public key.")
    return found


def _each_key(text: str) -> Iterable[str]:
    text = text.strip()
    if text.startswith("-----"):
        return [text]
    if text.startswith("{"):
        try:
            return [str(key["verifier_key"]) for key in json.loads(text)["keys"]]
        except (KeyError, TypeError) as error:
            raise ValueError("this is not an answer of GET /audit/keys") from error
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _show(report: "ExportReport") -> None:
    rows = [(name, _plain(value)) for name, value in _rows(report)]
    if OUT.is_terminal:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        for name, value in rows:
            table.add_row(Text(name, style="bold"), Text(value))
        OUT.print(table)
    else:
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            say(f"{name:<{width}}  {value}")
    problem = report.problem
    if problem is None:
        say("Valid: every event is as it was recorded and signed.", style="green")
    else:
        place = f"line {problem.line}"
        if problem.seq is not None:
            place = f"event {problem.seq} ({problem.event_id or 'not there'}), {place}"
        text = f"NOT VALID at {place}: {problem.problem}. {problem.reason}"
        say(_plain(text), style="bold red")
    if not report.key_is_trusted:
        tell(
            "The public key was taken from the export itself and is not verified: whoever forged "
            "the whole export has signed it too. Give the key that you know with --public-key.",
            style="yellow",
        )


def _rows(report: "ExportReport") -> list[tuple[str, str]]:
    first, last = report.first_seq, report.last_seq
    events = f"{report.events:,} right"
    if first is not None and last is not None:
        events += f" of {last - first + 1:,}: {first:,} to {last:,}"
    keys = ", ".join(f"{key.name} ({key.id})" for key in report.keys) or "-"
    rows = [
        ("log", report.chain or "-"),
        ("events", events),
        ("checkpoints", f"{report.checkpoints:,} right, the latest over {report.size or 0:,}"),
        ("signed at", report.signed_at or "-"),
        ("signed by", keys),
        ("key", "given" if report.key_is_trusted else "from the export: NOT VERIFIED"),
    ]
    if report.run_journals:
        rows.append(("run journals", f"{report.run_journals:,} heads anchored"))
    return rows


def _plain(text: str) -> str:
    """Return a text that cannot steer a terminal: it comes from a file that nobody vouches for."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= _LONGEST_LINE else shown[: _LONGEST_LINE - 1] + "…"


def _as_json(report: "ExportReport") -> dict[str, object]:
    problem = report.problem
    return {
        "valid": report.valid,
        "chain": report.chain,
        "first_seq": report.first_seq,
        "last_seq": report.last_seq,
        "size": report.size,
        "events": report.events,
        "checkpoints": report.checkpoints,
        "run_journals": report.run_journals,
        "signed_at": report.signed_at,
        "exported_at": report.exported_at,
        "keys": [key.text for key in report.keys],
        "key_is_trusted": report.key_is_trusted,
        "problem": problem
        and {
            "problem": problem.problem,
            "reason": problem.reason,
            "line": problem.line,
            "seq": problem.seq,
            "event_id": problem.event_id,
        },
    }
