"""Policies between what people write, the table, and what the engine judges by."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from muster.domains.control.policies import engine
from muster.domains.control.policies.engine import PolicyInvalid, Problem, Schema
from muster.domains.control.policies.errors import PolicyRefused
from muster.domains.control.policies.models import Policy
from muster.kernel.errors import FieldError

_MOST_NAMED = 5


def written(policy: Policy) -> dict[str, Any]:
    """Return a stored policy as somebody would write it, in the spelling of its generation."""
    return {
        "name": policy.name,
        "description": policy.description,
        "rule_type": policy.rule_type,
        "params": _spelled(policy),
        "severity": policy.severity,
        "scope": policy.scope,
        "enabled": policy.enabled,
        "enforcement": policy.enforcement,
        "schema": policy.generation,
        "agent_id": policy.agent_id,
        "environments": policy.environments,
        "risk_classification": policy.risk_classification,
    }


def _spelled(policy: Policy) -> dict[str, Any]:
    schema = cast("Schema", policy.generation)
    try:
        return engine.spell_params(policy.rule_type, policy.params, schema)
    except KeyError:  # a rule or a parameter of another release is shown as it is
        return policy.params


def judged_by(policy: Policy) -> engine.Policy:
    """Return a stored policy as the engine judges by it.

    Raises `PolicyInvalid` for one that this release cannot read.
    """
    raw: dict[str, Any] = {
        "id": policy.id,
        "name": policy.name,
        "description": policy.description,
        "rule_type": policy.rule_type,
        "params": policy.params,
        "severity": policy.severity,
        "scope": policy.scope,
        "enabled": policy.enabled,
        "enforcement": policy.enforcement,
        "agent_id": policy.agent_id,
        "environments": policy.environments,
        "risk_classification": policy.risk_classification,
    }
    return engine.load_policy(raw, schema=policy.generation)


def columns(policy: engine.Policy) -> dict[str, Any]:
    """Return the columns of a policy that was read."""
    return {
        "name": policy.name,
        "description": policy.description,
        "rule_type": policy.rule_type,
        "params": dict(policy.params),
        "severity": policy.severity,
        "scope": policy.scope,
        "enabled": policy.enabled,
        "enforcement": policy.enforcement,
        "generation": policy.schema,
        "agent_id": policy.agent_id,
        "environments": list(policy.environments) or None,
        "risk_classification": policy.risk_classification,
    }


def read(raw: Mapping[str, Any], place: str = "") -> engine.Policy:
    """Read a policy; raises `PolicyRefused` with every field at fault.

    `place` is where the policy lies in the body, such as `policies.3.`.
    """
    try:
        return engine.load_policy(raw)
    except PolicyInvalid as error:
        raise refused(error.problems, place) from error


def refused(problems: Iterable[Problem], place: str = "") -> PolicyRefused:
    """Return the error that names what is wrong, each with its place."""
    errors = [
        FieldError(
            f"{place}{problem.path}" or "manifest",
            problem.message + (f" (line {problem.line})" if problem.line else ""),
        )
        for problem in problems
    ]
    text = "; ".join(f"{error.field}: {error.message}" for error in errors[:_MOST_NAMED])
    return PolicyRefused(text, errors=errors)
