"""Every router of the product, in the order of the reference."""

from muster.kernel.http import LazyRouter
from muster.kernel.http.routing import BASE


def _router(module: str, *segments: str, name: str = "router") -> LazyRouter:
    """Say where a router is, and the first segment of its paths: below the base, or below `/`."""
    prefixes = tuple(s if s.startswith("/") else f"{BASE}/{s}" for s in segments)
    return LazyRouter(f"muster.{module}", name, prefixes)


ROUTERS = [
    _router("platform.identity.router", "auth"),
    _router("platform.identity.api_keys_router", "security", "auth"),
    _router("platform.identity.users_router", "admin", "users"),
    _router("platform.projects.router", "projects"),
    _router("platform.vault.router", "api-keys"),
    _router("domains.catalogue.models.calls_router", "models"),
    _router("domains.catalogue.models.router", "models"),
    _router("domains.catalogue.tools.router", "tools"),
    _router("domains.catalogue.prompts.router", "templates"),
    # Before the agents, whose `/agents/{agent_id}/...` would take its paths.
    _router("domains.catalogue.memories.router", "agents"),
    _router("domains.catalogue.agents.router", "agents"),
    _router("domains.work.crews.router", "crews"),
    _router("domains.work.tasks.router", "tasks"),
    _router("domains.work.runs.router", "executions"),
    _router("domains.work.runs.router", "execution-history", name="history_router"),
    _router("domains.work.runs.journal_router", "execution-logs", name="logs_router"),
    _router("domains.work.runs.journal_router", "execution-trace", name="trace_router"),
    _router("domains.work.logs.router", "logs", name="hot_router"),
    _router("domains.work.logs.router", "logs"),
    _router("domains.work.logs.router", "logs", name="tasks_router"),
    _router("domains.work.logs.router", "copilot", name="copilot_router"),
    _router(
        "domains.work.generation.router",
        "agent-generation",
        "task-generation",
        "crew-generation",
        "workflow-generation",
    ),
    _router("domains.work.workers.admin_router", "admin", name="admin_router"),
    _router("domains.work.workers.router", "workers"),
    _router("domains.work.workers.router", "analytics", name="analytics_router"),
    _router("domains.work.workflows.router", "workflows"),
    _router("domains.work.workflows.pictures_router", "crews", name="crews_router"),
    _router("domains.work.workflows.pictures_router", "executions", name="executions_router"),
    _router("domains.work.agent_projects.router", "agent-projects"),
    _router("domains.control.approvals.router", "approvals"),
    _router("domains.work.costs.router", "cost"),
    _router("domains.control.budgets.router", "cost", name="cost_router"),
    _router("domains.control.budgets.router", "budgets"),
    _router("domains.control.breakers.router", "circuit-breakers"),
    _router("domains.control.incidents.router", "incidents"),
    _router("domains.control.actions.router", "actions"),
    _router("domains.control.policies.router", "policies"),
    _router(
        "domains.control.policies.templates_router", "policy-templates", name="templates_router"
    ),
    _router("domains.control.policies.gate_router", "gate", name="gate_router"),
    _router("domains.control.access_rules.router", "policy"),
    _router("domains.dialogue.mailbox.router", "messages"),
    _router("domains.dialogue.collaboration.router", "collaboration"),
    _router("domains.dialogue.reviews.router", "code-reviews"),
    _router("domains.work.triggers.router", "triggers"),
    _router("domains.work.triggers.schedules_router", "scheduler"),
    _router("domains.work.triggers.hooks_router", "hooks"),
    _router("domains.work.marketplace.router", "marketplace"),
    _router("domains.work.dead_letters.router", "dead-letter"),
    _router("domains.insight.reports.router", "reports"),
    # Before the events, whose `/events/{event_id}` would take its path.
    _router("platform.events.live_router", "ws", "events"),
    _router("platform.events.live_router", "/ws", name="root_router"),
    _router("platform.events.router", "events"),
    _router("platform.events.router", "admin", name="audit_router"),
    _router("platform.audit.router", "audit"),
    _router("platform.system.router", "health", "metrics"),
    _router("platform.system.router", "/health", "/metrics", name="root_router"),
]
