"""Every router of the product, in the order of the reference."""

from muster.kernel.http import Router
from muster.platform.identity.api_keys_router import router as api_keys
from muster.platform.identity.router import router as authentication
from muster.platform.identity.users_router import router as users
from muster.platform.projects.router import router as projects
from muster.platform.vault.router import router as secrets

ROUTERS: list[Router] = [authentication, api_keys, users, projects, secrets]
