"""Text that a format cannot hold, or that would make a reader see something else."""

import re
from typing import Any, cast

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Not allowed in XML 1.0, whatever the notation.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# In print also what moves, turns round or hides the text beside it.
_NOT_PRINT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)


class Cleaner:
    """Replaces the characters that a format cannot hold, and counts them."""

    def __init__(self, forbidden: re.Pattern[str]) -> None:
        self._forbidden = forbidden
        self.replaced = 0

    @classmethod
    def for_xml(cls) -> "Cleaner":
        return cls(_NOT_XML)

    @classmethod
    def for_print(cls) -> "Cleaner":
        return cls(_NOT_PRINT)

    def text(self, text: str) -> str:
        """Return a text that can be held."""
        cleaned, replaced = self._forbidden.subn(REPLACEMENT, text)
        self.replaced += replaced
        return cleaned

    def all(self, value: Any) -> Any:
        """Return JSON whose texts can be held."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.all(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {key: self.all(item) for key, item in cast("dict[str, Any]", value).items()}
        return value

    @property
    def note(self) -> str | None:
        """What a reader has to be told, if anything."""
        if not self.replaced:
            return None
        return (
            f"{self.replaced:,} characters that this format cannot hold, or that would hide or "
            f"turn round text, were replaced by {REPLACEMENT}; the JSON report has them."
        )
