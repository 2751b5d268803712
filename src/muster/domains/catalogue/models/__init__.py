"""Models: those of a project and those of the environment, and how a name becomes a call."""

from muster.domains.catalogue.models.admission import Admission, BareCall
from muster.domains.catalogue.models.catalogue import CallableModel, ModelCatalogue
from muster.domains.catalogue.models.errors import (
    BudgetExceeded,
    CircuitOpen,
    ModelDisabled,
    ModelNameTaken,
    ModelNotFound,
    ModelNotReady,
    ModelReadOnly,
    ModelUnknown,
    OfflineProviderBlocked,
)
from muster.domains.catalogue.models.providers import (
    BUILTIN_MODEL,
    Environment,
    RuntimeProfile,
    providers_from_environment,
)

__all__ = [
    "BUILTIN_MODEL",
    "Admission",
    "BareCall",
    "BudgetExceeded",
    "CallableModel",
    "CircuitOpen",
    "Environment",
    "ModelCatalogue",
    "ModelDisabled",
    "ModelNameTaken",
    "ModelNotFound",
    "ModelNotReady",
    "ModelReadOnly",
    "ModelUnknown",
    "OfflineProviderBlocked",
    "RuntimeProfile",
    "providers_from_environment",
]
