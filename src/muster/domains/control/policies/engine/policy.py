"""A policy, and the strict way from what somebody wrote to one that can be judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from muster.domains.control.policies.engine.context import (
    ENFORCEMENTS,
    ENVIRONMENTS,
    RISK_CLASSES,
    SCOPES,
    SEVERITY_WEIGHTS,
    Context,
    Enforcement,
    Schema,
    Scope,
    Severity,
)
from muster.domains.control.policies.engine.errors import PolicyInvalid, Problem
from muster.domains.control.policies.engine.params import ParamReader
from muster.domains.control.policies.engine.rules import RULES

SCHEMAS: tuple[Schema, ...] = ("2", "3")
_FIELDS: Final = frozenset(
    {
        "id",
        "name",
        "description",
        "rule_type",
        "params",
        "severity",
        "scope",
        "enforcement_point",
        "enabled",
        "agent_id",
        "risk_classification",
        "environment",
        "environments",
        "enforcement",
        "schema",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A rule with its parameters, where it is heard, how hard it is, and whom it is about.

    `params` has the names of the second generation whatever the policy was written in; `schema`
    says whose meaning the rule has. `enforcement` is None for what the severity says by itself.
    """

    id: str
    name: str
    rule_type: str
    params: Mapping[str, Any]
    severity: Severity
    scope: Scope
    description: str = ""
    enabled: bool = True
    agent_id: str | None = None
    risk_classification: str | None = None
    environments: tuple[str, ...] = ()
    enforcement: Enforcement | None = None
    schema: Schema = "2"

    @property
    def effective_enforcement(self) -> Enforcement:
        """What a violation does; a task that is over can only be warned about."""
        if self.scope == "task_execution":
            return "warn"
        return self.enforcement or ("block" if self.severity == "critical" else "warn")

    def applies_to(self, context: Context) -> bool:
        """Whether the policy is about this agent; one without class or environment gets all."""
        if not self.enabled or self.agent_id not in {None, context.agent_id}:
            return False
        if self.environments and context.environment:
            return context.environment in self.environments and self._class_applies(context)
        return self._class_applies(context)

    def _class_applies(self, context: Context) -> bool:
        mine, its = self.risk_classification, context.risk_classification
        if not mine or not its:
            return True
        if self.schema == "2":
            return its == mine
        if its == RISK_CLASSES[0] or its not in RISK_CLASSES:
            return True
        return RISK_CLASSES.index(its) >= RISK_CLASSES.index(mine)


def load_policy(raw: Mapping[str, Any], *, schema: str = "2") -> Policy:
    """Read a policy; raises `PolicyInvalid` with every problem.

    `schema` is the generation whose meaning the rules have, unless the policy names its own.
    The spellings of both generations are understood in either.
    """
    policy, problems = read_policy(raw, path="", schema=schema, default_id="")
    if policy is None or problems:
        raise PolicyInvalid(problems)
    return policy


def read_policy(
    raw: Any, *, path: str, schema: str, default_id: str
) -> tuple[Policy | None, list[Problem]]:
    """Read a policy that lies at `path`; return it, or None, with what is wrong."""
    if not isinstance(raw, Mapping):
        return None, [Problem(path, "must be an object")]
    reader = _PolicyReader(cast("Mapping[Any, Any]", raw), f"{path}." if path else "")
    policy = reader.read(schema, default_id)
    return policy, reader.problems


@dataclass(slots=True)
class _PolicyReader:
    raw: Mapping[Any, Any]
    prefix: str
    problems: list[Problem] = field(default_factory=list[Problem])

    def read(self, schema: str, default_id: str) -> Policy | None:
        for key in self.raw:
            if key not in _FIELDS:
                self._problem(str(key), "is no field of a policy")
        chosen = self._schema(schema)
        scope = self._scope()
        params = ParamReader(RULES, chosen, scope, self.problems)
        rule = params.rule(self.raw.get("rule_type"), f"{self.prefix}rule_type")
        read = (
            params.params(rule, self.raw.get("params", {}), f"{self.prefix}params") if rule else {}
        )
        policy: dict[str, Any] = {
            "id": self._id(default_id),
            "name": self._text("name", required=True),
            "description": self._text("description"),
            "severity": self._choice("severity", tuple(SEVERITY_WEIGHTS), required=True),
            "enabled": self._enabled(),
            "agent_id": self._text("agent_id") or None,
            "risk_classification": self._choice("risk_classification", RISK_CLASSES),
            "environments": self._environments(),
            "enforcement": self._enforcement(scope),
        }
        if self.problems or rule is None or scope is None:
            return None
        return Policy(**policy, rule_type=rule.name, params=read, scope=scope, schema=chosen)

    def _problem(self, key: str, message: str) -> None:
        self.problems.append(Problem(f"{self.prefix}{key}", message))

    def _schema(self, default: str) -> Schema:
        found = read_schema(self.raw.get("schema", default))
        if found is None:
            self._problem("schema", f"must be one of {', '.join(SCHEMAS)}")
        return found or "2"

    def _scope(self) -> Scope | None:
        given = [key for key in ("scope", "enforcement_point") if self.raw.get(key) is not None]
        values = {str(self.raw[key]) for key in given}
        if len(values) > 1:
            self._problem("enforcement_point", "differs from scope; give one of them")
            return None
        scope: Scope | None = next((known for known in SCOPES if known in values), None)
        if scope is None:
            key = given[0] if given else "scope"
            self._problem(key, f"must be one of {', '.join(SCOPES)}")
        return scope

    def _id(self, default: str) -> str:
        found = self.raw.get("id", default)
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        if not isinstance(found, str):
            self._problem("id", "must be a string or an integer")
            return default
        return found

    def _text(self, key: str, *, required: bool = False) -> str:
        value = self.raw.get(key)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or (required and not value.strip()):
            self._problem(key, "must be a string that is not blank" if required else "must be text")
            return ""
        return value

    def _choice(self, key: str, allowed: tuple[str, ...], *, required: bool = False) -> Any:
        value = self.raw.get(key)
        if (value is None and not required) or value in allowed:
            return value
        self._problem(key, f"must be one of {', '.join(allowed)}")
        return None

    def _enabled(self) -> bool:
        value = self.raw.get("enabled", True)
        if not isinstance(value, bool):
            self._problem("enabled", "must be true or false")
        return value is not False

    def _environments(self) -> tuple[str, ...]:
        one, many = self.raw.get("environment"), self.raw.get("environments")
        if one is not None and many is not None:
            self._problem("environments", "says the same as environment; give one of them")
            return ()
        key = "environment" if one is not None else "environments"
        given = one if one is not None else many
        if given is None:
            return ()
        listed = cast("list[Any]", given if isinstance(given, list) else [given])
        if not listed or any(item not in ENVIRONMENTS for item in listed):
            self._problem(key, f"must be some of {', '.join(ENVIRONMENTS)}")
            return ()
        return tuple(listed)

    def _enforcement(self, scope: Scope | None) -> Any:
        found = self._choice("enforcement", ENFORCEMENTS)
        if found not in {None, "warn"} and scope == "task_execution":
            self._problem("enforcement", "can only be warn at task_execution: the task is over")
        return found


def read_schema(value: Any) -> Schema | None:
    """Return the generation that a value names, or None."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    return next((known for known in SCHEMAS if known == text), None)
