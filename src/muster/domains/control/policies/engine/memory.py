"""What a task's past means to the policies, kept up to date step by step.

A decision reads a few numbers, so that it costs the same after ten steps and after ten thousand.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from muster.domains.control.policies.engine.errors import MemoryOutdated
from muster.domains.control.policies.engine.fields import inside, number
from muster.domains.control.policies.engine.matching import Matcher
from muster.domains.control.policies.engine.vocabulary import KINDS, NormalStep

Slots = list[Any]
Update = Callable[[Slots, NormalStep, int], None]


class Binder:
    """Collects what a set of policies has to know of the past; equal wishes share one slot."""

    def __init__(self) -> None:
        self._slots: dict[Any, int] = {}
        self._initial: Slots = []
        self._updates: dict[str, list[Update]] = {kind: [] for kind in KINDS}

    def last(self, matcher: Matcher) -> int:
        """Return the slot of the index of the last matching step, -1 while there is none."""
        test = matcher.compile(of_kind=True)

        def make(slot: int) -> Update:
            def update(slots: Slots, step: NormalStep, index: int) -> None:
                if test(step):
                    slots[slot] = index

            return update

        return self._slot(("last", matcher), -1, matcher.kinds, make)

    def count(self, matcher: Matcher) -> int:
        """Return the slot of the number of matching steps."""
        test = matcher.compile(of_kind=True)

        def make(slot: int) -> Update:
            def update(slots: Slots, step: NormalStep, _: int) -> None:
                if test(step):
                    slots[slot] += 1

            return update

        return self._slot(("count", matcher), 0, matcher.kinds, make)

    def total(self, kinds: frozenset[str] | None, path: str) -> int:
        """Return the slot of the sum of a property of all steps of some kinds; see `amount`."""

        def make(slot: int) -> Update:
            def update(slots: Slots, step: NormalStep, _: int) -> None:
                slots[slot] += amount(step, path)

            return update

        return self._slot(("total", kinds, path), 0.0, kinds, make)

    def progress(self, sequence: tuple[str, ...]) -> int:
        """Return the slot of how many kinds of the sequence happened in this order, gaps allowed.

        Steps that were refused did not happen.
        """

        def make(slot: int) -> Update:
            def update(slots: Slots, step: NormalStep, _: int) -> None:
                done = slots[slot]
                if done < len(sequence) and step.kind == sequence[done] and not step.is_refused:
                    slots[slot] = done + 1

            return update

        return self._slot(("progress", sequence), 0, frozenset(sequence), make)

    def freeze(self) -> tuple[Slots, Mapping[str, tuple[Update, ...]]]:
        """Return the initial slots and, by kind of step, what a step changes."""
        return self._initial, {kind: tuple(found) for kind, found in self._updates.items()}

    def _slot(
        self, key: Any, initial: Any, kinds: frozenset[str] | None, make: Callable[[int], Update]
    ) -> int:
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = len(self._initial)
            self._initial.append(initial)
            update = make(slot)
            for kind in KINDS if kinds is None else kinds:
                self._updates[kind].append(update)
        return slot


class Ledger:
    """What memories of one set of policies have in common."""

    __slots__ = ("initial", "updates")

    def __init__(self, binder: Binder) -> None:
        self.initial, self.updates = binder.freeze()


class TaskMemory:
    """The past of one task, as far as one set of policies asks for it.

    Bounded: one slot for each distinct wish of the policies, one number for each kind of step,
    and the last step of each of three sorts. No list of steps is kept, so a memory that belongs
    to older policies is rebuilt by replaying the steps from where they are stored.
    """

    __slots__ = (
        "_updates",
        "count",
        "last",
        "last_allowed",
        "last_effective",
        "ledger",
        "longest_runs",
        "run_kind",
        "run_length",
        "slots",
    )

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._updates = ledger.updates
        self.slots: Slots = ledger.initial.copy()
        self.count = 0
        self.last: NormalStep | None = None
        self.last_allowed: NormalStep | None = None
        self.last_effective: NormalStep | None = None
        self.run_kind: str | None = None
        self.run_length = 0
        self.longest_runs: dict[str, int] = {}

    def record(self, step: NormalStep) -> None:
        """Take in a step that was decided about: done, failed, or refused (`blocked`)."""
        index = self.count
        self.count = index + 1
        self.last = step
        for update in self._updates[step.kind]:
            update(self.slots, step, index)
        if step.is_refused:
            return
        self.last_allowed = step
        if step.outcome == "ok":
            self.last_effective = step
        if step.kind == self.run_kind:
            self.run_length += 1
        else:
            self.run_kind, self.run_length = step.kind, 1
        if self.run_length > self.longest_runs.get(step.kind, 0):
            self.longest_runs[step.kind] = self.run_length

    def replay(self, steps: Iterable[NormalStep]) -> "TaskMemory":
        """Record steps that happened already, oldest first, and return the memory."""
        for step in steps:
            self.record(step)
        return self

    def require(self, ledger: Ledger) -> None:
        """Refuse to be read by policies that this memory was not kept for."""
        if self.ledger is not ledger:
            raise MemoryOutdated("the memory was kept for other policies; replay the steps")


def amount(step: NormalStep, path: str) -> float:
    """Return what a step declares in a property: a finite number above 0, else nothing.

    A negative amount would give budget back.
    """
    value = number(inside(step.properties, path))
    return value if value is not None and value > 0 else 0.0
