"""The SDK for agents that run elsewhere: tells Muster what they do, and asks it what they may do.

Adapters for model clients and frameworks are in `muster.sdk.openai`, `muster.sdk.anthropic`,
`muster.sdk.langchain` and `muster.sdk.pydantic_ai`; nothing of theirs is imported before.
"""

from muster.sdk.client import Muster
from muster.sdk.decisions import Decision
from muster.sdk.errors import (
    ApprovalRequired,
    PlatformUnavailable,
    RegistrationRefused,
    SdkError,
    StepBlocked,
)
from muster.sdk.health import Health
from muster.sdk.options import Options
from muster.sdk.steps import Step
from muster.sdk.tasks import Task, current_task

__all__ = [
    "ApprovalRequired",
    "Decision",
    "Health",
    "Muster",
    "Options",
    "PlatformUnavailable",
    "RegistrationRefused",
    "SdkError",
    "Step",
    "StepBlocked",
    "Task",
    "current_task",
]
