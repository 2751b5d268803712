"""Runs the Python source of a tool in a confined process: no network, few files, hard limits."""

from muster.adapters.sandbox.confinement import sandbox_layers
from muster.adapters.sandbox.errors import (
    SandboxFailed,
    SandboxFilesExceeded,
    SandboxForbidden,
    SandboxLimitsInvalid,
    SandboxMemoryExceeded,
    SandboxTimeout,
    SandboxUnavailable,
    SourceInvalid,
)
from muster.adapters.sandbox.limits import SandboxLimits
from muster.adapters.sandbox.outcome import SandboxResult
from muster.adapters.sandbox.runner import run_python
from muster.adapters.sandbox.source import Problem, check_source, signature_schema

__all__ = [
    "Problem",
    "SandboxFailed",
    "SandboxFilesExceeded",
    "SandboxForbidden",
    "SandboxLimits",
    "SandboxLimitsInvalid",
    "SandboxMemoryExceeded",
    "SandboxResult",
    "SandboxTimeout",
    "SandboxUnavailable",
    "SourceInvalid",
    "check_source",
    "run_python",
    "sandbox_layers",
    "signature_schema",
]
