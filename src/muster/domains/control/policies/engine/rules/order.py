"""Rules about what must have happened before a step."""

from collections.abc import Callable

from muster.domains.control.policies.engine.context import Details
from muster.domains.control.policies.engine.matching import Matcher
from muster.domains.control.policies.engine.rule import (
    AT_STEP,
    Judge,
    Judgement,
    Moment,
    Param,
    Rule,
    Setup,
    violation,
)
from muster.domains.control.policies.engine.rules.targets import step_type, step_types, target
from muster.domains.control.policies.engine.vocabulary import GATE, NormalStep

_REQUIRED = step_type("required_step_type", "The kind of the step that must come before.")


def _targeted(setup: Setup, judge: Judge) -> Judgement:
    """Let a judge see only the steps that the policy targets."""
    matcher = setup.matcher(
        "target_step_types", verb="target_verb", properties="target_property_filter"
    )
    if matcher == Matcher(kinds=matcher.kinds):
        return Judgement(judge, matcher.kinds)
    is_target: Callable[[NormalStep], bool] = matcher.compile()
    return Judgement(
        lambda moment: judge(moment) if is_target(moment.step) else None, matcher.kinds
    )


def _last_required(setup: Setup) -> int:
    # In schema 3 a step that was refused or failed cannot satisfy a requirement.
    return setup.binder.last(setup.matcher("required_step_type", effective_only=setup.is_third))


def _step_directly_preceded_by(setup: Setup) -> Judgement:
    required: str = setup.params["required_step_type"]
    third = setup.is_third

    def judge(moment: Moment) -> Details | None:
        memory = moment.memory
        last = memory.last_effective if third else memory.last
        if last is not None and last.kind == required:
            return None
        return violation(
            f"the step before must be {required}",
            required_step_type=required,
            preceded_by=last.kind if last else None,
        )

    return _targeted(setup, judge)


def _step_requires_predecessor(setup: Setup) -> Judgement:
    required: str = setup.params["required_step_type"]
    slot = _last_required(setup)

    def judge(moment: Moment) -> Details | None:
        if moment.memory.slots[slot] >= 0:
            return None
        return violation(f"no {required} came before", required_step_type=required)

    return _targeted(setup, judge)


def _step_preceded_by_without_intervening(setup: Setup) -> Judgement:
    required: str = setup.params["required_step_type"]
    slot = _last_required(setup)
    between = setup.binder.last(setup.matcher("forbidden_intervening"))

    def judge(moment: Moment) -> Details | None:
        slots = moment.memory.slots
        if slots[slot] < 0:
            return violation(f"no {required} came before", required_step_type=required)
        if slots[between] <= slots[slot]:
            return None
        return violation(
            f"a forbidden step came between {required} and this step", required_step_type=required
        )

    return _targeted(setup, judge)


def _step_requires_dedicated_predecessor(setup: Setup) -> Judgement:
    required: str = setup.params["required_step_type"]
    slot = _last_required(setup)
    used = setup.binder.last(setup.matcher("target_step_types"))

    def judge(moment: Moment) -> Details | None:
        slots = moment.memory.slots
        if slots[slot] < 0:
            return violation(f"no {required} came before", required_step_type=required)
        if slots[used] <= slots[slot]:
            return None
        return violation(
            f"the last {required} was used by another step", required_step_type=required
        )

    return _targeted(setup, judge)


def _step_requires_gate(setup: Setup) -> Judgement:
    third = setup.is_third
    longest: int | None = setup.params.get("max_steps_since_gate")
    slot = setup.binder.last(_third_gate(setup) if third else _second_gate(setup))

    def judge(moment: Moment) -> Details | None:
        memory = moment.memory
        last: int = memory.slots[slot]
        if last < 0:
            return violation("no gate with the required result came before")
        since = memory.count - 1 - last
        if longest is None or since <= longest:
            return None
        return violation(
            "the last gate lies too far back", steps_since_gate=since, max_steps_since_gate=longest
        )

    return _targeted(setup, judge)


def _second_gate(setup: Setup) -> Matcher:
    wanted = {"guard.result": setup.params["gate_result"]}
    if setup.params.get("gate_check_type") is not None:
        wanted["guard.check_type"] = setup.params["gate_check_type"]
    return Matcher.of(GATE, properties=wanted)


def _third_gate(setup: Setup) -> Matcher:
    kind = setup.params.get("gate_kind")
    return Matcher.of(
        GATE,
        properties={"kind": kind} if kind else {},
        output={"decision": setup.params["gate_decision"]},
        effective_only=True,
    )


def _step_not_after(setup: Setup) -> Judgement:
    slot = setup.binder.last(setup.matcher("forbidden_predecessor_step_types"))

    def judge(moment: Moment) -> Details | None:
        if moment.memory.slots[slot] < 0:
            return None
        return violation("a step came before after which this one is forbidden")

    return _targeted(setup, judge)


RULES = (
    Rule(
        "step_directly_preceded_by",
        "The step right before must be of a kind. Schema 3 looks past steps that were refused or "
        "failed.",
        AT_STEP,
        (_REQUIRED, *target(required=False)),
        _step_directly_preceded_by,
    ),
    Rule(
        "step_requires_predecessor",
        "A step of a kind must have come before, at any time in the task.",
        AT_STEP,
        (_REQUIRED, *target(required=True)),
        _step_requires_predecessor,
    ),
    Rule(
        "step_preceded_by_without_intervening",
        "A step of a kind must have come before, with none of the forbidden kinds since.",
        AT_STEP,
        (
            _REQUIRED,
            step_types(
                "forbidden_intervening",
                "The kinds that may not come between the required step and the judged one.",
                required=True,
            ),
            *target(required=True),
        ),
        _step_preceded_by_without_intervening,
    ),
    Rule(
        "step_requires_dedicated_predecessor",
        "Each step of the target kinds uses up a required step of its own. Steps of the target "
        "kinds use it up whatever their verb and properties.",
        AT_STEP,
        (_REQUIRED, *target(required=True)),
        _step_requires_dedicated_predecessor,
    ),
    Rule(
        "step_requires_gate",
        "A gate must have been passed before. Schema 2 reads guard.check_type and guard.result in "
        "the gate's properties, schema 3 kind in its properties and decision in its output.",
        AT_STEP,
        (
            *target(required=True),
            Param(
                "gate_check_type", "string", "What the gate checked; any when absent.", schema="2"
            ),
            Param("gate_result", "string", "The result it must have.", default="pass", schema="2"),
            Param("gate_kind", "gate_kind", "human or guardrail; any when absent.", schema="3"),
            Param(
                "gate_decision", "string", "The decision it must have.", default="pass", schema="3"
            ),
            Param(
                "max_steps_since_gate",
                "integer",
                "How many steps may lie between the gate and the judged step.",
                schema="3",
            ),
        ),
        _step_requires_gate,
    ),
    Rule(
        "step_not_after",
        "A step may not happen after one of the forbidden kinds, at any time in the task.",
        AT_STEP,
        (
            *target(required=True)[:2],
            step_types(
                "forbidden_predecessor_step_types",
                "The kinds after which the judged steps are forbidden.",
                required=True,
            ),
        ),
        _step_not_after,
    ),
)
