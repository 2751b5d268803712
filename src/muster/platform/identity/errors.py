"""What can go wrong with accounts, sign-in and keys."""

from typing import Any

from muster.kernel.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
)


class _Challenge(Unauthorized):
    """A refusal that tells, as HTTP wants it, how to authenticate."""

    def __init__(self, detail: str | None = None, **options: Any) -> None:
        options["headers"] = {"WWW-Authenticate": "Bearer", **(options.get("headers") or {})}
        super().__init__(detail, **options)


class MissingAuth(_Challenge):
    code, title = "missing_auth", "Send an access token or an API key as `Authorization: Bearer`"


class InvalidAuthorizationHeader(_Challenge):
    code, title = (
        "invalid_authorization_header",
        "The Authorization header must read `Bearer` and a token",
    )


class MissingToken(_Challenge):
    code, title = "missing_token", "The Authorization header has no token after `Bearer`"


class InvalidToken(_Challenge):
    code, title = "invalid_token", "The token is not valid or was revoked; sign in again"


class TokenExpired(_Challenge):
    code, title = "token_expired", "The token has expired; refresh it or sign in again"


class CallerInactive(_Challenge):
    code, title = "account_inactive", "The account is not active; ask an admin to activate it"


class InvalidCredentials(_Challenge):
    code, title = "invalid_credentials", "The e-mail or the password is wrong"


class AccountInactive(Forbidden):
    code, title = "account_inactive", "The account is not active; ask an admin to activate it"


class RegistrationClosed(Forbidden):
    code, title = "registration_closed", "Registration is closed; ask an admin for an account"


class RoleAssignmentForbidden(Forbidden):
    code, title = (
        "role_assignment_forbidden",
        "Only a superadmin may make, change or remove admins and superadmins",
    )


class ScopeNotHeld(Forbidden):
    code, title = "scope_not_held", "A key cannot do more than the one who makes it"


class WrongPassword(Forbidden):
    code, title = "wrong_password", "The current password is wrong"


class AccountLocked(TooManyRequests):
    code, title = "account_locked", "Too many failed sign-ins; wait as long as Retry-After says"


class WeakPassword(Invalid):
    code, title = "weak_password", "The password does not meet the password policy"


class InvitationInvalid(BadRequest):
    code, title = (
        "invitation_invalid",
        "The invitation is unknown, used or expired; ask an admin for a new one",
    )


class OwnAccount(BadRequest):
    code, title = "own_account", "This cannot be done to the account that asks for it"


class EmailTaken(Conflict):
    code, title = "email_taken", "An account with this e-mail exists"


class LastSuperadmin(Conflict):
    code, title = "last_superadmin", "The last active superadmin must stay one"


class SessionRequired(Conflict):
    code, title = "session_required", "Only a sign-in has a session; an API key has none"


class UserNotFound(NotFound):
    code, title = "user_not_found", "No such user"


class ApiKeyNotFound(NotFound):
    code, title = "api_key_not_found", "You have no such API key"


class ProjectNotFound(NotFound):
    code, title = "project_not_found", "No such project among yours"
