"""What a trigger's configuration and action come to, or why they cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from muster.domains.work.plans import ExpressionInvalid, TargetKind, names_of, template_expressions
from muster.domains.work.triggers.cron import LONGEST, CronRule
from muster.domains.work.triggers.errors import TriggerInvalid
from muster.domains.work.triggers.schemas import TriggerAction, TriggerConfig
from muster.kernel.errors import FieldError
from muster.platform.events import is_pattern

FIELDS: dict[str, dict[str, Any]] = {
    "cron": {
        "cron": None,
        "timezone": "UTC",
        "overlap": "allow",
        "misfire": "fire_once",
        "misfire_grace_s": 60,
    },
    "webhook": {"secret": None, "verification": "standard"},
    "event": {"events": None, "filter": "", "max_per_minute": None},
}
"""The fields of each type, with what holds where one is left away."""

KINDS: tuple[TargetKind, ...] = get_args(TargetKind)
_DEFINABLE = {"crew", "workflow"}
_VARIABLES = {"event", "payload", "trigger", "now"}
_MOST_TEXT = 256_000


def refused(field: str, message: str) -> TriggerInvalid:
    """Return the error about one field."""
    return TriggerInvalid(f"{message}.", errors=[FieldError(field, message)])


def configured(
    type: str, body: TriggerConfig, before: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], str | None]:
    """Return the configuration after a change, and the secret that was given.

    Args:
        type: Of the trigger.
        body: What is given; what is not stays.
        before: What holds now.
    """
    given = body.given()
    known = FIELDS[type]
    for name in given:
        if name not in known:
            raise refused(
                f"config.{name}", f"A trigger of type {type} takes {', '.join(sorted(known))}"
            )
    secret: str | None = given.pop("secret", None)
    config = {**known, **(before or {}), **given}
    config.pop("secret", None)
    if type == "cron":
        if config["cron"] is None:
            raise refused("config.cron", "A trigger of type cron needs config.cron")
        if len(config["cron"]) > LONGEST:
            raise refused("config.cron", f"A cron expression has at most {LONGEST} characters")
        CronRule(config["cron"], config["timezone"])
    elif type == "event":
        _check_event(config)
    return config, secret


def _check_event(config: Mapping[str, Any]) -> None:
    if not config["events"]:
        raise refused("config.events", "A trigger of type event needs config.events")
    for pattern in config["events"]:
        if not is_pattern(pattern):
            raise refused(
                "config.events",
                "A type is lower-case words with dots between, such as run.failed or agent.*",
            )
    if config["filter"]:
        unknown = names_of(config["filter"]) - {"event"}
        if unknown:
            raise refused("config.filter", f"{min(unknown)} is not known; a filter reads `event`")


@dataclass(frozen=True, slots=True)
class Action:
    """What a trigger starts, with which inputs."""

    kind: TargetKind
    reference: str
    definition: dict[str, Any] | None
    inputs: dict[str, Any] | None


def action_of(body: TriggerAction) -> Action:
    """Return what an action means; raises `TriggerInvalid` where it says nothing or too much."""
    named: dict[TargetKind, str] = {
        kind: value for kind in KINDS if (value := getattr(body, kind)) is not None
    }
    said = _kind_of(body.type) if body.type else None
    if body.target is not None and said is not None:
        named.setdefault(said, body.target)
    if len(named) > 1:
        raise refused("action", f"Name one of {', '.join(named)} only")
    kind = next(iter(named)) if named else said
    if kind is None or (not named and not body.definition):
        raise refused("action", "Say what to start: agent, task, crew or workflow")
    if said is not None and said != kind:
        raise refused("action.type", f"The action names {kind} and is of type {said}")
    if body.definition is not None:
        if kind not in _DEFINABLE:
            raise refused("action.definition", "Only a crew or a workflow is defined in place")
        if named:
            raise refused("action.definition", f"The action names {kind} already; leave one out")
    inputs = body.inputs
    if body.prompt is not None:
        inputs = {**(inputs or {}), "prompt": body.prompt}
    _check_templates(inputs)
    return Action(kind, named.get(kind, ""), body.definition, inputs)


def _kind_of(text: str) -> TargetKind:
    word = text.strip().lower().replace("-", "_")
    for prefix in ("run_", "start_", "execute_"):
        word = word.removeprefix(prefix)
    word = {"flow": "workflow"}.get(word, word)
    for kind in KINDS:
        if word == kind:
            return kind
    raise refused("action.type", f"An action is one of {', '.join(KINDS)}")


def _check_templates(value: Any) -> None:
    for text in _texts(value):
        for expression in template_expressions(text):
            try:
                unknown = names_of(expression) - _VARIABLES
            except ExpressionInvalid as error:
                raise refused("action.inputs", error.detail.rstrip(".")) from None
            if unknown:
                raise refused(
                    "action.inputs",
                    f"{min(unknown)} is not known; templates read event, payload, trigger and now",
                )


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for one in value.values() for text in _texts(one)]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]  # pyright: ignore[reportUnknownVariableType]
    return []
