"""What was probably meant by a name that nothing has."""

from collections.abc import Collection
from difflib import get_close_matches

_MOST, _LONGEST = 2_000, 100


def nearest(wanted: str, names: Collection[str], *, cutoff: float = 0.6) -> str | None:
    """Return the name that is most like the wanted one; None where none is like it."""
    if len(wanted) > _LONGEST:
        return None
    # Sorted: of two that differ in case only it is always the same one.
    others = [name for name in sorted(names)[:_MOST] if name != wanted and len(name) <= _LONGEST]
    folded = {name.casefold(): name for name in others}
    found = get_close_matches(wanted.casefold(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None
