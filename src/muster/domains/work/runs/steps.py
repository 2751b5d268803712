"""The durable step: intend, gate, act, settle, append.

`StepRunner` is the only place where a run of the platform touches a model or a tool. A step whose
key is in the journal is answered from there and never happens again; everything else happens once,
is judged before, and is recorded after, whether it came off or not.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from muster.adapters.models import (
    ModelFailed,
    ModelReply,
    ModelRequest,
    OutputUnfit,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    reply_from_json,
)
from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.models import CallableModel
from muster.domains.catalogue.tools import BoundTool, ToolContext
from muster.domains.control.approvals import ApprovalRequest
from muster.domains.control.gate import (
    Action,
    ApprovalEvidence,
    Decision,
    Finding,
    Gate,
    IntendedStep,
    Limits,
    Outcome,
    Progress,
    ToolFacts,
    arguments_hash,
)
from muster.domains.work.journal import (
    Fenced,
    JournalWriter,
    NewStep,
    StepKind,
    StepStatus,
    run_topic,
)
from muster.domains.work.runs.counterparts import (
    breaker_of_model,
    breaker_of_tool,
    estimated_cost,
    model_answered,
    outcome_answered,
    tool_answered,
)
from muster.domains.work.runs.evidence import evidence, facts, rejected
from muster.domains.work.runs.interruptions import Refused, StopAsked, Suspended
from muster.domains.work.runs.keeping import count_tokens, failed, take_in
from muster.domains.work.runs.memory import RunMemory
from muster.domains.work.runs.speaking import Tokens
from muster.kernel import clock, metrics
from muster.kernel.errors import AppError, UpstreamTimeout
from muster.kernel.live import LiveBus

_RETRYABLE_CHOICES = ("retry", "skip", "fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call of the model. `told` are the turns since the last one, as the journal keeps them.

    An answer that does not fit the output schema is a finished step, because the model is told and
    asked again, except on the `last_try`: that one is made anew when the run is taken up again.
    """

    key: str
    iteration: int
    request: ModelRequest
    told: list[dict[str, Any]]
    last_try: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """One call of a tool; `tool` is None when the agent has no tool of this name.

    What takes longer than `timeout_s` is broken off and has failed.
    """

    key: str
    parent_key: str
    iteration: int
    call: ToolCall
    tool: BoundTool | None
    timeout_s: float | None = None


