"""Every router of the product, in the order of the reference."""

from muster.domains.catalogue.agents.router import router as agents
from muster.domains.catalogue.models.calls_router import router as model_calls
from muster.domains.catalogue.models.router import router as models
from muster.domains.catalogue.tools.router import router as tools
from muster.domains.control.access_rules.router import router as access_rules
from muster.domains.control.actions.router import router as actions
from muster.domains.control.approvals.router import router as approvals
from muster.domains.control.breakers.router import router as circuit_breakers
from muster.domains.control.budgets.router import cost_router as cost_budget
from muster.domains.control.budgets.router import router as budgets
from muster.domains.control.incidents.router import router as incidents
from muster.domains.control.policies.gate_router import gate_router
from muster.domains.control.policies.router import router as policies
from muster.domains.control.policies.templates_router import templates_router
from muster.domains.insight.reports.router import router as reports
from muster.domains.work.costs.router import router as costs
from muster.domains.work.logs.router import copilot_router, hot_router
from muster.domains.work.logs.router import router as logs
from muster.domains.work.runs.journal_router import logs_router, trace_router
from muster.domains.work.runs.router import history_router
from muster.domains.work.runs.router import router as executions
from muster.kernel.http import Router
from muster.platform.audit.router import router as audit_log
from muster.platform.events.live_router import root_router as root_live_events
from muster.platform.events.live_router import router as live_events
from muster.platform.events.router import audit_router
from muster.platform.events.router import router as events
from muster.platform.identity.api_keys_router import router as api_keys
from muster.platform.identity.router import router as authentication
from muster.platform.identity.users_router import router as users
from muster.platform.projects.router import router as projects
from muster.platform.system.router import root_router as root_system
from muster.platform.system.router import router as system
from muster.platform.vault.router import router as secrets

ROUTERS: list[Router] = [
    authentication,
    api_keys,
    users,
    projects,
    secrets,
    model_calls,
    models,
    tools,
    agents,
    executions,
    history_router,
    logs_router,
    trace_router,
    hot_router,
    logs,
    copilot_router,
    approvals,
    costs,
    cost_budget,
    budgets,
    circuit_breakers,
    incidents,
    actions,
    policies,
    templates_router,
    gate_router,
    access_rules,
    reports,
    live_events,  # before the events, whose `/events/{event_id}` would take its path
    root_live_events,
    events,
    audit_router,
    audit_log,
    system,
    root_system,
]
