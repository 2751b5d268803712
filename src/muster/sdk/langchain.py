"""Recording what LangChain does, as a callback handler.

chain.invoke(question, config={"callbacks": [MusterHandler(muster, gate=True)]})
"""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeVar, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from muster.sdk.client import Muster
from muster.sdk.errors import SdkError
from muster.sdk.steps import Step
from muster.sdk.tasks import Task

logger = logging.getLogger("muster.sdk")

Kinds = Mapping[str, tuple[str, str | None]]
F = TypeVar("F", bound=Callable[..., Any])


def _quietly(hook: F) -> F:
    """Let nothing out of a hook but what is to stop the agent."""

    @functools.wraps(hook)
    def call(*args: Any, **kwargs: Any) -> None:
        try:
            hook(*args, **kwargs)
        except SdkError:
            raise
        except Exception:
            logger.exception("%s could not be recorded", hook.__name__)

    return cast("F", call)


class MusterHandler(BaseCallbackHandler):
    """Records calls of models, tools and retrievers in the current task.

    Where no task is open, the outermost chain, or the call itself, is a task of its own.

    Args:
        muster: Where they are recorded.
        gate: Whether policies are asked before each call of a model or a tool or a retriever.
        kinds: Kind and verb by name of the tool; `step.exec` for others.
        chains: Whether inner chains are recorded too, as `step.unknown`.
    """

    raise_error = True
    """A refused step is refused: what a hook raises stops the call."""

    def __init__(
        self,
        muster: Muster,
        *,
        gate: bool = False,
        kinds: Kinds | None = None,
        chains: bool = False,
    ) -> None:
        self._muster, self._gate, self._chains = muster, gate, chains
        self._kinds = dict(kinds or {})
        self._lock = Lock()
        self._steps: dict[UUID, Step] = {}
        self._tasks: dict[UUID, Task] = {}
        self._own: dict[UUID, Task] = {}

    def _task(self, run_id: UUID, parent: UUID | None, name: str, inputs: Any) -> Task:
        """Return the task of a call, and begin one where there is none."""
        with self._lock:
            task = self._tasks.get(parent) if parent is not None else None
        task = task or self._muster.current_task()
        if task is None:
            task = self._muster.task(inputs=inputs, name=name)
            task.start()
            self._own[run_id] = task
        self._tasks[run_id] = task
        return task

    def _begin(
        self,
        run_id: UUID,
        parent: UUID | None,
        kind: str,
        name: str,
        *,
        input: Any,
        verb: str | None = None,
        properties: Mapping[str, Any] | None = None,
        gate: bool | None = None,
    ) -> None:
        task = self._task(run_id, parent, name, input)
        asked = self._gate if gate is None else gate
        step = task.step(kind, name, verb=verb, input=input, properties=properties, gate=asked)
        try:
            step.begin()
        except SdkError as error:
            self._over(run_id, None, error)
            raise
        self._steps[run_id] = step

    def _end(self, run_id: UUID, output: Any = None, error: BaseException | None = None) -> None:
        step = self._steps.pop(run_id, None)
        if step is not None:
            step.output = output
            step.finish(error)
        self._over(run_id, output, error)

    def _over(self, run_id: UUID, output: Any, error: BaseException | None) -> None:
        self._tasks.pop(run_id, None)
        own = self._own.pop(run_id, None)
        if own is not None:
            own.output = output
            own.finish(error)

    @_quietly
    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        told = [[{"role": m.type, "content": m.content} for m in batch] for batch in messages]
        self._model(run_id, parent_run_id, told, metadata or {}, kwargs | (serialized or {}))

    @_quietly
    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        self._model(run_id, parent_run_id, prompts, metadata or {}, kwargs | (serialized or {}))

    def _model(
        self,
        run_id: UUID,
        parent: UUID | None,
        prompts: Any,
        metadata: Mapping[str, Any],
        more: Mapping[str, Any],
    ) -> None:
        asked: Mapping[str, Any] = more.get("invocation_params") or {}
        model = metadata.get("ls_model_name") or asked.get("model") or asked.get("model_name")
        name = str(model or more.get("name") or "model")
        properties = {"model": name, "provider": metadata.get("ls_provider")}
        shown = {name: value for name, value in properties.items() if value}
        self._begin(
            run_id, parent, "step.model", name, input={"messages": prompts}, properties=shown
        )

    @_quietly
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> Any:
        step = self._steps.get(run_id)
        if step is not None and (usage := _usage(response)):
            step.properties["usage"] = usage
        told = [_generated(one) for batch in response.generations for one in batch]
        self._end(run_id, told[0] if len(told) == 1 else told)

    @_quietly
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> Any:
        self._end(run_id, error=error)

    @_quietly
    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        name = str((serialized or {}).get("name") or kwargs.get("name") or "tool")
        kind, verb = self._kinds.get(name, ("step.exec", None))
        given = input_str if inputs is None else inputs
        self._begin(run_id, parent_run_id, kind, name, verb=verb, input=given)

    @_quietly
    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> Any:
        self._end(run_id, output.content if isinstance(output, BaseMessage) else output)

    @_quietly
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> Any:
        self._end(run_id, error=error)

    @_quietly
    def on_retriever_start(
        self,
        serialized: dict[str, Any],
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> Any:
        name = str((serialized or {}).get("name") or kwargs.get("name") or "retriever")
        asked = {"query": query}
        self._begin(run_id, parent_run_id, "step.resource", name, verb="GET", input=asked)

    @_quietly
    def on_retriever_end(self, documents: Sequence[Document], *, run_id: UUID, **_: Any) -> Any:
        self._end(run_id, [{"text": d.page_content, "metadata": d.metadata} for d in documents])

    @_quietly
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> Any:
        self._end(run_id, error=error)

    @_quietly
    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> Any:
        name = str(kwargs.get("name") or (serialized or {}).get("name") or "chain")
        if self._chains and parent_run_id is not None:
            self._begin(run_id, parent_run_id, "step.unknown", name, input=inputs, gate=False)
        else:
            self._task(run_id, parent_run_id, name, inputs)

    @_quietly
    def on_chain_end(self, outputs: dict[str, Any], *, run_id: UUID, **_: Any) -> Any:
        self._end(run_id, outputs)

    @_quietly
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> Any:
        self._end(run_id, error=error)


def _generated(generation: Any) -> dict[str, Any]:
    message = getattr(generation, "message", None)
    calls = getattr(message, "tool_calls", None)
    told: dict[str, Any] = {"content": getattr(message, "content", generation.text)}
    return told | {"tool_calls": calls} if calls else told


def _usage(response: LLMResult) -> dict[str, int]:
    total: dict[str, int] = {}
    for batch in response.generations:
        for one in batch:
            message = getattr(one, "message", None)
            usage: Any = getattr(message, "usage_metadata", None) or {}
            given: dict[str, int] = usage.get("input_token_details") or {}
            made: dict[str, int] = usage.get("output_token_details") or {}
            counts: dict[str, int | None] = {
                "input_tokens": usage.get("input_tokens"),
                "output_tokens": usage.get("output_tokens"),
                "cached_tokens": given.get("cache_read"),
                "reasoning_tokens": made.get("reasoning"),
            }
            for name, count in counts.items():
                if count:
                    total[name] = total.get(name, 0) + count
    return total
