"""Rules about the whole course of a task: sequences, taint, and conditions over the past."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from muster.domains.control.policies.engine.context import Details, Scope
from muster.domains.control.policies.engine.fields import number, of_step, same
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
from muster.domains.control.policies.engine.rules.targets import (
    property_filter,
    step_type,
    step_types,
    verb,
)
from muster.domains.control.policies.engine.vocabulary import GATE, TASK_END

ALWAYS_OPEN = frozenset({GATE, TASK_END})
"""Kinds that the past never closes, so that a person can be asked and the task can end."""


def _sequence_forbidden(setup: Setup) -> Judgement:
    sequence = tuple(setup.params["forbidden_sequence"])
    slot = setup.binder.progress(sequence)
    length, last, at_end = len(sequence), sequence[-1], setup.at_end

    def judge(moment: Moment) -> Details | None:
        done: int = moment.memory.slots[slot]
        if not at_end:
            kind = moment.step.kind
            if kind in ALWAYS_OPEN:
                return None
            if done == length - 1 and kind == last:
                done = length
        if done < length:
            return None
        return violation("the forbidden sequence is complete", forbidden_sequence=list(sequence))

    return Judgement(judge)


def _ends_closed(params: Mapping[str, Any], scope: Scope) -> Iterable[tuple[str, str]]:
    if scope == "step_execution" and params["forbidden_sequence"][-1] in ALWAYS_OPEN:
        yield "forbidden_sequence", "cannot end with step.gate or task.end: they are never refused"


def _history_contains(setup: Setup) -> Judgement:
    third = setup.is_third
    matcher = setup.matcher(
        "step_type",
        verb="verb",
        properties="property_filter",
        output="output_filter",
        effective_only=third and not setup.params["count_attempts"],
    )
    slot, kind = setup.binder.last(matcher), setup.params["step_type"]

    def judge(moment: Moment) -> Details | None:
        if moment.memory.slots[slot] >= 0:
            return None
        return violation(f"the task contains no such {kind}", step_type=kind)

    return Judgement(judge)


def _current_is(setup: Setup) -> Judgement:
    kind: str = setup.params["step_type"]
    matches = setup.matcher("step_type", verb="verb", properties="property_filter").compile()

    def judge(moment: Moment) -> Details | None:
        if matches(moment.step):
            return None
        return violation(f"the step is no such {kind}", step_type=kind)

    return Judgement(judge)


def _tainted_path_block(setup: Setup) -> Judgement:
    taint = setup.matcher("taint_step_type", verb="taint_verb", properties="taint_property_filter")
    slot = setup.binder.last(taint)
    target = setup.matcher("target_step_types", verb="target_verb")
    is_target = target.compile()

    def judge(moment: Moment) -> Details | None:
        by: int = moment.memory.slots[slot]
        if by < 0 or not is_target(moment.step):
            return None
        return violation("the task is tainted by an earlier step", tainted_by_index=by)

    return Judgement(judge, target.kinds)


def _conditional_successor_required(setup: Setup) -> Judgement:
    trigger = setup.kinds("trigger_step_types") or frozenset()
    condition: Mapping[str, Any] = setup.params["trigger_condition"]
    is_met = _OPERATIONS[condition["op"]]
    path: str = condition["field"]
    wanted: Any = condition["value"]
    required: str | None = setup.params.get("required_step_type")
    forbidden = setup.kinds("forbidden_step_types") or frozenset()

    def judge(moment: Moment) -> Details | None:
        # Past what was refused: else one refused attempt would free the next one.
        before = moment.memory.last_allowed
        if before is None or before.kind not in trigger:
            return None
        kind = moment.step.kind
        if (required is None or kind == required) and kind not in forbidden:
            return None
        if not is_met(of_step(before, path), wanted):
            return None
        wish = f"{required} must come" if kind != required and required else f"{kind} may not come"
        return violation(f"{wish} after {before.kind}", trigger_condition=dict(condition))

    return Judgement(judge)


def _restricts(params: Mapping[str, Any], _: Scope) -> Iterable[tuple[str, str]]:
    if not params.get("required_step_type") and not params.get("forbidden_step_types"):
        yield "required_step_type", "give required_step_type or forbidden_step_types, or both"


def _below(found: Any, wanted: Any) -> bool:
    value = number(found)
    return value is not None and value < wanted


def _above(found: Any, wanted: Any) -> bool:
    value = number(found)
    return value is not None and value > wanted


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted in found
    return isinstance(found, list) and any(same(item, wanted) for item in cast("list[Any]", found))


_OPERATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "below": _below,
    "above": _above,
    "equals": same,
    "contains": _contains,
}

RULES = (
    Rule(
        "sequence_forbidden",
        "The kinds may not happen in this order, whatever lies between them. Refused steps did not "
        "happen. Gates and the end of the task always pass.",
        AT_STEP_AND_END,
        (Param("forbidden_sequence", "step_types", "The kinds, first to last.", required=True),),
        _sequence_forbidden,
        _ends_closed,
    ),
    Rule(
        "history_contains",
        "The task must contain a step of a kind; mostly a condition of all_of, any_of and not.",
        AT_STEP_AND_END,
        (
            step_type("step_type", "The kind."),
            verb("verb", "step_type", "steps"),
            property_filter("property_filter", "steps"),
            Param(
                "count_attempts",
                "boolean",
                "Whether steps that were refused or failed count.",
                required=True,
                schema="3",
            ),
            Param(
                "output_filter",
                "filter",
                "Only steps whose output has these values; keys are dotted paths.",
                schema="3",
            ),
        ),
        _history_contains,
    ),
    Rule(
        "current_is",
        "The step must be of a kind; mostly a condition of all_of, any_of and not.",
        AT_STEP,
        (
            step_type("step_type", "The kind."),
            verb("verb", "step_type", "steps"),
            property_filter("property_filter", "steps"),
        ),
        _current_is,
    ),
    Rule(
        "tainted_path_block",
        "After a tainting step the target steps are violations for the rest of the task; no gate "
        "takes the taint away. Use the verb WRITE for the target, so that PATCH and DELETE do not "
        "get through beside POST.",
        AT_STEP,
        (
            step_type("taint_step_type", "The kind of the step that taints the task."),
            verb("taint_verb", "taint_step_type", "tainting steps"),
            property_filter("taint_property_filter", "tainting steps"),
            step_types("target_step_types", "The kinds that are closed then.", required=True),
            verb("target_verb", "target_step_types", "judged steps"),
        ),
        _tainted_path_block,
    ),
    Rule(
        "conditional_successor_required",
        "When the step before meets a condition, this one must be of a kind, or of none of some "
        "kinds. Steps that were refused in between do not count.",
        AT_STEP,
        (
            step_types("trigger_step_types", "The kinds of the step before.", required=True),
            Param(
                "trigger_condition",
                "trigger",
                "An object of field, op (below, above, equals, contains) and value.",
                required=True,
            ),
            Param("required_step_type", "step_type", "The kind that must follow."),
            step_types("forbidden_step_types", "The kinds that may not follow."),
        ),
        _conditional_successor_required,
        _restricts,
    ),
)
