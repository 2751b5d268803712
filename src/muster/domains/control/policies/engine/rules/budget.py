"""Rules that count: steps, runs of steps, rates, amounts."""

from collections.abc import Iterable, Mapping
from typing import Any

from muster.domains.control.policies.engine.context import Details, RateQuery, Scope
from muster.domains.control.policies.engine.matching import filter_text
from muster.domains.control.policies.engine.memory import amount
from muster.domains.control.policies.engine.rule import (
    AT_STEP,
    AT_STEP_AND_END,
    Judgement,
    Moment,
    Param,
    Rule,
    Setup,
    violation,
)
from muster.domains.control.policies.engine.rules.course import ALWAYS_OPEN
from muster.domains.control.policies.engine.rules.targets import property_filter, step_type, verb
from muster.domains.control.policies.engine.vocabulary import GATE, LIFECYCLE


def _execution_max_steps(setup: Setup) -> Judgement:
    most: int = setup.params["max_steps"]
    matcher = setup.matcher("step_type", verb="verb", name="step_name")
    slot = setup.binder.count(matcher)
    matches, at_end = matcher.compile(), setup.at_end

    def judge(moment: Moment) -> Details | None:
        count: int = moment.memory.slots[slot]
        if not at_end:
            count += 1
        if count <= most or not (at_end or matches(moment.step)):
            return None
        return violation(f"more than {most} such steps", count=count, max_steps=most)

    return Judgement(judge, None if at_end else matcher.kinds)


def _max_consecutive_same_type(setup: Setup) -> Judgement:
    most: int = setup.params["max_consecutive"]
    kind: str = setup.params["step_type"]
    at_end = setup.at_end

    def judge(moment: Moment) -> Details | None:
        memory = moment.memory
        longest = memory.longest_runs.get(kind, 0)
        if not at_end:
            current = moment.step.kind
            if current in ALWAYS_OPEN:
                return None
            if current == kind:
                run = memory.run_length + 1 if memory.run_kind == kind else 1
                longest = max(longest, run)
        if longest <= most:
            return None
        return violation(
            f"more than {most} steps of {kind} in a row", count=longest, max_consecutive=most
        )

    return Judgement(judge)


def _can_be_refused(params: Mapping[str, Any], scope: Scope) -> Iterable[tuple[str, str]]:
    if scope == "step_execution" and params["step_type"] in ALWAYS_OPEN:
        yield "step_type", "cannot be step.gate or task.end: they are never refused"


def _cross_execution_rate_limit(setup: Setup) -> Judgement:
    most: int = setup.params["max_count"]
    kind: str = setup.params["step_type"]
    minutes: int = setup.params["window_minutes"]
    wanted: Mapping[str, Any] = setup.params.get("property_filter") or {}
    key = rate_key(kind, minutes, wanted)
    setup.rates[key] = RateQuery(key, kind, minutes, wanted)
    matcher = setup.matcher("step_type", properties="property_filter")
    matches = matcher.compile()

    def judge(moment: Moment) -> Details | None:
        if not matches(moment.step):
            return None
        counts = moment.context.cross_execution_counts
        if counts is None:
            return violation("nobody counted the agent's earlier steps", rate_key=key)
        count = counts.get(key, counts.get(kind, 0)) + 1
        if count <= most:
            return None
        return violation(
            f"more than {most} such steps within {minutes} minutes",
            count=count,
            max_count=most,
            window_minutes=minutes,
        )

    return Judgement(judge, matcher.kinds)


def rate_key(kind: str, window_minutes: int, properties: Mapping[str, Any]) -> str:
    """Return the key under which the caller puts the count of a rate limit."""
    tail = f" {filter_text(properties)}" if properties else ""
    return f"{kind}/{window_minutes}m{tail}"


def _usage_budget(setup: Setup) -> Judgement:
    budget: float = setup.params["budget"]
    path: str = setup.params["property_path"]
    kinds = setup.kinds("step_type")
    slot = setup.binder.total(kinds, path)
    counts_own = setup.is_third and not setup.at_end
    spares = not setup.is_third and not setup.at_end

    def judge(moment: Moment) -> Details | None:
        used: float = moment.memory.slots[slot]
        if counts_own:
            used += amount(moment.step, path)
        if used <= budget or (spares and moment.step.kind in _FREE):
            return None
        return violation(f"more than the budget of {budget:g} is used", used=used, budget=budget)

    return Judgement(judge, kinds if counts_own else None)


_FREE = LIFECYCLE | {GATE}

RULES = (
    Rule(
        "execution_max_steps",
        "At most so many steps of a kind in a task. Refused attempts count.",
        AT_STEP_AND_END,
        (
            step_type("step_type", "The kind that is counted."),
            Param("max_steps", "integer", "The most that are allowed.", required=True),
            verb("verb", "step_type", "steps"),
            Param("step_name", "string", "Only steps with this name."),
        ),
        _execution_max_steps,
    ),
    Rule(
        "max_consecutive_same_type",
        "At most so many steps of a kind in a row. Refused steps do not count; gates and the end "
        "of the task always pass.",
        AT_STEP_AND_END,
        (
            step_type("step_type", "The kind."),
            Param(
                "max_consecutive", "integer", "The longest run allowed.", required=True, minimum=1
            ),
        ),
        _max_consecutive_same_type,
        _can_be_refused,
    ),
    Rule(
        "cross_execution_rate_limit",
        "At most so many steps of a kind by an agent within a time, over all of its tasks.",
        AT_STEP,
        (
            step_type("step_type", "The kind that is counted."),
            Param("max_count", "integer", "The most that are allowed.", required=True),
            Param("window_minutes", "integer", "The time in minutes.", required=True, minimum=1),
            property_filter("property_filter", "steps"),
        ),
        _cross_execution_rate_limit,
    ),
    Rule(
        "usage_budget",
        "The sum of a property over the task's steps of a kind. Schema 2 judges every step once "
        "more than the budget was used, except gates and the task's own moments; schema 3 judges "
        "only steps of the kind and adds what the step itself declares.",
        AT_STEP_AND_END,
        (
            step_type("step_type", "The kind whose property is added up."),
            Param("property_path", "string", "The dotted path inside properties.", required=True),
            Param("budget", "number", "The most that may be used.", required=True),
        ),
        _usage_budget,
    ),
)
