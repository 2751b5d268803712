"""What can go wrong with actions."""

from muster.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class ActionNotFound(NotFound):
    code, title = "action_not_found", "No such action in this project"


class ActionNameTaken(Conflict):
    code, title = "action_name_taken", "An action with this name exists in the project"


class ActionConfigInvalid(Invalid):
    code, title = "action_config_invalid", "The action cannot do its work with this configuration"


class EmailNotConfigured(Conflict):
    code, title = "email_not_configured", "The server has no mail server to send by"


class ActionKindRefused(Forbidden):
    code, title = "action_kind_refused", "You may not let an action change agents"


class ActionHasNoTest(Conflict):
    code, title = "action_has_no_test", "An action of this kind cannot be tried out"


class ActionHasNoSecret(Conflict):
    code, title = "action_has_no_secret", "Only webhooks have a signing secret"
