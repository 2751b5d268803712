"""Rules that hold a step against who the agent is: class, hours, tools, project folder."""

from collections.abc import Collection
from typing import Any, cast
from zoneinfo import ZoneInfo

from muster.domains.control.policies.engine.context import Context, Details
from muster.domains.control.policies.engine.fields import inside
from muster.domains.control.policies.engine.paths import is_within
from muster.domains.control.policies.engine.rule import (
    AT_REGISTRATION_AND_STEP,
    AT_STEP,
    Judgement,
    Moment,
    Param,
    Rule,
    Setup,
    violation,
)
from muster.domains.control.policies.engine.rules.targets import (
    VERB_NOTE,
    property_filter,
    step_type,
    step_types,
    verb,
)
from muster.domains.control.policies.engine.vocabulary import LIFECYCLE, VERBLESS


def _step_forbidden_for_classification(setup: Setup) -> Judgement:
    classes = frozenset(setup.params["agent_risk_classifications"])
    matcher = setup.matcher(
        "forbidden_step_type", verb="forbidden_verb", properties="forbidden_property_filter"
    )
    matches = matcher.compile()

    def judge(moment: Moment) -> Details | None:
        risk_class = moment.context.risk_classification
        if risk_class not in classes or not matches(moment.step):
            return None
        return violation(
            "the step is forbidden for agents of this class", risk_classification=risk_class
        )

    return Judgement(judge, matcher.kinds)


def _working_hours_only(setup: Setup) -> Judgement:
    start: int = setup.params["start_hour"]
    end: int = setup.params["end_hour"]
    zone = ZoneInfo(setup.params["timezone"])

    def judge(moment: Moment) -> Details | None:
        hour = moment.context.now.astimezone(zone).hour
        is_open = start <= hour < end if start < end else hour >= start or hour < end
        if is_open:
            return None
        return violation("outside of the working hours", hour=hour, start_hour=start, end_hour=end)

    return Judgement(judge)


def _step_name_in_allowlist(setup: Setup) -> Judgement:
    source: str = setup.params["agent_field"]
    kinds = setup.kinds("target_step_types")

    def judge(moment: Moment) -> Details | None:
        if kinds is None and moment.step.kind in LIFECYCLE:
            return None
        allowed = _agent_list(moment.context, source)
        if not allowed:
            return violation(f"the agent has no list in {source}", agent_field=source)
        if moment.step.name in allowed:
            return None
        return violation(
            f"the step's name is not in {source}", agent_field=source, step_name=moment.step.name
        )

    return Judgement(judge, kinds)


def _agent_list(context: Context, source: str) -> list[str]:
    found: Any = context.declared_tools
    if source != "declared_tools":
        found = inside(context.metadata, source.removeprefix("metadata."))
    if not isinstance(found, list | tuple | set | frozenset):
        return []
    return [item for item in cast("Collection[Any]", found) if isinstance(item, str)]


def _path_within_root(setup: Setup) -> Judgement:
    path: str = setup.params["field"]
    target = setup.matcher("target_step_types", verb="target_verb", verbs="target_verbs")
    verbs = target.verbs

    def judge(moment: Moment) -> Details | None:
        step, root = moment.step, moment.context.project_root
        if not root or (verbs is not None and step.verb not in verbs and step.kind not in VERBLESS):
            return None
        found = moment.read(path)
        if not isinstance(found, str) or is_within(found, root):
            return None
        return violation(f"{path} lies outside of the project", path=found)

    return Judgement(judge, target.kinds)


RULES = (
    Rule(
        "step_forbidden_for_classification",
        "A kind of step is forbidden for agents of the listed risk classes.",
        AT_STEP,
        (
            step_type("forbidden_step_type", "The kind that is forbidden."),
            Param(
                "agent_risk_classifications",
                "risk_classifications",
                "The risk classes of agents for which it is forbidden.",
                required=True,
            ),
            verb("forbidden_verb", "forbidden_step_type", "steps"),
            property_filter("forbidden_property_filter", "steps"),
        ),
        _step_forbidden_for_classification,
    ),
    Rule(
        "working_hours_only",
        "Steps happen only from the start hour up to, not including, the end hour. A start that "
        "is not before the end goes on past midnight.",
        AT_REGISTRATION_AND_STEP,
        (
            Param("start_hour", "integer", "0 to 23.", required=True, maximum=23),
            Param("end_hour", "integer", "0 to 24.", required=True, maximum=24),
            Param("timezone", "timezone", "A name such as Europe/Amsterdam.", default="UTC"),
        ),
        _working_hours_only,
    ),
    Rule(
        "step_name_in_allowlist",
        "A step's name must be in a list of the agent's; an agent without the list may do none of "
        "the steps. Without target kinds every step but the task's own moments is judged.",
        AT_STEP,
        (
            Param(
                "agent_field",
                "agent_field",
                "declared_tools, or metadata.<key> for a list in the agent's metadata.",
                required=True,
            ),
            step_types("target_step_types", "The kinds of steps that are judged."),
        ),
        _step_name_in_allowlist,
    ),
    Rule(
        "path_within_root",
        "A path must lie in the agent's project folder, compared as text: .. is followed, links "
        "are not. Passes when the folder or the path is unknown. Steps of kinds without verbs are "
        "judged whatever the verbs say.",
        AT_STEP,
        (
            Param("field", "string", "The field that holds the path.", default="target.host"),
            step_types("target_step_types", "The kinds of steps that are judged."),
            Param("target_verb", "verb", f"Only steps with this verb: {VERB_NOTE}"),
            Param("target_verbs", "verbs", f"Only steps with one of these verbs: {VERB_NOTE}"),
        ),
        _path_within_root,
    ),
)
