"""HTTP surface of evaluations."""

from typing import Annotated

from starlette.requests import HTTPConnection

from muster.domains.catalogue.agents import AgentInactive, AgentNotFound
from muster.domains.control.policies.errors import (
    PolicyRefused,
    PolicyTrialRefused,
    PolicyUnreadable,
)
from muster.domains.control.policies.evaluation import Evaluator
from muster.domains.control.policies.evaluation_schemas import Evaluation, EvaluationRequest
from muster.kernel.http import Router, problems
from muster.platform.access import Caller, Scope, requires

gate_router = Router("/gate", tag="Policies")

CanJudge = Annotated[Caller, requires(Scope.POLICIES_READ)]


@gate_router.post(
    "/evaluate",
    responses=problems(
        AgentInactive, AgentNotFound, PolicyRefused, PolicyTrialRefused, PolicyUnreadable
    ),
)
async def evaluate_step(
    connection: HTTPConnection, caller: CanJudge, body: EvaluationRequest
) -> Evaluation:
    """Ask what policies and budgets say about a step before it happens. Nothing is recorded.

    For a registered agent its stored policies judge by the live record of `context.task_id`; a key
    of kind `agent` asks for the agents of its own account. Editors, owners and admins can give
    `policies` and a `history` instead, which are judged as if nothing else were known.

    Before a call of a model, `budgets` lists those that are used up, and `action` is the hardest.
    """
    evaluator: Evaluator = connection.app.state.evaluator
    return await evaluator.evaluate(caller, body)
