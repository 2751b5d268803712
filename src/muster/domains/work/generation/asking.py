"""Asking a model for a definition, again where its answer cannot be used."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import msgspec
from pydantic import ValidationError

from muster.adapters.models import Message, ModelReply, ModelRequest, OutputUnfit
from muster.domains.catalogue.models import CallableModel
from muster.domains.work.generation.checking import Unfit
from muster.domains.work.generation.drafts import Draft
from muster.domains.work.generation.errors import GenerationFailed
from muster.domains.work.generation.prompting import again
from muster.platform.access import Caller

ATTEMPTS = 3
_LONGEST_ANSWER = 500_000
_REMEMBERED_ANSWER = 20_000
_LONGEST_REASON = 500
_DEEPEST = 40

D = TypeVar("D", bound=Draft)
T = TypeVar("T")


class Models(Protocol):
    """The models of all projects, and how one of them is asked outside of a run."""

    async def default(self, project_id: str) -> str:
        """Return the model to use where none is named."""
        ...

    async def resolve(self, project_id: str, reference: str) -> CallableModel:
        """Return the model that a reference means; raises why it cannot be called."""
        ...

    async def problem(self, project_id: str, reference: str) -> str | None:
        """Return why `resolve` would refuse a reference, or None."""
        ...

    async def ask(self, caller: Caller, model: CallableModel, request: ModelRequest) -> ModelReply:
        """Call a model, if budgets, breakers and access rules let it."""
        ...

    async def admit(self, caller: Caller, model: CallableModel, request: ModelRequest) -> None:
        """Raise what `ask` would be refused with, for what is done in a model's name."""
        ...


@dataclass(slots=True)
class Spent:
    """What the answers took. The cost is null where the price of a call is not known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0

    def add(self, reply: ModelReply) -> None:
        """Count an answer."""
        self.input_tokens += reply.usage.input_tokens
        self.output_tokens += reply.usage.output_tokens
        known = self.cost is not None and reply.cost is not None
        self.cost = (self.cost or 0) + (reply.cost or 0) if known else None


async def drafted(
    models: Models,
    caller: Caller,
    model: CallableModel,
    messages: list[Message],
    kind: type[D],
    check: Callable[[D], T],
    spent: Spent,
) -> T:
    """Return what a model wrote, checked; it is asked again at most twice.

    Raises:
        GenerationFailed: None of its answers can be used; the text says what was wrong with the
            last one.
    """
    turns, reason = list(messages), ""
    for _ in range(ATTEMPTS):
        request = ModelRequest(
            messages=turns, settings=dict(model.settings), output_schema=kind.model_json_schema()
        )
        unfit: str | None = None
        try:
            reply = await models.ask(caller, model, request)
        except OutputUnfit as error:
            reply, unfit = error.reply, error.detail
        spent.add(reply)
        if unfit is None:
            try:
                return check(_read(reply.content, kind))
            except Unfit as error:
                unfit = str(error)
        reason = unfit[:_LONGEST_REASON]
        # Only what was said: a call that carried it must not be left without its result.
        said = Message(role="assistant", content=reply.content[:_REMEMBERED_ANSWER] or "{}")
        turns = [*messages, said, again(reason)]
    raise GenerationFailed(
        f"The model {model.name} gave {ATTEMPTS} answers that cannot be used; the last one: "
        f"{reason} Try again, describe in more detail what you want, or choose another model.",
        details={"model": model.name, "attempts": ATTEMPTS, "reason": reason},
    )


def _read(content: str, kind: type[D]) -> D:
    if len(content) > _LONGEST_ANSWER:
        raise Unfit(f"The answer is longer than {_LONGEST_ANSWER} characters.")
    try:
        # Strict about what no answer of ours could carry: halves of surrogate pairs, for one.
        value = msgspec.json.decode(content.replace("\\u0000", ""))
        if _depth(value) > _DEEPEST:
            raise Unfit(f"The answer is nested more than {_DEEPEST} levels deep.")
        return kind.model_validate(value)
    except ValidationError as error:
        found = [f"{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5]]
        raise Unfit("; ".join(found) + ".") from None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise Unfit("The answer is not JSON.") from None


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        inner, level = waiting.pop()
        deepest = max(deepest, level)
        if isinstance(inner, dict):
            waiting += [(one, level + 1) for one in cast("dict[str, Any]", inner).values()]
        elif isinstance(inner, list):
            waiting += [(one, level + 1) for one in cast("list[Any]", inner)]
    return deepest
