"""Cycles among tasks that wait for each other."""

from collections.abc import Mapping, Sequence


def cycles_in(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return one cycle for each knot of tasks that wait for each other, in order of the tasks."""
    done: set[str] = set()
    found: list[list[str]] = []
    for start in needs:
        trail: list[str] = []
        on_trail: dict[str, int] = {}
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            name, at = stack.pop()
            if at == 0:
                if name in done:
                    continue
                on_trail[name] = len(trail)
                trail.append(name)
            following = needs.get(name, ())
            if at < len(following):
                stack.append((name, at + 1))
                inner = following[at]
                if inner in on_trail:
                    found.append(trail[on_trail[inner] :])
                elif inner not in done:
                    stack.append((inner, 0))
                continue
            done.add(name)
            trail.pop()
            del on_trail[name]
    return found
