"""Costs: what the journal says was spent, by day, agent and provider."""

from muster.domains.work.costs.external import ExternalCosts
from muster.domains.work.costs.naming import provider_and_model
from muster.domains.work.costs.spending import JournalSpending

__all__ = ["ExternalCosts", "JournalSpending", "provider_and_model"]
