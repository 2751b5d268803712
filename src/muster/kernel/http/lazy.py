"""Routers that are imported when they are first asked for, so that a start need not wait."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

from muster.kernel.http.routing import Router


@dataclass(frozen=True, slots=True)
class LazyRouter:
    """Where a router is, and which paths it serves.

    Args:
        module: Module that has it.
        name: Its name in the module.
        prefixes: What its paths begin with, each as far as `prefix_of` reads.
    """

    module: str
    name: str
    prefixes: tuple[str, ...]

    def load(self) -> Router:
        """Import it."""
        found: Router = getattr(import_module(self.module), self.name)
        return found


def together(routers: Iterable[LazyRouter]) -> dict[str, list[LazyRouter]]:
    """Return, by prefix, the routers that have to be loaded before a path can be looked up.

    Routers that share a prefix, if only through a third one, are loaded together: the order of
    their routes decides which of two takes a path.
    """
    groups: dict[str, list[LazyRouter]] = {}
    everything = list(routers)
    for router in everything:
        joined = {id(group): group for p in router.prefixes if (group := groups.get(p))}
        members = [other for group in joined.values() for other in group] + [router]
        members.sort(key=everything.index)
        for member in members:
            groups.update(dict.fromkeys(member.prefixes, members))
    return groups
