"""Policies: what agents may do, judged before each step, over the whole course of a task."""

from muster.domains.control.policies.check import PolicyCheck, target_of
from muster.domains.control.policies.compiled import CompiledPolicies
from muster.domains.control.policies.dry_run import DryRuns
from muster.domains.control.policies.engine.context import RateQuery
from muster.domains.control.policies.engine.memory import TaskMemory
from muster.domains.control.policies.engine.policy_set import PolicySet
from muster.domains.control.policies.engine.vocabulary import (
    NormalStep,
    VocabularyError,
    normalise,
)
from muster.domains.control.policies.evaluation import Evaluator
from muster.domains.control.policies.judging import (
    counted,
    counts_for,
    judge,
    judge_end,
    violations_of,
)
from muster.domains.control.policies.memories import (
    History,
    Memories,
    Past,
    RecordedRun,
    RecordedStep,
    as_if,
)
from muster.domains.control.policies.models import Policy
from muster.domains.control.policies.naming import policies_named, policies_of
from muster.domains.control.policies.registrations import RegistrationJudge
from muster.domains.control.policies.reporting import report_and_tell
from muster.domains.control.policies.subjects import context_of
from muster.domains.control.policies.templates import Template, policy_templates

__all__ = [
    "CompiledPolicies",
    "DryRuns",
    "Evaluator",
    "History",
    "Memories",
    "NormalStep",
    "Past",
    "Policy",
    "PolicyCheck",
    "PolicySet",
    "RateQuery",
    "RecordedRun",
    "RecordedStep",
    "RegistrationJudge",
    "TaskMemory",
    "Template",
    "VocabularyError",
    "as_if",
    "context_of",
    "counted",
    "counts_for",
    "judge",
    "judge_end",
    "normalise",
    "policies_named",
    "policies_of",
    "policy_templates",
    "report_and_tell",
    "target_of",
    "violations_of",
]
