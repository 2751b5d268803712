"""What can go wrong with agent projects."""

from muster.kernel.errors import BadRequest, Conflict, Forbidden, NotFound


class AgentProjectNotFound(NotFound):
    code, title = "project_not_found", "You have no such agent project"


class AgentProjectTaken(Conflict):
    code, title = "duplicate_project", "An agent project with this id exists in the project"


class AgentProjectIdInvalid(BadRequest):
    code, title = "invalid_project_id", "This cannot be the id of an agent project"


class VisibilityInvalid(BadRequest):
    code, title = "invalid_visibility", "There is no such visibility"


class AgentTypeUnsupported(BadRequest):
    code, title = "unsupported_agent_type", "Only agents of type workflow can be built"


class WorkflowDefinitionInvalid(BadRequest):
    code, title = "invalid_workflow_definition", "The actions cannot be followed"


class ToolPolicyInvalid(BadRequest):
    code, title = "invalid_tool_policy", "The tool policy cannot be kept"


class PublishingRefused(Forbidden):
    code, title = "publishing_refused", "Publishing needs agents:write and workflows:write"
