"""`muster doctor`, `muster openapi` and `muster version`: the product itself."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from muster.entrypoints.cli.options import AsJson
from muster.entrypoints.cli.terminal import say, show_json


def doctor(as_json: AsJson = False) -> None:
    """Look for what would keep Muster from working, and say what to do about it.

    Exit code 1 when something fails; warnings leave it at 0.

    Example: muster doctor
    """
    from muster.entrypoints.cli.checking import examine, show_findings

    findings = asyncio.run(examine())
    show_findings(findings, as_json=as_json)
    raise typer.Exit(int(any(finding.state == "fail" for finding in findings)))


def openapi(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file.", dir_okay=False)
    ] = None,
) -> None:
    """Print the OpenAPI document; nothing is started and no data is touched.

    Example: muster openapi --output openapi.json
    """
    import json

    from muster.entrypoints.assembly import bare_app

    document = bare_app().openapi()
    if output is None:
        show_json(document)
        return
    output.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"{len(document['paths'])} paths written to {output}.")


def version() -> None:
    """Print the version.

    Example: muster version
    """
    from muster import __version__

    say(__version__)
