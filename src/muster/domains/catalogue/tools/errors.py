"""What can go wrong with tools."""

from muster.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class ToolNotFound(NotFound):
    code, title = "tool_not_found", "No such tool in this project"


class ToolSchemaNotFound(NotFound):
    code, title = "tool_schema_not_found", "There is no schema for this tool"


class ToolNameTaken(Conflict):
    code, title = "tool_name_taken", "A tool with this name exists in the project"


class ToolNameInvalid(Invalid):
    code, title = "tool_name_invalid", "The name leaves nothing that a model could call"


class ToolUnknown(Conflict):
    code, title = "tool_unknown", "A tool that is named does not exist"


class ToolDisabled(Conflict):
    code, title = "tool_disabled", "The tool is disabled"


class BuiltinTool(Conflict):
    code, title = "builtin_tool", "Tools that ship with the product stay as they are"


class McpStdioRefused(Forbidden):
    code, title = "mcp_stdio_refused", "You may not have commands started on the server"


class ToolSecretsRefused(Forbidden):
    code, title = "tool_secrets_refused", "You may not store secrets in this project"


class ToolKindFixed(Conflict):
    code, title = "tool_kind_fixed", "The kind of a tool cannot be changed"


class ToolTestRefused(Forbidden):
    code, title = "tool_test_refused", "You may not test this tool"
