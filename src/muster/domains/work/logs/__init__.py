"""Logs: what agents that run elsewhere tell of their steps, kept in the same journal as runs."""

from muster.domains.work.logs.idle import IdleSweep
from muster.domains.work.logs.intake import Intake
from muster.domains.work.logs.models import ExternalTask
from muster.domains.work.logs.observing import Foresight, Observer
from muster.domains.work.logs.tasks import LogAgent
from muster.domains.work.logs.translation import LoggedStep, read_step
from muster.domains.work.logs.usage import provider_of

__all__ = [
    "ExternalTask",
    "Foresight",
    "IdleSweep",
    "Intake",
    "LogAgent",
    "LoggedStep",
    "Observer",
    "provider_of",
    "read_step",
]
