"""What a problem of a workflow is, and what is known when one is looked for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Args:
        path: Where, such as `nodes.2.next`.
        message: What is wrong and what to do.
        line: Line of the text, where it was one.
        suggestion: What was probably meant.
        severity: A workflow with an error cannot run; a warning is worth a look.
    """

    path: str
    message: str
    line: int | None = None
    suggestion: str | None = None
    severity: Severity = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What there is in the project. None: it was not looked at, and nothing is said of it.

    `unusable` says why something cannot be used, by `kind:reference`; for example by `model:gpt-9`.
    """

    agents: Collection[str] | None = None
    tools: Collection[str] | None = None
    models: Collection[str] | None = None
    crews: Collection[str] | None = None
    workflows: Collection[str] | None = None
    unusable: Mapping[str, str] = field(default_factory=dict[str, str])
