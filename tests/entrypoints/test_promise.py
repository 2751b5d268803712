"""The example that shows what the product promises: kill, approval, refusals, verification."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROMISED = [
    "the run is waiting_for_approval",
    "says yes to {'expression': '840*12.5/100'}",
    "= **105**",
    "5 steps, chain valid: True",
    "calculator blocked",
    "incident: No calculating, critical, open, seen 1 time(s)",
    'The budget "Pocket money" does not allow the call',
    "What the clerks did: pdf, ",
    "Valid: every event is as it was recorded and signed.",
    "valid: False, first bad event:",
    "NOT VALID at event",
    "That was all",
]


def test_everything_comes_true(tmp_path: Path) -> None:
    programs = {"PYTHON": sys.executable, "MUSTER": str(Path(sys.executable).with_name("muster"))}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    ended = subprocess.run(
        ["sh", str(ROOT / "examples" / "promise.sh")],
        env={**kept, **programs, "TMPDIR": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    at = 0
    for text in PROMISED:
        at = ended.stdout.index(text, at)
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"
