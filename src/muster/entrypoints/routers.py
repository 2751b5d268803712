"""Every router of the product, in the order of the reference."""

from muster.domains.catalogue.agents.router import router as agents
from muster.domains.catalogue.models.calls_router import router as model_calls
from muster.domains.catalogue.models.router import router as models
from muster.domains.control.approvals.router import router as approvals
from muster.domains.work.runs.journal_router import logs_router, trace_router
from muster.domains.work.runs.router import history_router
from muster.domains.work.runs.router import router as executions
from muster.kernel.http import Router
from muster.platform.identity.api_keys_router import router as api_keys
from muster.platform.identity.router import router as authentication
from muster.platform.identity.users_router import router as users
from muster.platform.projects.router import router as projects
from muster.platform.vault.router import router as secrets

ROUTERS: list[Router] = [
    authentication,
    api_keys,
    users,
    projects,
    secrets,
    model_calls,
    models,
    agents,
    executions,
    history_router,
    logs_router,
    trace_router,
    approvals,
]
