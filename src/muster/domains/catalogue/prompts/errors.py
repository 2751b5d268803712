"""What can go wrong with prompt templates."""

from muster.kernel.errors import Conflict, Invalid, NotFound


class PromptTemplateNotFound(NotFound):
    code, title = "template_not_found", "No such prompt template in this project"


class PromptTemplateVersionNotFound(NotFound):
    code, title = "template_version_not_found", "The prompt template has no such version"


class PromptTemplateNameTaken(Conflict):
    code, title = "template_name_taken", "A prompt template with this name exists in the project"


class PromptTemplateInactive(Conflict):
    code, title = "template_inactive", "The prompt template is not active"


class VariablesMissing(Invalid):
    code, title = "template_variables_missing", "Variables of the prompt template have no value"


class RenderedTooLong(Invalid):
    code, title = "template_text_too_long", "The filled text is too long"
