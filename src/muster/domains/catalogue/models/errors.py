"""What can go wrong with models."""

from muster.adapters.models import ModelFailed
from muster.kernel.errors import AppError, Conflict, NotFound, Unavailable


class ModelNotFound(NotFound):
    code, title = "model_not_found", "No such model in this project"


class ModelNameTaken(Conflict):
    code, title = "model_name_taken", "A model with this name exists"


class ModelReadOnly(Conflict):
    code, title = "model_read_only", "This model is not the project's own and cannot be changed"


class ModelUnknown(Conflict):
    code, title = "model_unknown", "No model of this name is at hand"


class ModelDisabled(Conflict):
    code, title = "model_disabled", "The model is disabled"


class ModelNotReady(Conflict):
    code, title = "model_not_ready", "The model's configuration is not complete"


class OfflineProviderBlocked(Conflict):
    code, title = "offline_provider_blocked", "The runtime profile refuses cloud providers"


class LlmUnreachable(ModelFailed):
    """What the platform family calls a provider to which no connection could be made."""

    code, title = "llm_unreachable", "The model's provider cannot be reached"


class BudgetExceeded(AppError):
    status, code, title = 402, "budget_exceeded", "A budget does not allow the call"


class CircuitOpen(Unavailable):
    code, title = "circuit_open", "A circuit breaker is open"
