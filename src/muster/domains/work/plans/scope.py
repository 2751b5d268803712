"""What the nodes of a plan know: variables, results, and how their steps are called."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

_PLAIN = re.compile(r"[A-Za-z0-9_. -]{1,40}")
_PLAIN_PLACE = re.compile(r"[A-Za-z0-9_. @#-]*")
_WITHIN = re.compile(r"[+/]")


@dataclass(slots=True)
class Scope:
    """The variables where a node is executed. An item of a map has a scope of its own.

    `place` makes the keys of steps unique: the same node is executed once for each item and each
    time round. Taken up again, a plan comes by the same places in the same order.
    """

    variables: dict[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    results: dict[str, Any] = field(default_factory=dict[str, Any])
    place: str = ""
    last: Any = None
    ended: bool = False
    _visits: Counter[str] = field(default_factory=Counter[str])

    def key(self, name: str) -> str:
        """Return the key of a node's step for this visit of it."""
        self._visits[name] += 1
        suffix = f"{self.place}{self.round(name)}"
        plain = f"n.{name}{suffix}"
        plainly = _PLAIN.fullmatch(name) and _PLAIN_PLACE.fullmatch(suffix)
        if plainly and len(plain) <= 48:  # noqa: PLR2004 - 64, less what attempts add
            return plain
        shown = re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:20]
        return f"n.{shown}.{sha256(f'{name}{suffix}'.encode()).hexdigest()[:20]}"

    def round(self, name: str) -> str:
        """Return how a step of a node is told from those of earlier visits; the first needs not."""
        number = self._visits[name]
        return f"#{number}" if number > 1 else ""

    def below(self, place: str, **variables: Any) -> "Scope":
        """Return a scope of its own for a part of the plan."""
        return Scope(
            variables={**self.variables, **variables},
            inputs=self.inputs,
            results=dict(self.results),
            place=f"{self.place}{place}",
        )

    def take(self, name: str, output: str | None, value: Any) -> None:
        """Keep the result of a node."""
        self.results[name] = value
        self.last = value
        if output:
            self.variables[output] = value

    def names(self, templates: Mapping[str, str]) -> dict[str, Any]:
        """Return what expressions may name."""
        # Documents of workflows may name these two; a run has no history.
        given: dict[str, Any] = {"input": self.inputs, "history": []}
        return {
            **given,
            **self.variables,
            "context": {**given, **self.variables},
            "nodes": self.results,
            "templates": templates,
            "last": self.last,
        }


def key_of_node(key: str) -> str:
    """Return the key of a node's own step, of that of an attempt or of a run that it takes."""
    return _WITHIN.split(key, maxsplit=1)[0]


def node_key(name: str) -> str:
    """Return the key of the step of a node's first visit; what else it leaves begins with it."""
    return Scope({}).key(name)
