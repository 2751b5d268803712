"""`step(...)` around a function or a block, in whatever task the code runs."""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar, cast

from muster.sdk.steps import Core, Step
from muster.sdk.tasks import Task, current_task
from muster.sdk.vocabulary import verb_of

F = TypeVar("F", bound=Callable[..., Any])

_OWN = frozenset({"self", "cls"})


class Recorded:
    """A step of the current task. Where there is none, a task is made of the step alone.

    A decorator of functions and coroutine functions: the input is the arguments, the output what
    is returned. Or a context manager, once.
    """

    def __init__(
        self,
        core: Core,
        kind: str,
        name: str | None,
        *,
        verb: str | None,
        input: Any,
        properties: Mapping[str, Any] | None,
        gate: bool,
    ) -> None:
        verb_of(kind, verb)
        self._core, self._kind, self._name, self._verb = core, kind, name, verb
        self._input, self._properties, self._gate = input, properties, gate
        self._entered: Step | None = None
        self._own: Task | None = None

    def __call__(self, function: F) -> F:
        """Record each call of a function as a step."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("step() cannot decorate a generator; use it as a context manager in it")
        name = self._name or function.__qualname__
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._again(name, _arguments(signature, args, kwargs)) as step:
                step.output = function(*args, **kwargs)
                return step.output

        @functools.wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            async with self._again(name, _arguments(signature, args, kwargs)) as step:
                step.output = await function(*args, **kwargs)
                return step.output

        return cast("F", acall if inspect.iscoroutinefunction(function) else call)

    def _again(self, name: str, given: Any) -> "Recorded":
        return Recorded(
            self._core,
            self._kind,
            name,
            verb=self._verb,
            input=given if self._input is None else self._input,
            properties=self._properties,
            gate=self._gate,
        )

    def _step(self) -> Step:
        task = current_task(self._core)
        if task is None:
            self._own = task = Task(self._core, name=self._name)
        self._entered = task.step(
            self._kind,
            self._name,
            verb=self._verb,
            input=self._input,
            properties=self._properties,
            gate=self._gate,
        )
        return self._entered

    def __enter__(self) -> Step:
        step = self._step()
        if self._own is not None:
            self._own.__enter__()
        try:
            return step.__enter__()
        except BaseException as error:
            if self._own is not None:
                self._own.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._entered is not None  # noqa: S101 - `with` has entered
        self._entered.finish(error)
        if self._own is not None:
            self._own.output = self._entered.output
            self._own.__exit__(kind, error, trace)

    async def __aenter__(self) -> Step:
        step = self._step()
        if self._own is not None:
            await self._own.__aenter__()
        try:
            return await step.__aenter__()
        except BaseException as error:
            if self._own is not None:
                await self._own.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._entered is not None  # noqa: S101 - `async with` has entered
        await self._entered.afinish(error)
        if self._own is not None:
            self._own.output = self._entered.output
            await self._own.__aexit__(kind, error, trace)


def _arguments(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError:  # the call itself will say so
        return {"args": list(args), **kwargs}
    given = list(bound.items())
    return dict(given[1:] if given and given[0][0] in _OWN else given)
