"""What can go wrong when a tool's own Python code is checked or run."""

from muster.kernel.errors import Invalid, Unavailable


class SandboxLimitsInvalid(Invalid):
    code, title = "tool_limits_invalid", "The limits of the tool's code are out of range"


class SourceInvalid(Invalid):
    code, title = "tool_code_invalid", "The tool's code cannot be used"


class SandboxFailed(Invalid):
    """Every fault of the tool's own code; the others below are its special cases.

    `details` may hold `exception`, `line` (in the tool's source) and `stdout`.
    """

    code, title = "tool_code_failed", "The tool's code failed"


class SandboxTimeout(SandboxFailed):
    code, title = "tool_code_timeout", "The tool's code ran for too long"


class SandboxMemoryExceeded(SandboxFailed):
    code, title = "tool_code_memory", "The tool's code needs more memory than it may use"


class SandboxFilesExceeded(SandboxFailed):
    code, title = "tool_code_files", "The tool's code wrote more files than it may"


class SandboxForbidden(SandboxFailed):
    code, title = "tool_code_forbidden", "The tool's code tried something the sandbox forbids"


class SandboxUnavailable(Unavailable):
    code, title = "sandbox_unavailable", "This machine cannot confine the code of tools"
