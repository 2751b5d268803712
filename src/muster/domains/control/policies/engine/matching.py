"""Which steps a rule means: kinds, verbs, names, properties, outcomes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.domains.control.policies.engine.fields import inside, same
from muster.domains.control.policies.engine.vocabulary import WRITE, WRITE_VERBS, NormalStep

Test = Callable[[NormalStep], bool]


@dataclass(frozen=True, slots=True)
class Matcher:
    """A set of steps. Equal matchers share what the memory keeps for them.

    `properties` and `output` hold filters as JSON text, since their values may be unhashable.
    """

    kinds: frozenset[str] | None = None
    verbs: frozenset[str] | None = None
    name: str | None = None
    properties: str = "{}"
    output: str = "{}"
    effective_only: bool = False

    @classmethod
    def of(
        cls,
        kind: str,
        *,
        properties: Mapping[str, Any],
        output: Mapping[str, Any] | None = None,
        effective_only: bool = False,
    ) -> "Matcher":
        """Build a matcher of one kind from filters that are still objects."""
        return cls(
            kinds=frozenset({kind}),
            properties=filter_text(properties),
            output=filter_text(output),
            effective_only=effective_only,
        )

    def compile(self, *, of_kind: bool = False) -> Test:
        """Return the test of a step; `of_kind` when only steps of its kinds are tested."""
        tests: list[Test] = []
        kinds, verbs, name = self.kinds, self.verbs, self.name
        if kinds is not None and not of_kind:
            tests.append(lambda step: step.kind in kinds)
        if verbs is not None:
            tests.append(lambda step: step.verb in verbs)
        if name is not None:
            tests.append(lambda step: step.name == name)
        if self.effective_only:
            tests.append(lambda step: step.outcome == "ok")
        properties = tuple(json.loads(self.properties).items())
        if properties:
            tests.append(lambda step: _all_equal(step.properties, properties))
        output = tuple(json.loads(self.output).items())
        if output:
            tests.append(lambda step: _all_equal(step.output, output))
        return _both(tests) if tests else lambda _: True


def _both(tests: Sequence[Test]) -> Test:
    first, *others = tests
    if not others:
        return first
    second = _both(others)
    return lambda step: first(step) and second(step)


def filter_text(wanted: Mapping[str, Any] | None) -> str:
    """Return a filter as the text that a matcher holds."""
    return json.dumps(wanted or {}, sort_keys=True)


def verbs_of(*given: str) -> frozenset[str]:
    """Return the verbs that are meant; `WRITE` means all of the writing ones."""
    verbs = set[str]()
    for verb in given:
        verbs |= WRITE_VERBS if verb == WRITE else {verb}
    return frozenset(verbs)


def _all_equal(container: Any, wanted: tuple[tuple[str, Any], ...]) -> bool:
    return all(same(inside(container, path), value) for path, value in wanted)
