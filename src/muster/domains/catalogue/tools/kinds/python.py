"""Tools that are Python code, run in the sandbox."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from muster.adapters.sandbox import (
    SandboxFailed,
    SandboxLimits,
    SourceInvalid,
    run_python,
    signature_schema,
)
from muster.adapters.tools.base import ToolConfigurationInvalid, ToolOutcome, validate_schema
from muster.domains.catalogue.tools.binding import ToolContext
from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.kinds.base import Face, Kind, parse
from muster.domains.catalogue.tools.references import secret_names
from muster.domains.catalogue.tools.services import ToolServices
from muster.kernel.errors import FieldError

_FOLDER = "python"
"""A folder of its own in the workspace: a server run by root gives all that is in it away."""


class PythonLimits(BaseModel):
    """How much one call may use."""

    model_config = ConfigDict(extra="forbid")

    wall_s: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    cpu_s: Annotated[int, Field(ge=1, le=300)] = 10
    memory_mb: Annotated[int, Field(ge=64, le=1_024)] = 256
    processes: Annotated[int, Field(ge=0, le=1)] = 0
    open_files: Annotated[int, Field(ge=16, le=256)] = 32
    file_mb: Annotated[int, Field(ge=1, le=64)] = 8
    output_kb: Annotated[int, Field(ge=1, le=1_024)] = 256


class PythonConfiguration(BaseModel):
    """Code that defines `run(...)`; its annotations and defaults are the input schema."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[
        str,
        Field(
            min_length=1,
            description="Python that defines `run(...)` at its top level.",
            examples=["def run(text: str) -> int:\n    return len(text.split())\n"],
        ),
    ]
    limits: PythonLimits = PythonLimits()
    workspace: Annotated[
        bool,
        Field(description="Give it the folder `python/` of the run's workspace to work in."),
    ] = False


class PythonKind(Kind):
    """Code of the project's own."""

    name: ClassVar[str] = "python"

    def overridable(self, definition: Definition) -> frozenset[str]:
        del definition
        return frozenset({"limits", "workspace"})

    def schema(self, definition: Definition | None = None) -> dict[str, Any]:
        del definition
        return PythonConfiguration.model_json_schema()

    def check(self, definition: Definition) -> None:
        if secret_names(definition.configuration):
            raise ToolConfigurationInvalid(
                "Code in the sandbox reaches nothing that a secret could open, so it gets none."
            )
        _schema(parse(PythonConfiguration, definition.configuration))

    def faces(self, definition: Definition, services: ToolServices) -> list[Face]:
        parsed = parse(PythonConfiguration, definition.configuration)
        limits = SandboxLimits(**parsed.limits.model_dump())

        async def perform(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
            folder = None
            if parsed.workspace and context.workspace is not None:
                folder = await asyncio.to_thread(_folder, context.workspace)
            async with services.python_slots:
                return await _run(parsed.source, arguments, limits, folder)

        return [
            Face(
                parameters=definition.input_schema or _schema(parsed),
                perform=perform,
                description=definition.description,
                step_kind="step.exec",
                idempotent=not parsed.workspace,
                # Calls that wait for a place wait for as long as other tools may take.
                needed_s=limits.wall_s + services.default_timeout_s,
            )
        ]


def _schema(parsed: PythonConfiguration) -> dict[str, Any]:
    try:
        return validate_schema(signature_schema(parsed.source))
    except SourceInvalid as error:
        faults = [FieldError(f"configuration.{e.field}", e.message) for e in error.errors]
        raise SourceInvalid(error.detail, errors=faults) from None


async def _run(
    source: str, arguments: dict[str, Any], limits: SandboxLimits, folder: Path | None
) -> ToolOutcome:
    try:
        result = await run_python(source, arguments, limits=limits, workspace=folder)
    except SandboxFailed as error:
        # The model may mend its arguments or take another way, so it reads what went wrong.
        content = {"error": error.code, "message": error.detail}
        return ToolOutcome(content=content, is_error=True, properties=error.details)
    return ToolOutcome(
        content=result.value,
        properties={
            "stdout": result.stdout,
            "stdout_truncated": result.stdout_truncated,
            "duration_ms": result.duration_ms,
        },
    )


def _folder(workspace: Path) -> Path:
    folder = workspace / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder
