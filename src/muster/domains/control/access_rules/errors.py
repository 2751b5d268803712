"""What can go wrong with access rules."""

from muster.kernel.errors import BadRequest, Conflict, Forbidden, NotFound


class AccessRuleInvalid(BadRequest):
    code, title = "invalid_policy_rule", "This is no access rule"


class AccessRuleNotFound(NotFound):
    code, title = "access_rule_not_found", "No such access rule"


class AccessRuleTaken(Conflict):
    code, title = "access_rule_taken", "The same access rule exists"


class AccessDeniedByRule(Forbidden):
    code, title = "access_denied_by_rule", "An access rule does not let you use this"
