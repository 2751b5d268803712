"""What is wrong with definitions that were read, and where it stands in them."""

from dataclasses import dataclass
from typing import Any

from muster.domains.work.plans import Severity

_LONGEST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something in `agents_yaml` or `tasks_yaml` that cannot be read as it is meant.

    Args:
        field: Where: `tasks_yaml`, or below it `tasks_yaml.write.tools`.
        message: What is wrong.
        line: Line in the text, from 1; None where there is no text.
        column: Column in the line, from 1.
        severity: A warning is passed over.
        suggestion: What was probably meant.
        bare: The whole is one word or sentence: no definitions, yet nothing that is broken.
    """

    field: str
    message: str
    line: int | None = None
    column: int | None = None
    severity: Severity = "error"
    suggestion: str | None = None
    bare: bool = False

    @property
    def text(self) -> str:
        """What is wrong, with the place in front."""
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        return f"{place}{self.message}"[:_LONGEST]

    def facts(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "path": self.field,
            "message": self.message[:_LONGEST],
            "line": self.line,
            "column": self.column,
        }
