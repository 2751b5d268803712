"""The decision: which rules are about a thing and its user, and what they come to. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from muster.domains.control.access_rules.vocabulary import EVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An access rule as it is judged by."""

    id: str
    scope_type: str
    scope_id: str
    resource_type: str
    resource_id: str
    denies: bool
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """On whose behalf a thing is used, and in which project.

    What the platform does by itself has neither a user nor roles.
    """

    project_id: str
    user_id: str | None = None
    roles: AbstractSet[str] = frozenset()

    @property
    def scopes(self) -> Iterator[tuple[str, str]]:
        """Everything by which rules can be about it."""
        yield "group", self.project_id
        if self.user_id is not None:
            yield "user", self.user_id
        for role in self.roles:
            yield "role", role


@dataclass(frozen=True, slots=True)
class Verdict:
    """What rules come to. `ruling` are those that decided; empty where none is about the thing."""

    allowed: bool
    ruling: tuple[Rule, ...] = ()

    @property
    def denied_outright(self) -> bool:
        """Tell whether a rule denies; else no rule allows, though some allow others."""
        return not self.allowed and self.ruling[0].denies


ALLOWED = Verdict(allowed=True)


@dataclass(frozen=True, slots=True)
class About:
    """The rules about one thing: by whom they are about, and those that allow."""

    by_scope: Mapping[tuple[str, str], Sequence[Rule]]
    allowing: Sequence[Rule]

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> "About":
        """Return rules in this order."""
        by_scope: defaultdict[tuple[str, str], list[Rule]] = defaultdict(list)
        allowing: list[Rule] = []
        for rule in rules:
            by_scope[rule.scope_type, rule.scope_id].append(rule)
            if not rule.denies:
                allowing.append(rule)
        return cls(dict(by_scope), allowing)

    def matching(self, principal: Principal) -> Iterator[Rule]:
        """Yield the rules that are about a principal."""
        for scope in principal.scopes:
            yield from self.by_scope.get(scope, ())


class RuleBook:
    """All rules, found by what they are about.

    What a rule says of actions is not looked at: there is one, and every rule is about it.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        found: defaultdict[tuple[str, str], list[Rule]] = defaultdict(list)
        for rule in rules:
            found[rule.resource_type, rule.resource_id].append(rule)
        self._about = {thing: About.of(rules) for thing, rules in found.items()}

    def about(self, resource_type: str, resource_ids: Iterable[str]) -> Sequence[About]:
        """Return the rules about a thing, by any of its ids or by `*`."""
        if not self._about:
            return ()
        things = {(resource_type, EVERY), *((resource_type, id_) for id_ in resource_ids)}
        return [self._about[thing] for thing in things if thing in self._about]


def judge(about: Sequence[About], principal: Principal) -> Verdict:
    """Decide by the rules about one thing.

    A rule that denies wins. Where any rule allows somebody, only those whom one allows may use the
    thing; where none does, everybody may.
    """
    matching = [rule for rules in about for rule in rules.matching(principal)]
    if denying := [rule for rule in matching if rule.denies]:
        return Verdict(allowed=False, ruling=_in_order(denying))
    if matching:
        return Verdict(allowed=True, ruling=_in_order(matching))
    for_others = [rule for rules in about for rule in rules.allowing]
    return Verdict(allowed=not for_others, ruling=_in_order(for_others))


def _in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(rules, key=lambda rule: rule.id))
