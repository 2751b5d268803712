"""Reads the two lock files: says whether they fit pyproject.toml, and helps to write them."""

import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

RUNTIME = "requirements.lock"
DEVELOPMENT = "requirements-dev.lock"

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"^\s+--hash=sha256:[0-9a-f]{64}( \\)?$")


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock file: the version of each package, and what is wrong with its lines."""

    name: str
    pins: dict[str, Version]
    faults: list[str]


def read_lock(path: Path) -> Lock:
    """Read a lock file; every line is a pin, a SHA-256 hash or a comment, anything else a fault."""
    pins: dict[str, Version] = {}
    hashes: dict[str, int] = {}
    faults: list[str] = []
    current = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := _PIN.match(line):
            current = canonicalize_name(match["name"])
            pins[current] = Version(match["version"])
            hashes[current] = 0
        elif current and _HASH.match(line):
            hashes[current] += 1
        else:
            faults.append(f"{path.name}:{number}: neither a pin nor a hash: {line.strip()}")
    faults += [f"{path.name}: {name} has no hash" for name, count in hashes.items() if not count]
    return Lock(path.name, pins, faults)


def unmet(lock: Lock, wanted: Iterable[str]) -> list[str]:
    """Name the requirements that the pins of a lock do not meet."""
    faults: list[str] = []
    for requirement in map(Requirement, wanted):
        pinned = lock.pins.get(canonicalize_name(requirement.name))
        if pinned is None:
            faults.append(f"{lock.name}: {requirement.name} is required and not pinned")
        elif not requirement.specifier.contains(pinned, prereleases=True):
            faults.append(f"{lock.name}: {requirement.name} is {pinned}, required is {requirement}")
    return faults


def check(root: Path) -> list[str]:
    """Say all that is wrong with the locks of a project; an empty list means they are fresh."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    runtime, development = read_lock(root / RUNTIME), read_lock(root / DEVELOPMENT)
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    return [
        *runtime.faults,
        *development.faults,
        *unmet(runtime, wanted),
        *unmet(development, [*wanted, *project["dependency-groups"]["dev"]]),
        *(
            f"{DEVELOPMENT}: {name} is {development.pins.get(name)}, {RUNTIME} has {version}"
            for name, version in runtime.pins.items()
            if development.pins.get(name) != version
        ),
    ]


def development_requirements(root: Path) -> list[str]:
    """List what development needs: every pin of the runtime lock, and the group itself."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    locked = (root / RUNTIME).read_text(encoding="utf-8").splitlines()
    pinned = [line.removesuffix("\\").strip() for line in locked if _PIN.match(line)]
    return [*pinned, *project["dependency-groups"]["dev"]]


def tidy(root: Path) -> None:
    """Make the comments of a freshly written lock name the project's file, not a scratch file."""
    lock = root / DEVELOPMENT
    text = lock.read_text(encoding="utf-8")
    named = re.sub(r"-r \S*development\.in", "muster (requirements.lock, dev group)", text)
    lock.write_text(named, encoding="utf-8")


def main(arguments: list[str]) -> int:
    root = Path.cwd()
    match arguments:
        case ["check"]:
            faults = check(root)
            for fault in faults:
                print(fault, file=sys.stderr)
            if faults:
                print("The locks do not fit pyproject.toml: run `make lock`.", file=sys.stderr)
            else:
                print(f"{RUNTIME} and {DEVELOPMENT} fit pyproject.toml.")
            return 1 if faults else 0
        case ["development"]:
            print("\n".join(development_requirements(root)))
            return 0
        case ["tidy"]:
            tidy(root)
            return 0
        case _:
            print("usage: python -m tools.locks check|development|tidy", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
