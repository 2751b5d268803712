"""Draws the example crews and workflows for the guides: `python -m tools.pictures`.

With --check it only looks. A picture is drawn by what draws them in the product.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from muster.domains.work.crews import read_definitions
from muster.domains.work.workflows import draw, draw_crew

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
FOLDER = ROOT / "docs" / "images"


def pictures() -> dict[str, str]:
    """Return the pictures by the names of their files."""
    return {
        f"{kind}-{path.stem}.svg": made(yaml.safe_load(path.read_text(encoding="utf-8"))) + "\n"
        for kind, made in (("crew", _crew), ("workflow", _workflow))
        for path in sorted((EXAMPLES / f"{kind}s").glob("*.yaml"))
    }


def _crew(given: Mapping[str, Any]) -> str:
    crew = read_definitions(
        given["agents"],
        given["tasks"],
        name=given["name"],
        process=given.get("process", "sequential"),
        manager_llm=given.get("manager_llm"),
    )
    return draw_crew(crew, theme="light")


def _workflow(given: Mapping[str, Any]) -> str:
    return draw(given, theme="light")


def stale() -> list[str]:
    """Return the files that do not show what the examples are now."""
    return [name for name, picture in pictures().items() if _read(FOLDER / name) != picture]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main(arguments: list[str]) -> int:
    """Write the pictures, or say which are stale."""
    if arguments != ["--check"]:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures().items():
            (FOLDER / name).write_text(picture, encoding="utf-8")
        return 0
    old = stale()
    for name in old:
        print(f"docs/images/{name} is stale: run `python -m tools.pictures`.")
    return int(bool(old))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
