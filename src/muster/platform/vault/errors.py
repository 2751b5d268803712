"""What can go wrong with secrets."""

from muster.kernel.crypto import MasterKeyInvalid
from muster.kernel.errors import Conflict, NotFound


class SecretNotFound(NotFound):
    code, title = "secret_not_found", "No such secret in this project"


class SecretNameTaken(Conflict):
    code, title = "secret_name_taken", "A secret with this name exists; update it instead"


class SecretNotSet(Conflict):
    code, title = "secret_not_set", "The secret has no value"


class SecretExpired(Conflict):
    code, title = "secret_expired", "The secret has expired"


class MasterKeyMismatch(MasterKeyInvalid):
    """The secrets of this database were sealed with another master key."""