@dataclass(slots=True, kw_only=True)
class StepRunner:
    """Carries out the steps of one run in one process.

    `memory` is what the journal says about the run so far; `context` goes to the tools.
    """

    memory: RunMemory
    writer: JournalWriter
    gate: Gate
    live: LiveBus
    limits: Limits
    agent: Mapping[str, Any]
    context: ToolContext
    root_run_id: str | None = None
    started_by_id: str | None = None
    _clock_start: float = field(default_factory=time.monotonic)

    @property
    def active_s(self) -> float:
        """Seconds of work so far, those of earlier segments included."""
        return self.memory.active_s + time.monotonic() - self._clock_start

    # -- models ---------------------------------------------------------------------------------

    async def think(self, call: ModelCall, model: CallableModel) -> ModelReply:
        """Call the model, or return what it said when this step was taken before."""
        done = self.memory.finished(call.key)
        if done is not None:
            reply = reply_from_json(done.output)
            if done.error is not None:
                raise OutputUnfit(done.error["message"], reply=reply)
            return reply
        self._between_steps()
        started = clock.now()
        step = self._intended(
            call.key,
            StepKind.MODEL,
            "POST",
            model.name,
            {},
            call.iteration,
            estimated_cost=estimated_cost(model, call.request),
            breaker=breaker_of_model(model),
            resource_ids=model.resource_ids,
        )
        decision = await self.gate.evaluate(step)
        if decision.action in {Action.ASK, Action.BLOCK}:
            # Nobody can be asked about a call of a model: what needs a yes is refused.
            assert decision.ruling is not None  # noqa: S101 - something was found, or it is allowed
            raise Refused(decision.ruling)
        record = NewStep(
            key=self.memory.attempt_key(call.key),
            kind=StepKind.MODEL,
            verb="POST",
            name=model.name,
            started_at=started,
            agent_id=self.memory.agent_id,
            parent_key="start",
            input={
                "messages": call.told,
                "tools": [tool.name for tool in call.request.tools],
                "settings": call.request.settings,
            },
            properties={"model": model.name, "provider": model.provider},
            decision=decision.as_json(),
        )
        async with self._settled(step) as came:
            await asyncio.sleep(decision.wait_s)
            self._announce(call.key, StepKind.MODEL, model.name)
            reply = await self._asked(call, model, record, came)
        metrics.MODEL_CALLS.labels(model.provider, model.name, "ok").inc()
        count_tokens(model, reply)
        return reply

    async def _asked(
        self, call: ModelCall, model: CallableModel, record: NewStep, came: Outcome
    ) -> ModelReply:
        try:
            reply = await self._stream(call, model)
        except asyncio.CancelledError:
            self._cancelled(record)
            raise
        except AppError as error:
            record.status, record.error = StepStatus.ERROR, failed(error)
            came.answered = model_answered(error, call.request)
            if isinstance(error, OutputUnfit):
                record.error["last_try"] = call.last_try
                take_in(record, error.reply)
                came.cost = error.reply.cost
                count_tokens(model, error.reply)
            metrics.MODEL_CALLS.labels(model.provider, model.name, "error").inc()
            await self._append(record)
            raise
        take_in(record, reply)
        came.succeeded, came.cost, came.answered = True, reply.cost, True
        await self._append(record)
        return reply

    async def _stream(self, call: ModelCall, model: CallableModel) -> ModelReply:
        tokens = Tokens(self.live, self.memory.run_id, call.key)
        reply: ModelReply | None = None
        async for event in model.chat.stream(call.request):
            if isinstance(event, TextDelta):
                tokens.add("text", event.text)
            elif isinstance(event, ThinkingDelta):
                tokens.add("thinking", event.text)
            else:
                reply = event
        tokens.flush()
        if reply is None:
            raise ModelFailed("The model's answer ended before it was complete.", retryable=True)
        return reply

    # -- tools ----------------------------------------------------------------------------------

    async def act(self, use: ToolUse) -> ToolOutcome:
        """Call a tool, or return what it answered when this step was taken before."""
        done = self.memory.finished(use.key)
        if done is not None:
            return ToolOutcome(content=done.output, is_error=done.status != StepStatus.OK)
        self._between_steps()
        tool, arguments = use.tool, use.call.arguments
        approval = self.memory.approval(use.key, "tool_call")
        if approval is not None and approval.approved and approval.arguments is not None:
            arguments = approval.arguments
        kind = StepKind(tool.step_kind) if tool else StepKind.RESOURCE
        step = self._intended(
            use.key,
            kind,
            tool.verb if tool else None,
            use.call.name,
            arguments,
            use.iteration,
            tool=facts(use.call.name, tool),
            approval=evidence(use.call.name, approval),
            breaker=breaker_of_tool(tool, arguments) if tool else None,
            resource_ids=tool.resource_ids if tool else frozenset(),
        )
        if approval is not None and approval.choice == "end_run":
            raise Refused(rejected(approval))
        record = NewStep(
            key=self.memory.attempt_key(use.key),
            kind=kind,
            verb=step.verb,
            name=use.call.name,
            started_at=clock.now(),
            agent_id=self.memory.agent_id,
            parent_key=use.parent_key,
            input=dict(arguments),
            properties={"tool_call_id": use.call.id, "tool_kind": tool.kind if tool else None},
        )
        decision = await self.gate.evaluate(step)
        record.decision = decision.as_json()
        if decision.action is Action.ASK:
            raise Suspended([self._ask(use, step, decision)])
        if decision.action is Action.BLOCK or tool is None:
            return await self._blocked(record, decision, step)
        async with self._settled(step) as came:
            await asyncio.sleep(decision.wait_s)
            if (unsure := await self._unsure(use, tool, step, record)) is not None:
                return unsure
            self._announce(use.key, kind, use.call.name)
            return await self._call(use, tool, step, record, came)

    async def _call(
        self, use: ToolUse, tool: BoundTool, step: IntendedStep, record: NewStep, came: Outcome
    ) -> ToolOutcome:
        if not tool.idempotent:
            await self.writer.intend(
                self.memory.run_id,
                self.memory.fence,
                key=record.key,
                name=tool.name,
                arguments=arguments_hash(tool.name, step.arguments),
            )
        try:
            outcome = await self._answer(use, tool, dict(step.arguments))
            came.answered = outcome_answered(outcome)
        except AppError as error:
            outcome = ToolOutcome(
                content={"error": error.code, "message": error.detail}, is_error=True
            )
            record.error, came.answered = failed(error), tool_answered(error)
        except asyncio.CancelledError:
            self._cancelled(record)
            raise
        record.output = outcome.content
        record.status = StepStatus.ERROR if outcome.is_error else StepStatus.OK
        record.properties = {**(record.properties or {}), **outcome.properties}
        came.succeeded = not outcome.is_error
        await self._append(record)
        metrics.TOOL_CALLS.labels(tool.kind, record.status.value).inc()
        return outcome

    async def _answer(
        self, use: ToolUse, tool: BoundTool, arguments: dict[str, Any]
    ) -> ToolOutcome:
        bound = asyncio.timeout(use.timeout_s)
        try:
            async with bound:
                return await tool.call(arguments, self._tool_context(use))
        except TimeoutError:
            if not bound.expired():
                raise
            raise UpstreamTimeout(f"It did not end within {use.timeout_s:g} seconds.") from None

    async def _unsure(
        self, use: ToolUse, tool: BoundTool, step: IntendedStep, record: NewStep
    ) -> ToolOutcome | None:
        """Deal with a call that may have half-happened, as before a crash: a person chooses.

        A choice is for one attempt. The next one that is cut off is asked about anew.
        """
        attempt = self.memory.unsettled(use.key)
        if tool.idempotent or attempt is None:
            return None
        choice = self.memory.approval(attempt, "uncertain_step")
        if choice is None:
            message = (
                f"The call of the tool {tool.name} was broken off; it may or may not have had its "
                "effect. Choose: retry calls it again, skip goes on without its "
                "result, fail ends the run."
            )
            request = ApprovalRequest(
                kind="uncertain_step",
                step_key=attempt,
                title=f"Did {tool.name} happen?",
                description=message,
                subject={"tool": tool.name, "arguments": dict(step.arguments)},
                arguments_hash=arguments_hash(tool.name, step.arguments),
                choices=list(_RETRYABLE_CHOICES),
            )
            raise Suspended([request])
        if choice.approved and choice.choice in {None, "retry"}:
            record.key = self.memory.attempt_key(use.key, skip_intended=True)
            return None
        if choice.choice == "skip":
            content = {
                "error": "unknown_outcome",
                "message": "It is not known whether this happened.",
            }
            record.output, record.status = content, StepStatus.ERROR
            record.properties = {**(record.properties or {}), "skipped_by": choice.decided_by}
            await self._append(record)
            return ToolOutcome(content=content, is_error=True)
        finding = Finding(
            check="uncertain_step",
            action=Action.BLOCK,
            code="uncertain_step",
            message=f"{choice.decided_by} ended the run because it is not known whether "
            f"{tool.name} happened.",
            ends_run=True,
        )
        raise Refused(finding)

    async def _blocked(
        self, record: NewStep, decision: Decision, step: IntendedStep
    ) -> ToolOutcome:
        ruling = decision.ruling
        code = ruling.code if ruling else "tool_unknown"
        text = ruling.message if ruling else f"There is no tool named {step.name}."
        record.output = {"error": code, "message": text}
        record.status = StepStatus.REJECTED if code == "rejected" else StepStatus.BLOCKED
        await self._append(record)
        if ruling is not None and decision.ends_run:
            raise Refused(ruling)
        return ToolOutcome(content=record.output, is_error=True)

    def _ask(self, use: ToolUse, step: IntendedStep, decision: Decision) -> ApprovalRequest:
        ruling = decision.ruling
        return ApprovalRequest(
            kind="tool_call",
            step_key=use.key,
            title=f"{self.agent.get('name', 'Agent')} wants to call {step.name}",
            description=ruling.message if ruling else "",
            subject={"tool": step.name, "arguments": dict(step.arguments)},
            arguments_hash=arguments_hash(step.name, step.arguments),
            arguments_schema=use.tool.spec.parameters if use.tool else None,
        )

    # -- shared ---------------------------------------------------------------------------------

    def _between_steps(self) -> None:
        if self.memory.stop_requested:
            raise StopAsked

    def _intended(
        self,
        key: str,
        kind: StepKind,
        verb: str | None,
        name: str,
        arguments: Mapping[str, Any],
        iteration: int,
        *,
        tool: ToolFacts | None = None,
        approval: ApprovalEvidence | None = None,
        estimated_cost: float | None = None,
        breaker: str | None = None,
        resource_ids: frozenset[str] = frozenset(),
    ) -> IntendedStep:
        return IntendedStep(
            project_id=self.memory.project_id,
            run_id=self.memory.run_id,
            agent_id=self.memory.agent_id,
            agent=self.agent,
            key=key,
            kind=kind.value,
            verb=verb,
            name=name,
            arguments=arguments,
            limits=self.limits,
            progress=Progress(
                iteration=iteration,
                model_calls=self.memory.model_calls,
                tool_calls=self.memory.tool_calls,
                active_s=self.active_s,
                started_at=self.memory.started_at,
            ),
            tool=tool,
            approval=approval,
            root_run_id=self.root_run_id,
            started_by_id=self.started_by_id,
            estimated_cost=estimated_cost,
            breaker=breaker,
            resource_ids=resource_ids,
        )

    @asynccontextmanager
    async def _settled(self, step: IntendedStep) -> AsyncGenerator[Outcome]:
        """Tell the gate how an allowed step ended, however it does."""
        came = Outcome()
        try:
            yield came
        except Suspended:
            came.succeeded = True  # it waits for people and comes again: nothing has failed
            raise
        finally:
            await self.gate.settle(step, came)

    async def _append(self, record: NewStep) -> None:
        record.ended_at = max(clock.now(), record.started_at)
        try:
            appended = await self.writer.append(self.memory.run_id, self.memory.fence, [record])
        except Fenced:
            # Somebody ended the run in this moment: it did happen, and is told with the rest.
            self._cancelled(record)
            raise
        self.memory.note(record, stop_requested=appended.stop_requested)

    def _cancelled(self, record: NewStep) -> None:
        """Leave the step to `RunMemory`: what becomes of it depends on why the run was ended."""
        record.status = StepStatus.CANCELLED
        record.ended_at = clock.now()
        self.memory.interrupted.append(record)

    def _announce(self, key: str, kind: StepKind, name: str) -> None:
        message = {"type": "step.started", "key": key, "kind": kind.value, "name": name}
        self.live.publish(run_topic(self.memory.run_id), message)

    def _tool_context(self, use: ToolUse) -> ToolContext:
        return self.context.for_step(use.key)
