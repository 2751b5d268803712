"""What can go wrong with triggers."""

from muster.kernel.errors import BadRequest, Conflict, Forbidden, Gone, NotFound, Unauthorized


class TriggerNotFound(NotFound):
    code, title = "trigger_not_found", "No such trigger in this project"


class ScheduleNotFound(NotFound):
    code, title = "schedule_not_found", "No such schedule in this project"


class TriggerInvalid(BadRequest):
    code, title = "trigger_invalid", "The trigger cannot work like this"


class CronInvalid(BadRequest):
    code, title = "invalid_cron_expression", "Invalid cron expression"


class TriggerNotAllowed(Forbidden):
    code, title = "trigger_not_allowed", "A trigger may do no more than who makes it"


class FiringNotFound(NotFound):
    code, title = "firing_not_found", "The trigger has no such firing"


class FiringNotRetryable(Conflict):
    code, title = "firing_not_retryable", "Only a firing that failed can be retried"


class TriggerHasNoSecret(Conflict):
    code, title = "trigger_has_no_secret", "Only webhook triggers have a secret"


class HookNotFound(NotFound):
    code, title = "hook_not_found", "No such incoming webhook"


class HookUnsigned(Unauthorized):
    code, title = "hook_unsigned", "The call does not prove that it comes from the right sender"


class HookDisabled(Gone):
    code, title = "hook_disabled", "The trigger is disabled"
