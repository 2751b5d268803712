"""Short notations for tests of the rule engine: steps, policies, one judgement."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from muster.domains.control.policies.engine import (
    Context,
    NormalStep,
    Policy,
    PolicyResult,
    PolicySet,
    load_policy,
    normalise,
)

NOON = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)

VERBED = {"resource": "GET", "self": "GET", "credential": "GET", "message": "GET"}


def step(text: str, name: str | None = None, **fields: Any) -> NormalStep:
    """Make a step from `kind[:VERB][!status]`, such as `resource:POST!blocked` or `end`.

    Kinds of steps are written without `step.`, the task's own moments as `start`, `end` and so on.
    """
    body, _, status = text.partition("!")
    kind, _, verb = body.partition(":")
    scope = "task" if kind in {"start", "end", "error", "idle"} else "step"
    raw = {
        "kind": f"{scope}.{kind}",
        "verb": verb or VERBED.get(kind),
        "step_name": name,
        "status": status or None,
    }
    return normalise({**raw, **fields})


def trace(text: str) -> list[NormalStep]:
    """Make steps from a line of them."""
    return [step(part) for part in text.split()]


def gate(
    result: str | None = "pass",
    check: str | None = None,
    *,
    kind: str | None = None,
    decision: str | None = None,
    status: str | None = None,
) -> NormalStep:
    guard = {"result": result, "check_type": check}
    return step(
        "gate",
        properties={"guard": {k: v for k, v in guard.items() if v}, "kind": kind},
        output={"decision": decision} if decision else None,
        status=status,
    )


def policy(
    rule_type: str,
    params: Mapping[str, Any],
    *,
    schema: str = "2",
    severity: str = "critical",
    scope: str = "step_execution",
    **fields: Any,
) -> Policy:
    raw = {
        "id": "p1",
        "name": rule_type,
        "rule_type": rule_type,
        "params": dict(params),
        "severity": severity,
        "scope": scope,
    }
    return load_policy({**raw, **fields}, schema=schema)


def context(**fields: Any) -> Context:
    return Context(**{"agent_id": "agent-1", "now": NOON, **fields})


def judged(
    found: Policy,
    subject: NormalStep | Mapping[str, Any],
    history: Iterable[NormalStep] = (),
    **fields: Any,
) -> PolicyResult:
    """Judge a step, or a profile, by one policy."""
    policies = PolicySet([found])
    memory = policies.memory(history)
    verdict = policies.evaluate(found.scope, subject, memory, context(**fields))
    (result,) = verdict.results
    return result


def violated(
    rule_type: str,
    params: Mapping[str, Any],
    subject: NormalStep | Mapping[str, Any],
    history: Iterable[NormalStep] | str = (),
    *,
    schema: str = "2",
    scope: str = "step_execution",
    **fields: Any,
) -> bool:
    """Judge by one rule and say whether it is violated."""
    past = trace(history) if isinstance(history, str) else history
    found = policy(rule_type, params, schema=schema, scope=scope)
    return judged(found, subject, past, **fields).violated
