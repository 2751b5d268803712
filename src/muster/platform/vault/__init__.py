"""Secrets of a project: sealed at rest, named by models and tools, never shown again."""

from muster.platform.vault.errors import (
    MasterKeyMismatch,
    SecretExpired,
    SecretNameTaken,
    SecretNotFound,
    SecretNotSet,
)
from muster.platform.vault.events import SecretCreated, SecretDeleted, SecretUpdated
from muster.platform.vault.reading import Vault
from muster.platform.vault.service import VaultService, usable_secrets
from muster.platform.vault.starting import check_master_key

__all__ = [
    "MasterKeyMismatch",
    "SecretCreated",
    "SecretDeleted",
    "SecretExpired",
    "SecretNameTaken",
    "SecretNotFound",
    "SecretNotSet",
    "SecretUpdated",
    "Vault",
    "VaultService",
    "check_master_key",
    "usable_secrets",
]
