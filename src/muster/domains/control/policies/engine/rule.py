"""What a rule is: its name, what it is told, and how it becomes a judge."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.domains.control.policies.engine.context import (
    Context,
    Details,
    RateQuery,
    Schema,
    Scope,
)
from muster.domains.control.policies.engine.fields import of_profile, of_step, text_of_values
from muster.domains.control.policies.engine.matching import Matcher, filter_text, verbs_of
from muster.domains.control.policies.engine.memory import Binder, TaskMemory
from muster.domains.control.policies.engine.vocabulary import NormalStep


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a rule, under its name in the second generation.

    `schema` is set when only that generation knows it. `verb_of` names the parameter whose kinds
    a verb must fit.
    """

    name: str
    type: str
    description: str
    required: bool = False
    default: Any = None
    schema: Schema | None = None
    minimum: int = 0
    maximum: int | None = None
    verb_of: str = ""

    @property
    def third_name(self) -> str:
        """The name in the third generation, which says kinds instead of step types."""
        return self.name.replace("step_type", "kind")


class Moment:
    """What is judged: a step or an agent's profile, in its context and with its past."""

    __slots__ = ("_input_text", "context", "memory", "profile", "scope", "step")

    def __init__(
        self,
        scope: Scope,
        step: NormalStep,
        profile: Mapping[str, Any] | None,
        memory: TaskMemory,
        context: Context,
    ) -> None:
        self.scope, self.step, self.profile = scope, step, profile
        self.memory, self.context = memory, context
        self._input_text: str | None = None

    @property
    def input_text(self) -> str:
        """The values of the step's input as text, made once for all policies that search it."""
        if self._input_text is None:
            self._input_text = text_of_values(self.step.input)
        return self._input_text

    def read(self, path: str) -> Any:
        """Read a field of the profile or of the step, or `MISSING`."""
        if self.profile is not None:
            return of_profile(self.profile, path)
        return of_step(self.step, path)


Judge = Callable[[Moment], Details | None]
"""Returns None when the rule passes, else details with a `message`."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judge and the kinds of steps about which it can say anything but yes (None: any)."""

    judge: Judge
    kinds: frozenset[str] | None = None


class Setup:
    """What a rule is compiled from: its parameters, and where it is heard."""

    def __init__(
        self,
        params: Mapping[str, Any],
        *,
        schema: Schema,
        scope: Scope,
        binder: Binder,
        rates: dict[str, RateQuery],
        compile_condition: "Callable[[Mapping[str, Any], Setup], Judgement]",
    ) -> None:
        self.params = params
        self.schema: Schema = schema
        self.scope: Scope = scope
        self.binder, self.rates = binder, rates
        self._compile_condition = compile_condition

    @property
    def is_third(self) -> bool:
        return self.schema == "3"

    @property
    def at_end(self) -> bool:
        """Whether the whole task is judged, so that no step is about to happen."""
        return self.scope == "task_execution"

    def kinds(self, name: str) -> frozenset[str] | None:
        """Return the kinds that a parameter lists, None when it is absent."""
        given = self.params.get(name)
        if given is None:
            return None
        return frozenset({given}) if isinstance(given, str) else frozenset(given)

    def matcher(
        self,
        kinds: str,
        *,
        verb: str = "",
        verbs: str = "",
        properties: str = "",
        output: str = "",
        name: str = "",
        effective_only: bool = False,
    ) -> Matcher:
        """Build a matcher; the arguments are the names of the parameters that restrict it."""
        listed: list[str] = [*self.params.get(verbs, ())]
        if self.params.get(verb):
            listed.append(self.params[verb])
        return Matcher(
            kinds=self.kinds(kinds),
            verbs=verbs_of(*listed) if listed else None,
            name=self.params.get(name),
            properties=filter_text(self.params.get(properties)),
            output=filter_text(self.params.get(output)),
            effective_only=effective_only,
        )

    def condition(self, raw: Mapping[str, Any]) -> Judgement:
        """Compile a condition inside of a compound rule."""
        return self._compile_condition(raw, self)

    def nested(self, params: Mapping[str, Any]) -> "Setup":
        """Return the setup of a condition."""
        return Setup(
            params,
            schema=self.schema,
            scope=self.scope,
            binder=self.binder,
            rates=self.rates,
            compile_condition=self._compile_condition,
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One of the rules that a policy can name."""

    name: str
    description: str
    scopes: frozenset[Scope]
    params: Sequence[Param]
    compile: Callable[[Setup], Judgement]
    check: Callable[[Mapping[str, Any], Scope], Iterable[tuple[str, str]]] = lambda _, __: ()
    """Finds what is wrong with parameters that are right one by one: names and messages."""


AT_STEP = frozenset[Scope]({"step_execution"})
AT_STEP_AND_END = frozenset[Scope]({"step_execution", "task_execution"})
EVERYWHERE = frozenset[Scope]({"agent_registration", "step_execution", "task_execution"})
AT_REGISTRATION_AND_STEP = frozenset[Scope]({"agent_registration", "step_execution"})


def violation(message: str, **facts: Any) -> Details:
    """Return the details of a violation."""
    return {"message": message, **facts}
