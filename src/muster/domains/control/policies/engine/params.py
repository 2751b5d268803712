"""Reads the parameters of rules: strictly, with the place of everything that is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from muster.domains.control.policies.engine.context import Schema, Scope
from muster.domains.control.policies.engine.errors import Problem
from muster.domains.control.policies.engine.matching import verbs_of
from muster.domains.control.policies.engine.param_types import TYPES, Wrong
from muster.domains.control.policies.engine.rule import Param, Rule
from muster.domains.control.policies.engine.vocabulary import KINDS

MAX_DEPTH: Final = 8
"""How deep compound rules nest."""


@dataclass(slots=True)
class ParamReader:
    """Reads one policy's parameters and gathers the problems."""

    rules: Mapping[str, Rule]
    schema: Schema
    scope: Scope | None
    problems: list[Problem]

    def problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def rule(self, name: Any, path: str) -> Rule | None:
        """Return the rule of this name if it can be used where the policy is heard."""
        rule = self.rules.get(name) if isinstance(name, str) else None
        if rule is None:
            self.problem(path, f"must be one of the rules {', '.join(self.rules)}")
        elif self.scope is not None and self.scope not in rule.scopes:
            self.problem(path, f"{rule.name} cannot be judged at {self.scope}")
        return rule

    def params(self, rule: Rule, raw: Any, path: str, depth: int = 0) -> dict[str, Any]:
        """Return the parameters under the names of the second generation."""
        if not isinstance(raw, Mapping):
            self.problem(path, "must be an object")
            return {}
        before = len(self.problems)
        given = self._named(rule, cast("Mapping[Any, Any]", raw), path)
        read: dict[str, Any] = {}
        for param in rule.params:
            spelling, value = given.get(param.name, (self._name(param), None))
            at = f"{path}.{spelling}"
            if value is None:
                if param.required and param.schema in {None, self.schema}:
                    self.problem(at, "is required")
                continue
            found = self._value(param, value, at, depth)
            if found is not None:
                read[param.name] = found
        if len(self.problems) == before:
            self._check(rule, read, path)
        return read

    def _name(self, param: Param) -> str:
        return param.third_name if self.schema == "3" else param.name

    def _named(self, rule: Rule, raw: Mapping[Any, Any], path: str) -> dict[str, tuple[str, Any]]:
        names = {spelling: param for param in rule.params for spelling in _spellings(param)}
        given: dict[str, tuple[str, Any]] = {}
        for key, value in raw.items():
            param = names.get(key)
            at = f"{path}.{key}"
            if param is None:
                known = [self._name(p) for p in rule.params if p.schema in {None, self.schema}]
                self.problem(at, f"is no parameter of {rule.name}; it has {', '.join(known)}")
            elif param.schema not in {None, self.schema}:
                self.problem(at, f"is a parameter of schema {param.schema} only")
            elif param.name in given:
                self.problem(at, f"says the same as {given[param.name][0]}; give one of them")
            else:
                given[param.name] = (key, value)
        return given

    def _value(self, param: Param, value: Any, at: str, depth: int) -> Any:
        if param.type == "condition":
            return self._condition(value, at, depth + 1)
        if param.type == "conditions":
            if not isinstance(value, list) or not value:
                self.problem(at, "must be a list of at least one condition")
                return None
            items = cast("list[Any]", value)
            return [self._condition(v, f"{at}[{i}]", depth + 1) for i, v in enumerate(items)]
        try:
            return TYPES[param.type].read(value, param, self.schema)
        except Wrong as wrong:
            self.problem(at + wrong.at, wrong.message)
            return None

    def _condition(self, raw: Any, path: str, depth: int) -> dict[str, Any] | None:
        if depth > MAX_DEPTH:
            self.problem(path, f"is nested more than {MAX_DEPTH} deep")
            return None
        if not isinstance(raw, Mapping):
            self.problem(path, "must be an object with rule_type and params")
            return None
        fields = cast("Mapping[Any, Any]", raw)
        for key in fields:
            if key not in {"rule_type", "params"}:
                self.problem(f"{path}.{key}", "a condition has only rule_type and params")
        rule = self.rule(fields.get("rule_type"), f"{path}.rule_type")
        if rule is None:
            return None
        params = self.params(rule, fields.get("params", {}), f"{path}.params", depth)
        return {"rule_type": rule.name, "params": params}

    def _check(self, rule: Rule, params: Mapping[str, Any], path: str) -> None:
        for param in rule.params:
            verb, kinds = params.get(param.name), params.get(param.verb_of)
            if verb is None or kinds is None:
                continue
            wanted = verbs_of(verb)
            if not any(KINDS[kind] & wanted for kind in _listed(kinds)):
                message = f"none of the kinds {', '.join(_listed(kinds))} takes it"
                self.problem(f"{path}.{self._name(param)}", message)
        if self.scope is not None:
            for name, message in rule.check(params, self.scope):
                self.problem(f"{path}.{name}", message)


def _spellings(param: Param) -> set[str]:
    names = {param.name, param.third_name}
    if "step_types" in param.name:
        names |= {name.removesuffix("s") for name in names}
    return names


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
