"""Request and response bodies of circuit breakers."""

from typing import Annotated, Literal

from pydantic import MISSING, Field

from muster.domains.control.breakers.breaker import numbers_of
from muster.domains.control.breakers.models import CircuitBreaker
from muster.domains.control.breakers.names import LONGEST_NAME, BreakerId
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, UtcTime
from muster.kernel.settings import BreakersSettings

_DAY_S = 86_400

State = Literal["closed", "open", "half_open"]
Count = Annotated[int, Field(ge=1, le=1000)]
Seconds = Annotated[float, Field(gt=0, le=_DAY_S, allow_inf_nan=False)]


class BreakerList(ListParams):
    """Filters of the list of circuit breakers."""

    state: Annotated[State | None, Field(description="Only in this state.")] = None


class BreakerPut(In):
    """Numbers of one circuit breaker; null means the default of the server's settings."""

    name: Annotated[
        str,
        Field(
            max_length=LONGEST_NAME,
            description="`provider:`, `model:`, `tool:` or `host:` and whom it stands before.",
            examples=["provider:openai"],
        ),
    ]
    failure_threshold: Annotated[
        Count | MISSING | None, Field(description="Failures in a row that open it.")
    ] = MISSING
    window_s: Annotated[
        Seconds | MISSING | None, Field(description="Seconds in which they must come.")
    ] = MISSING
    open_s: Annotated[
        Seconds | MISSING | None, Field(description="Seconds until an open one is probed.")
    ] = MISSING
    half_open_max: Annotated[
        Count | MISSING | None, Field(description="Probes that may be under way at a time.")
    ] = MISSING
    success_threshold: Annotated[
        Count | MISSING | None, Field(description="Probes that must succeed to close it.")
    ] = MISSING


class ForceOpen(In):
    """Why a circuit breaker is opened by hand."""

    reason: Annotated[
        str | None,
        Field(
            max_length=500,
            description="Told to whoever is refused.",
            examples=["Maintenance until noon."],
        ),
    ] = None


class BreakerOut(Out):
    """A circuit breaker, its numbers, and how it stands."""

    name: str
    scope: Annotated[
        Literal["platform", "project"],
        Field(description="Providers of the operator are the platform's, all others a project's."),
    ]
    state: State
    configured: Annotated[bool, Field(description="Whether any number is not the default.")]
    failure_threshold: int
    window_s: float
    open_s: float
    half_open_max: int
    success_threshold: int
    failures: Annotated[int, Field(description="In a row.")]
    probes: Annotated[int, Field(description="Under way.")]
    successes: Annotated[int, Field(description="Of probes, since it was last open.")]
    reason: Annotated[str | None, Field(description="Of the last failure, or of whoever opened.")]
    last_failure_at: UtcTime | None
    opened_at: UtcTime | None
    probe_at: Annotated[
        UtcTime | None, Field(description="Null for one that is closed, or opened by hand.")
    ]

    @classmethod
    def of(
        cls, breaker: BreakerId, row: CircuitBreaker | None, defaults: BreakersSettings
    ) -> "BreakerOut":
        """Return a breaker as it is shown; without a row nothing has happened yet."""
        numbers = numbers_of(row, defaults)
        own = (
            row is not None
            and (
                row.failure_threshold,
                row.window_s,
                row.open_s,
                row.half_open_max,
                row.success_threshold,
            )
            != (None,) * 5
        )
        return cls(
            name=breaker.name,
            scope="project" if breaker.project_id else "platform",
            state=row.state if row else "closed",  # pyright: ignore[reportArgumentType]
            configured=own,
            failure_threshold=numbers.failure_threshold,
            window_s=numbers.window_s,
            open_s=numbers.open_s,
            half_open_max=numbers.half_open_max,
            success_threshold=numbers.success_threshold,
            failures=row.failures if row else 0,
            probes=row.probes if row else 0,
            successes=row.successes if row else 0,
            reason=row.reason if row else None,
            last_failure_at=row.last_failure_at if row else None,
            opened_at=row.opened_at if row else None,
            probe_at=row.probe_at if row else None,
        )
