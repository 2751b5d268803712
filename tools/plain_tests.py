"""Runs tests that need no fixtures by calling them: many times faster than pytest starts."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest


def load(path: str) -> list[Callable[[], object]]:
    """Import a file of tests and return them, one for each set of parameters."""
    module = importlib.import_module(".".join(Path(path).with_suffix("").parts))
    return [
        case
        for name, found in vars(module).items()
        if name.startswith("test_") and callable(found)
        for case in _cases(found)
    ]


def _cases(test: Callable[..., object]) -> Iterator[Callable[[], object]]:
    marks: list[pytest.Mark] = getattr(test, "pytestmark", [])
    if unknown := {mark.name for mark in marks} - {"parametrize"}:
        raise TypeError(f"{test.__name__} is marked {unknown}: it is not run here")
    for chosen in product(*(list(_parameters(mark)) for mark in marks)):
        arguments: dict[str, Any] = {}
        for some in chosen:
            arguments |= some
        yield partial(test, **arguments)


def _parameters(mark: pytest.Mark) -> Iterator[Mapping[str, Any]]:
    names, rows = mark.args[0], mark.args[1]
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    for row in rows:
        values = getattr(row, "values", None) if type(row).__name__ == "ParameterSet" else None
        if values is None:
            values = row if len(names) > 1 else (row,)
        yield dict(zip(names, values, strict=True))
