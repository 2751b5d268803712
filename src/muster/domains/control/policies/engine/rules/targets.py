"""The parameters by which rules say which steps they are about."""

from muster.domains.control.policies.engine.rule import Param

VERB_NOTE = "GET, POST, PATCH, DELETE, or WRITE for any of POST, PATCH and DELETE."


def step_type(name: str, description: str) -> Param:
    return Param(name, "step_type", description, required=True)


def step_types(name: str, description: str, *, required: bool = False) -> Param:
    return Param(name, "step_types", description, required=required)


def verb(name: str, of: str, whose: str) -> Param:
    return Param(name, "verb", f"Only {whose} with this verb: {VERB_NOTE}", verb_of=of)


def property_filter(name: str, whose: str) -> Param:
    return Param(
        name,
        "filter",
        f"Only {whose} whose properties have these values; keys are dotted paths.",
    )


def target(*, required: bool) -> tuple[Param, ...]:
    """Return the three parameters that restrict which intended steps a rule judges."""
    return (
        step_types("target_step_types", "The kinds of steps that are judged.", required=required),
        verb("target_verb", "target_step_types", "judged steps"),
        property_filter("target_property_filter", "judged steps"),
    )
