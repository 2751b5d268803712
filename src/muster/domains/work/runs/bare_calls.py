"""Calls of a model outside of any run, judged by the gate's checks that are about models."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from muster.adapters.models import ModelRequest, OutputUnfit
from muster.domains.catalogue.models import (
    BareCall,
    BudgetExceeded,
    CallableModel,
    CircuitOpen,
)
from muster.domains.control.access_rules import AccessCheck, AccessDeniedByRule
from muster.domains.control.breakers import BreakerCheck
from muster.domains.control.budgets import BudgetCheck
from muster.domains.control.gate import (
    BARE_KEY,
    MODEL_KIND,
    Action,
    Decision,
    Gate,
    IntendedStep,
    Limits,
    Outcome,
    Progress,
)
from muster.domains.work.runs.counterparts import (
    breaker_of_model,
    estimated_cost,
    model_answered,
)
from muster.kernel import clock
from muster.kernel.errors import AppError, Forbidden
from muster.kernel.ids import new_id
from muster.platform.access import Caller

_REFUSALS: dict[str, type[AppError]] = {
    AccessCheck.name: AccessDeniedByRule,
    BudgetCheck.name: BudgetExceeded,
    BreakerCheck.name: CircuitOpen,
}


class BareCalls:
    """Lets calls through that are no steps of a run, and settles what was held for them.

    Args:
        gate: With the checks that need no run: access rules, budgets, circuit breakers.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @asynccontextmanager
    async def admit(
        self, caller: Caller, model: CallableModel, request: ModelRequest
    ) -> AsyncGenerator[BareCall]:
        """Yield where the call is made in; raises why it may not be made."""
        step = _intended(caller, model, request)
        decision = await self._gate.evaluate(step)
        if decision.action in {Action.ASK, Action.BLOCK}:
            raise _refusal(decision)
        # Who breaks a call off may have read the most of it: it counts for what was held.
        came, call = Outcome(cost=step.estimated_cost), BareCall()
        try:
            yield call
        except AppError as error:
            came.cost = error.reply.cost if isinstance(error, OutputUnfit) else None
            came.answered = model_answered(error, request)
            raise
        finally:
            if call.reply is not None:
                came.succeeded, came.cost, came.answered = True, call.reply.cost, True
            await self._gate.settle(step, came)


def _intended(caller: Caller, model: CallableModel, request: ModelRequest) -> IntendedStep:
    moment = clock.now()
    return IntendedStep(
        project_id=caller.project_id,
        run_id=new_id(),
        agent_id=None,
        agent={},
        key=BARE_KEY,
        kind=MODEL_KIND,
        verb="POST",
        name=model.name,
        arguments={},
        limits=Limits(max_iter=1),
        progress=Progress(
            iteration=1, model_calls=0, tool_calls=0, active_s=0.0, started_at=moment
        ),
        started_by_id=caller.key_id or caller.id,
        estimated_cost=estimated_cost(model, request),
        breaker=breaker_of_model(model),
        resource_ids=model.resource_ids,
    )


def _refusal(decision: Decision) -> AppError:
    ruling = decision.ruling
    assert ruling is not None  # noqa: S101 - something was found, or it is allowed
    return _REFUSALS.get(ruling.check, Forbidden)(ruling.message, details=ruling.details)
