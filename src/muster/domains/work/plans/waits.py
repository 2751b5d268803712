"""The nodes that wait: for what people decide or give, and for a moment."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from muster.domains.control.approvals import ApprovalRequest
from muster.domains.control.gate import arguments_hash
from muster.domains.work.journal import NewStep, Run, StepKind
from muster.domains.work.plans.errors import NodeFailed
from muster.domains.work.plans.expressions import render
from muster.domains.work.plans.nodes import NodeSpec
from muster.domains.work.plans.scope import Scope
from muster.domains.work.plans.tasks_at_work import text_of
from muster.domains.work.runs import Refused, Segment, Suspended, rejected
from muster.kernel import clock

_SLEEPS_HERE_S = 3.0
"""A delay up to this long keeps its place; a longer one costs nothing until it is over."""
_JSON_TYPES = {"text": "string", "number": "number", "boolean": "boolean"}


class NodeWaits:
    """Lets a plan wait, in one segment of its run."""

    def __init__(self, segment: Segment, templates: Mapping[str, str]) -> None:
        self._segment, self._templates = segment, templates
        self._memory = segment.memory

    def _rendered(self, value: Any, scope: Scope) -> Any:
        return render(value, scope.names(self._templates))

    async def approval(self, node: NodeSpec, scope: Scope, key: str, _: list[Run]) -> Any:
        decided = self._memory.approval(key, "approval")
        if decided is None:
            subject = {"node": node.name, "inputs": self._rendered(node.inputs, scope)}
            message = self._rendered(node.message or "", scope)
            raise Suspended(
                [
                    ApprovalRequest(
                        kind="approval",
                        step_key=key,
                        title=text_of(self._rendered(node.title or node.name, scope))[:255],
                        description=text_of(message),
                        subject=subject,
                        arguments_hash=arguments_hash(node.name, subject),
                    )
                ]
            )
        if not decided.approved and (decided.choice == "end_run" or not node.on_error):
            raise Refused(rejected(decided))
        if not decided.approved:
            raise NodeFailed(decided.reason or f"{decided.decided_by} rejected it.")
        return {"approved": True, "by": decided.decided_by, "reason": decided.reason}

    async def input(self, node: NodeSpec, scope: Scope, key: str, _: list[Run]) -> Any:
        missing = [v for v in node.variables if v.name not in scope.variables]
        if not missing:
            return {v.name: scope.variables[v.name] for v in node.variables}
        decided = self._memory.approval(key, "input")
        if decided is None:
            schema = {
                "type": "object",
                "properties": {
                    v.name: {
                        **({"type": _JSON_TYPES[v.type]} if v.type in _JSON_TYPES else {}),
                        "title": v.label or v.name,
                        "description": v.guidance or "",
                    }
                    for v in missing
                },
                "required": [v.name for v in missing if v.required],
            }
            shown: dict[str, Any] = {}
            raise Suspended(
                [
                    ApprovalRequest(
                        kind="input",
                        step_key=key,
                        title=(node.title or f"{node.name} needs something from you")[:255],
                        description=text_of(self._rendered(node.prompt or "", scope)),
                        subject={"node": node.name, "arguments": shown},
                        arguments_hash=arguments_hash(node.name, shown),
                        arguments_schema=schema,
                    )
                ]
            )
        if not decided.approved:
            raise Refused(rejected(decided))
        given = decided.arguments or {}
        scope.variables.update({v.name: given.get(v.name) for v in missing})
        return {v.name: scope.variables[v.name] for v in node.variables}

    async def delay(self, node: NodeSpec, scope: Scope, key: str, _: list[Run]) -> Any:
        until = self._noted(key)
        if until is None:
            until = await self._note(node, key, self._until(node, scope))
        await self._sleep(until)
        return {"until": clock.iso(until)}

    async def pause(self, node: NodeSpec, key: str, seconds: float) -> None:
        """Wait a while between two attempts of a node; a long while costs nothing."""
        until = self._noted(key)
        if until is None:
            until = clock.now() + timedelta(seconds=seconds)
            if seconds > _SLEEPS_HERE_S:
                await self._note(node, key, until)
        await self._sleep(until)

    def _noted(self, key: str) -> datetime | None:
        begun = self._memory.finished(f"d{key}")
        return None if begun is None else datetime.fromisoformat(begun.output)

    async def _note(self, node: NodeSpec, key: str, until: datetime) -> datetime:
        """Keep until when a node waits, so that it waits no longer after a crash."""
        await self._segment.append(
            NewStep(
                key=self._memory.attempt_key(f"d{key}"),
                kind=StepKind.SELF,
                name=node.name,
                started_at=clock.now(),
                ended_at=clock.now(),
                parent_key="start",
                output=clock.iso(until),
                properties={"node_type": "delay"},
            )
        )
        return until

    async def _sleep(self, until: datetime) -> None:
        left = (until - clock.now()).total_seconds()
        if left > _SLEEPS_HERE_S:
            raise Suspended(for_people=False, wake_at=until)
        await asyncio.sleep(max(left, 0))

    def _until(self, node: NodeSpec, scope: Scope) -> datetime:
        if node.until is None:
            return clock.now() + timedelta(seconds=node.delay_s or 0)
        text = str(self._rendered(node.until, scope))
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise NodeFailed(f"{text!r} has no time zone: end it with Z or an offset.")
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise NodeFailed(f"{text!r} is no moment: give ISO 8601 with a zone.") from None
