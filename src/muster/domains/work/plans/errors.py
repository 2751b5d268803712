"""What can go wrong with plans."""

from muster.kernel.errors import Conflict, Invalid


class PlanNotReady(Conflict):
    code, title = "plan_not_ready", "What is to be run lacks something"


class PlanInvalid(Invalid):
    code, title = "plan_invalid", "What is to be run cannot be executed as it is defined"


class NodeFailed(Conflict):
    code, title = "node_failed", "A node of the plan failed"


class PlanEndless(Conflict):
    code, title = "plan_endless", "The plan goes on and on"
