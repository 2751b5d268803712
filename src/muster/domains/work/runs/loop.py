"""The agent loop: think, act, think again, until there is an answer.

Every act of the loop is one durable step of `StepRunner`. The loop itself keeps nothing: taken up
again after a crash it runs from the beginning, and the steps that are in the journal answer from
there.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from muster.adapters.models import (
    Message,
    ModelReply,
    ModelRequest,
    OutputUnfit,
    ToolCall,
    message_to_json,
)
from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.agents import AgentSpec
from muster.domains.catalogue.models import CallableModel
from muster.domains.catalogue.tools import BoundTool
from muster.domains.work.runs.errors import RunOutputUnfit
from muster.domains.work.runs.interruptions import Refused, raise_first
from muster.domains.work.runs.prompting import Prompt
from muster.domains.work.runs.steps import ModelCall, StepRunner, ToolUse

_LAST_WORD = (
    "You have reached the limit of your iterations. Give your best final answer now from what you "
    "know; no tool can be called any more."
)
_MEND = (
    "Your answer does not fit the required output schema. {problem}\n"
    "Give the whole answer again, as JSON that fits the schema, and nothing else."
)
_MOST_REPAIRS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an agent's run came to."""

    output: Any
    iterations: int
    limit_reached: bool = False


class AgentLoop:
    """One agent at work on one prompt."""

    def __init__(
        self,
        runner: StepRunner,
        model: CallableModel,
        tools: Sequence[BoundTool],
        spec: AgentSpec,
    ) -> None:
        self._runner, self._model = runner, model
        self._tools = {tool.name: tool for tool in tools}
        self._specs = tuple(tool.spec for tool in tools if tool.enabled)
        self._output_schema = spec.output_schema
        self._settings = {**model.settings, **spec.settings}
        self._messages: list[Message] = []
        self._told = 0

    async def run(self, prompt: Prompt) -> Answer:
        """Work until the model answers without calling a tool."""
        self._messages = [
            Message(role="system", content=prompt.system),
            Message(role="user", content=prompt.user),
        ]
        iteration = 0
        while True:
            iteration += 1
            try:
                key, reply = await self._think(f"m{iteration}", iteration)
            except Refused as refused:
                if refused.code != "max_iter":
                    raise
                return await self._last_word(iteration)
            if not reply.tool_calls:
                return Answer(output=self._parsed(reply.content), iterations=iteration)
            await self._act(key, iteration, reply.tool_calls)

    async def _think(
        self, key: str, iteration: int, *, final: bool = False
    ) -> tuple[str, ModelReply]:
        """Ask the model, and again when its answer does not fit; returns the step that counts."""
        problem = ""
        for attempt in range(_MOST_REPAIRS + 1):
            step = f"{key}.r{attempt}" if attempt else key
            last_try = attempt == _MOST_REPAIRS
            try:
                return step, await self._ask(step, iteration, final=final, last_try=last_try)
            except OutputUnfit as error:
                problem = error.detail
                self._remember(error.reply)
                self._messages.append(Message(role="user", content=_MEND.format(problem=problem)))
        raise RunOutputUnfit(f"{problem} It was asked to mend it {_MOST_REPAIRS} times.")

    async def _ask(self, key: str, iteration: int, *, final: bool, last_try: bool) -> ModelReply:
        request = ModelRequest(
            messages=tuple(self._messages),
            tools=() if final else self._specs,
            settings=self._settings,
            output_schema=self._output_schema,
        )
        new, self._told = self._messages[self._told :], len(self._messages)
        call = ModelCall(
            key=key,
            iteration=0 if final else iteration,
            request=request,
            told=[message_to_json(message) for message in new],
            last_try=last_try,
        )
        reply = await self._runner.think(call, self._model)
        self._remember(reply)
        return reply

    def _remember(self, reply: ModelReply) -> None:
        self._messages.append(reply.as_message())
        # What the model said is in its own step; the next one tells only what came after.
        self._told = len(self._messages)

    async def _last_word(self, iteration: int) -> Answer:
        self._messages.append(Message(role="user", content=_LAST_WORD))
        _, reply = await self._think("final", iteration, final=True)
        output = self._parsed(reply.content)
        return Answer(output=output, iterations=iteration - 1, limit_reached=True)

    async def _act(self, parent: str, iteration: int, calls: Sequence[ToolCall]) -> None:
        uses = [
            ToolUse(
                key=f"t{iteration}.{position}",
                parent_key=parent,
                iteration=iteration,
                call=call,
                tool=self._tools.get(call.name),
            )
            for position, call in enumerate(calls)
        ]
        outcomes = await asyncio.gather(
            *(self._runner.act(use) for use in uses), return_exceptions=True
        )
        raise_first(outcomes)
        for use, outcome in zip(uses, outcomes, strict=True):
            assert isinstance(outcome, ToolOutcome)  # noqa: S101 - `raise_first` left only these
            self._messages.append(
                Message(
                    role="tool",
                    content=_text(outcome.content),
                    tool_call_id=use.call.id,
                    name=use.call.name,
                )
            )

    def _parsed(self, content: str) -> Any:
        if self._output_schema is None:
            return content
        try:
            return msgspec.json.decode(content)
        except msgspec.DecodeError:
            return content


def _text(content: Any) -> str:
    return content if isinstance(content, str) else msgspec.json.encode(content).decode()
