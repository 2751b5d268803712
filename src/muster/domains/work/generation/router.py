"""HTTP surface of generation. It holds no session while a model works."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from muster.adapters.models import ModelFailed, ModelTimeout, ModelUnsupported
from muster.domains.catalogue.models import (
    BudgetExceeded,
    CircuitOpen,
    ModelDisabled,
    ModelNotReady,
    ModelUnknown,
    OfflineProviderBlocked,
)
from muster.domains.control.access_rules import AccessDeniedByRule
from muster.domains.work.crews import CrewNameTaken
from muster.domains.work.generation.errors import GenerationFailed, SavingRefused
from muster.domains.work.generation.schemas import (
    CrewDescription,
    Description,
    GeneratedAgent,
    GeneratedCrew,
    GeneratedTask,
    GeneratedWorkflow,
    TaskDescription,
)
from muster.domains.work.generation.service import Generator
from muster.domains.work.generation.storing import require_saving, store_crew
from muster.kernel.http import Db, Router, Sealing, problems
from muster.platform.access import Caller, Scope, requires

router = Router("", tag="Generation")

CanGenerate = Annotated[Caller, requires(Scope.GENERATION_INVOKE)]


async def _generator(connection: HTTPConnection, caller: CanGenerate) -> Generator:
    state = connection.app.state
    return Generator(caller, state.generating_models, state.tools)


Generating = Annotated[Generator, Depends(_generator)]

_FAILURES = problems(
    ModelUnknown,
    ModelDisabled,
    ModelNotReady,
    OfflineProviderBlocked,
    ModelUnsupported,
    ModelFailed,
    ModelTimeout,
    GenerationFailed,
    AccessDeniedByRule,
    BudgetExceeded,
    CircuitOpen,
)


@router.post("/agent-generation/generate", responses=_FAILURES)
async def generate_agent(generator: Generating, body: Description) -> GeneratedAgent:
    """Write an agent from a description. Nothing is stored.

    `agent` can be sent to `POST /agents` as it is. Tools that the project does not have and models
    that cannot be called are left out, which `warnings` tells. A model whose answers cannot be used
    is asked again twice; then this is a 502 `generation_failed`. The built-in model writes no
    texts: it makes a modest agent by rules, out of the words of the description.
    """
    return await generator.agent(body)


@router.post("/task-generation/generate", responses=_FAILURES)
async def generate_task(generator: Generating, body: TaskDescription) -> GeneratedTask:
    """Write a task from a description, for an agent if one is given. Nothing is stored."""
    return await generator.task(body)


@router.post("/task-generation/generate-task", responses=_FAILURES)
async def generate_task_from_text(generator: Generating, body: TaskDescription) -> GeneratedTask:
    """Write a task from a description; the same as `/task-generation/generate`."""
    return await generator.task(body)


@router.post(
    "/crew-generation/generate", responses={**_FAILURES, **problems(CrewNameTaken, SavingRefused)}
)
async def generate_crew(
    generator: Generating,
    caller: CanGenerate,
    database: Db,
    master_key: Sealing,
    body: CrewDescription,
) -> GeneratedCrew:
    """Write a crew from a description: agents, and tasks in the order of the work.

    With `save` it is stored, which `crew_id` tells, and a name that another crew has gets a number;
    otherwise nothing is stored. `agents_yaml` and `tasks_yaml` hold the same by key. Every task has
    an agent of the crew, and its context are earlier tasks.
    """
    if body.save:
        require_saving(caller)
    crew = await generator.crew(body)
    return await store_crew(database, master_key, caller, crew) if body.save else crew


@router.post("/workflow-generation/generate", responses=_FAILURES)
async def generate_workflow(generator: Generating, body: Description) -> GeneratedWorkflow:
    """Write a workflow from a description, in the native notation. Nothing is stored.

    It has one start, every node is reached, every expression can be read, and it calls no tools
    that the project does not have.
    """
    return await generator.workflow(body)
