"""Breaks the policy rules in every small way and asks whether a test notices: `make mutation`.

Each mutant is tested in a process of its own, forked from one in which everything is loaded.
Nothing is written into the sources. What is mutated, by which tests, and which mutants behave as
the original does, is in `tools/mutation.toml`.
"""

import argparse
import gc
import importlib
import os
import signal
import sys
import time
import tomllib
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

from hypothesis import settings

from tools.mutants import Mutant, mutants_of
from tools.plain_tests import load

CONFIGURATION = Path(__file__).with_suffix(".toml")
AIM = 95.0
COLUMNS = {
    "module": 28, "killed": 9, "timeout": 9, "survived": 10, "equivalent": 12, "stillborn": 11,
    "score": 9,
}  # fmt: skip
SURVIVED, KILLED, STILLBORN, UNUSED = range(4)
"""How a process ends that tested a mutant; a stillborn one cannot even be imported."""


@dataclass(slots=True)
class Tally:
    """What became of the mutants of one module."""

    killed: int = 0
    timeouts: int = 0
    stillborn: int = 0
    equivalent: int = 0
    survivors: list[Mutant] = field(default_factory=list[Mutant])

    @property
    def score(self) -> float:
        tested = self.killed + self.timeouts + len(self.survivors)
        return 100 * (tested - len(self.survivors)) / tested if tested else 100.0

    def add(self, other: "Tally") -> None:
        self.killed += other.killed
        self.timeouts += other.timeouts
        self.stillborn += other.stillborn
        self.equivalent += other.equivalent
        self.survivors += other.survivors


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="modules or folders (default: all)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    given = parser.parse_args(arguments)
    configuration = tomllib.loads(CONFIGURATION.read_text())
    modules = list(_modules(given.paths or map(Path, configuration["modules"])))
    mutants = [mutant for module in modules for mutant in mutants_of(module)]
    equivalents: dict[str, dict[str, str]] = configuration["equivalent"]
    if given.list:
        for mutant in mutants:
            print(f"{mutant.path}:{mutant.line}: {mutant.name}")
        return 0
    if unknown := list(_unknown(mutants, equivalents)):
        print("No such mutants any more:", *unknown, sep="\n  ")
        return 2
    tests = [
        str(path) for pattern in configuration["tests"] for path in sorted(Path().glob(pattern))
    ]
    started = time.monotonic()
    for test in tests:
        load(test)
    settings.register_profile("mutation", derandomize=True, database=None)
    settings.load_profile("mutation")
    gc.freeze()
    run = Run(tests, configuration["reload"], {module: Tally() for module in modules})
    if not run.passes():
        print("The tests fail without any mutant.")
        return 2
    run.test(mutants, equivalents, given.processes)
    return report(run.tallies, time.monotonic() - started)


def _modules(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _unknown(mutants: Sequence[Mutant], equivalents: dict[str, dict[str, str]]) -> Iterator[str]:
    names: dict[str, set[str]] = defaultdict(set)
    for mutant in mutants:
        names[str(mutant.path)].add(mutant.name)
    for path, listed in equivalents.items():
        yield from (
            f"{path}: {name}" for name in listed if path in names and name not in names[path]
        )


@dataclass(slots=True)
class Run:
    """Tests mutants, a few at a time."""

    tests: Sequence[str]
    reloaded: Sequence[str]
    tallies: dict[Path, Tally]
    limit: float = 600.0

    def passes(self) -> bool:
        """Run the tests against what is there, and take the time that they need."""
        _, status = os.waitpid(self._start(None), 0)
        self.limit = 5 + 5 * os.times().children_user
        return os.waitstatus_to_exitcode(status) == SURVIVED

    def test(
        self, mutants: Sequence[Mutant], equivalents: dict[str, dict[str, str]], processes: int
    ) -> None:
        running: dict[int, Mutant] = {}
        for mutant in mutants:
            if mutant.name in equivalents.get(str(mutant.path), {}):
                self.tallies[mutant.path].equivalent += 1
                continue
            if len(running) >= processes:
                self._reap(running)
            running[self._start(mutant)] = mutant
        while running:
            self._reap(running)

    def _start(self, mutant: Mutant | None) -> int:
        child = os.fork()
        if child:
            return child
        code = STILLBORN
        with suppress(BaseException):
            code = self._judge(mutant)
        os._exit(code)

    def _judge(self, mutant: Mutant | None) -> int:
        """Run the tests against a mutant, for so long as it may compute."""
        signal.setitimer(signal.ITIMER_PROF, self.limit)
        tests = list(self.tests)
        used = [""]
        if mutant is not None:
            used = _import_instead(str(mutant.path.resolve()), mutant.compile())
            tests.sort(key=lambda test: mutant.path.stem not in test)
        for name in list(sys.modules):
            if name.startswith(tuple(self.reloaded)):
                del sys.modules[name]
        warnings.simplefilter("error")
        importlib.import_module(self.reloaded[0])
        if not used:
            return UNUSED
        try:
            for test in tests:
                for case in load(test):
                    case()
        except BaseException:  # noqa: BLE001 - what pytest raises is no Exception
            return KILLED
        return SURVIVED

    def _reap(self, running: dict[int, Mutant]) -> None:
        child, status = os.wait()
        mutant = running.pop(child)
        tally = self.tallies[mutant.path]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF:
            tally.timeouts += 1
        elif os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == KILLED:
            tally.killed += 1
        elif os.WEXITSTATUS(status) == STILLBORN:
            tally.stillborn += 1
        elif os.WEXITSTATUS(status) == UNUSED:
            sys.exit(f"{mutant.path} is not what is imported: is the package installed from here?")
        else:
            tally.survivors.append(mutant)
            print(f"survived: {mutant.path}:{mutant.line}: {mutant.name}", flush=True)


def _import_instead(path: str, code: CodeType) -> list[str]:
    """Give the code to whoever imports the file; the list says who did."""
    whole = SourceFileLoader.get_code
    used: list[str] = []

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        if self.path != path:
            return whole(self, fullname)
        used.append(fullname)
        return code

    SourceFileLoader.get_code = get_code
    return used


def report(tallies: dict[Path, Tally], seconds: float) -> int:
    """Print what was found; 1 when too many mutants survived."""
    total = Tally()
    print()
    print("".join(f"{title:>{width}}" for title, width in COLUMNS.items()))
    for path, tally in tallies.items():
        _line(f"{path.parent.name}/{path.name}", tally)
        total.add(tally)
    _line("all", total)
    print(f"{seconds:.0f} seconds")
    return 0 if total.score >= AIM else 1


def _line(name: str, tally: Tally) -> None:
    counts = (tally.killed, tally.timeouts, len(tally.survivors), tally.equivalent, tally.stillborn)
    cells = [name, *map(str, counts), f"{tally.score:.1f}%"]
    print("".join(f"{cell:>{width}}" for cell, width in zip(cells, COLUMNS.values(), strict=True)))


if __name__ == "__main__":
    sys.exit(main())
