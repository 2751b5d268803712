"""Access rules: who may use which model, agent and tool, on the whole platform."""

from muster.domains.control.access_rules.check import AccessCheck
from muster.domains.control.access_rules.enforcing import AccessRules
from muster.domains.control.access_rules.errors import AccessDeniedByRule
from muster.domains.control.access_rules.models import AccessRule

__all__ = ["AccessCheck", "AccessDeniedByRule", "AccessRule", "AccessRules"]
