"""What is known of a project when problems of a workflow are looked for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


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
