"""Rules made of other rules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from muster.domains.control.policies.engine.context import Details
from muster.domains.control.policies.engine.rule import (
    EVERYWHERE,
    Judgement,
    Moment,
    Param,
    Rule,
    Setup,
    violation,
)


def _combined(message: str, passes: Callable[[Sequence[bool]], bool]) -> Callable[..., Judgement]:
    def compile_rule(setup: Setup) -> Judgement:
        raw: list[Mapping[str, Any]] = setup.params.get("conditions") or [setup.params["condition"]]
        conditions = [(item["rule_type"], setup.condition(item)) for item in raw]

        def judge(moment: Moment) -> Details | None:
            found = [_details(condition, moment) for _, condition in conditions]
            if passes([details is None for details in found]):
                return None
            results = [
                {"rule_type": name, "passed": details is None, "violation_details": details}
                for (name, _), details in zip(conditions, found, strict=True)
            ]
            return violation(message, conditions=results)

        return Judgement(judge)

    return compile_rule


def _details(condition: Judgement, moment: Moment) -> Details | None:
    is_judged = condition.kinds is None or moment.step.kind in condition.kinds
    return condition.judge(moment) if is_judged else None


_CONDITIONS = Param(
    "conditions",
    "conditions",
    "Objects of rule_type and params; they may be compound themselves.",
    required=True,
)

RULES = (
    Rule(
        "all_of",
        "Every condition must pass.",
        EVERYWHERE,
        (_CONDITIONS,),
        _combined("not every condition passed", all),
    ),
    Rule(
        "any_of",
        "At least one condition must pass.",
        EVERYWHERE,
        (_CONDITIONS,),
        _combined("no condition passed", any),
    ),
    Rule(
        "not",
        "The condition must not pass.",
        EVERYWHERE,
        (
            Param(
                "condition",
                "condition",
                "An object of rule_type and params; it may be compound itself.",
                required=True,
            ),
        ),
        _combined("the condition passed", lambda results: not results[0]),
    ),
)
