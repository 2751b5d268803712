"""What can go wrong with workflows."""

from muster.kernel.errors import BadRequest, Conflict, Invalid, NotFound


class WorkflowNotFound(NotFound):
    code, title = "workflow_not_found", "No such workflow in this project"


class WorkflowNameTaken(Conflict):
    code, title = "workflow_name_taken", "A workflow with this name exists in the project"


class WorkflowInvalid(Invalid):
    code, title = "workflow_invalid", "This is no workflow"


class WorkflowNotExpressible(Conflict):
    code, title = "workflow_not_expressible", "The notation has no words for this workflow"


class WorkflowNotOfSteps(Conflict):
    code, title = "workflow_not_of_steps", "The workflow is not written as steps"


class WorkflowUnrenderable(BadRequest):
    code, title = "workflow_unrenderable", "Could not render workflow"


class WorkflowVersionNotFound(NotFound):
    code, title = "workflow_version_not_found", "The workflow has no such version"


class ExecutionWithoutPlan(Conflict):
    code, title = "execution_without_plan", "The execution has no plan"


class StepNotFound(NotFound):
    code, title = "step_not_found", "The workflow has no such step"


class StepNameTaken(Conflict):
    code, title = "step_name_taken", "The workflow has a step of this name"
