"""The rule engine: pure judgement of steps, profiles and tasks by policies, without any I/O."""

from muster.domains.control.policies.engine.context import (
    Action,
    Context,
    Enforcement,
    PolicyResult,
    RateQuery,
    Schema,
    Scope,
    Severity,
    Verdict,
)
from muster.domains.control.policies.engine.errors import MemoryOutdated, PolicyInvalid, Problem
from muster.domains.control.policies.engine.manifest import (
    Manifest,
    dump_manifest,
    load_manifest,
    spell_params,
)
from muster.domains.control.policies.engine.memory import TaskMemory
from muster.domains.control.policies.engine.policy import Policy, load_policy
from muster.domains.control.policies.engine.policy_set import PolicySet, simulate
from muster.domains.control.policies.engine.rules import rule_catalogue
from muster.domains.control.policies.engine.vocabulary import (
    NormalStep,
    VocabularyError,
    canonical_kind,
    normalise,
)

__all__ = [
    "Action",
    "Context",
    "Enforcement",
    "Manifest",
    "MemoryOutdated",
    "NormalStep",
    "Policy",
    "PolicyInvalid",
    "PolicyResult",
    "PolicySet",
    "Problem",
    "RateQuery",
    "Schema",
    "Scope",
    "Severity",
    "TaskMemory",
    "Verdict",
    "VocabularyError",
    "canonical_kind",
    "dump_manifest",
    "load_manifest",
    "load_policy",
    "normalise",
    "rule_catalogue",
    "simulate",
    "spell_params",
]
