"""What is wrong with a definition that plans are compiled from."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """One thing that is wrong with a crew or a workflow. One with an error cannot run."""

    path: Annotated[str, Field(description="Where, such as `nodes.2.next`.")]
    message: Annotated[str, Field(description="What is wrong and what to do.")]
    line: Annotated[int | None, Field(description="Line of the text, where it was one.")] = None
    suggestion: Annotated[str | None, Field(description="What was probably meant.")] = None
    severity: Annotated[
        Severity, Field(description="What has an error cannot run; a warning is worth a look.")
    ] = "error"
