"""Draw the picture of a run for the README: `python -m tools.picture`.

Runs the example agent in a folder of its own and keeps what the terminal showed as SVG.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
AGENT = "examples/agents/document-analyst.yaml"
COLUMNS = 132
_PASSING = re.compile(r"^(\d+ model calls?, .*|pending …|running …|[^\w\s│├└•].* \d[\d.]* m?s)$")
"""Lines of the live view that give way to others: the totals, the state, what is under way."""
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> int:
    """Write docs/images/run.svg."""
    with tempfile.TemporaryDirectory() as folder:
        shown = subprocess.run(  # noqa: S603 - our own command
            [
                str(Path(sys.executable).with_name("muster")),
                *("--data-dir", folder, "run", AGENT),
                *(f"--file={path}" for path in sorted((ROOT / "examples/documents").iterdir())),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "FORCE_COLOR": "1",
                "PYTHONUNBUFFERED": "1",
                "COLUMNS": str(COLUMNS),
                "MUSTER_ADMIN_PASSWORD": "a password for one picture",
                "MUSTER_LOG_LEVEL": "ERROR",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
            timeout=120,
        ).stdout
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text(f"$ muster run {AGENT}", style="bold"))
        for line in shown.splitlines():
            text = Text.from_ansi(line)
            if not _PASSING.match(text.plain.strip()):
                console.print(text, overflow="ellipsis", no_wrap=True)
        target = ROOT / "docs/images/run.svg"
        # Without its web fonts: a picture must not ask other hosts for anything.
        picture = console.export_svg(title="muster", theme=MONOKAI)
        target.write_text(_FONTS.sub("", picture))
    return 0


if __name__ == "__main__":
    sys.exit(main())
