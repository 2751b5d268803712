"""Names of tools and of their functions, such as every model accepts."""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterator

from muster.domains.catalogue.tools.errors import ToolNameInvalid

JOINT = "__"
MAX_NAME = 64
_SAFE = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]+")
_DIGEST = 8


def tool_name(given: str) -> str:
    """Return the name of a tool: the given one if it is safe, else one that is made of it.

    Raises:
        ToolNameInvalid: Nothing is left of it.
    """
    if name := derived_name(given):
        return name
    raise ToolNameInvalid(
        "The name needs at least one letter or digit of the Latin alphabet; give another one and "
        "put this one into `title`."
    )


def derived_name(given: str) -> str:
    """Return the safe form of a name, empty where nothing is left of it."""
    if _SAFE.fullmatch(given):
        return given
    plain = unicodedata.normalize("NFKD", given).encode("ascii", "ignore").decode().lower()
    return _UNSAFE.sub("_", plain).strip("_-")[:MAX_NAME]


def function_name(tool: str, function: str) -> str:
    """Return the name under which a model calls one function of a tool."""
    name = f"{tool}{JOINT}{_UNSAFE.sub('_', function)}"
    if len(name) <= MAX_NAME and _UNSAFE.search(function) is None:
        return name
    # Names that were cut or mended could meet; a digest keeps them apart and the same for ever.
    digest = hashlib.sha256(f"{tool}\n{function}".encode()).hexdigest()[:_DIGEST]
    return f"{name[: MAX_NAME - _DIGEST - 1]}_{digest}"


def free_name(name: str, taken: Collection[str]) -> str:
    """Return the name, numbered where another tool of the same agent has it."""
    free, number = name, 1
    while free in taken:
        number += 1
        suffix = f"_{number}"
        free = name[: MAX_NAME - len(suffix)] + suffix
    return free


def split_candidates(reference: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to read a reference as `<tool>__<function>`, shortest tool first."""
    start = reference.find(JOINT)
    while start != -1:
        tool, function = reference[:start], reference[start + len(JOINT) :]
        if tool and function:
            yield tool, function
        start = reference.find(JOINT, start + 1)
