"""Request and response bodies of accounts and sign-in."""

from typing import Annotated, Any

from pydantic import (
    MISSING,
    AfterValidator,
    AliasChoices,
    Field,
    StringConstraints,
    computed_field,
    model_validator,
)

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime
from muster.platform.access import PlatformRole, Scope
from muster.platform.access import ProjectRole as Role

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

# Deliverability is not asked for: `admin@muster.local` is a fine address inside a company.
Email = Annotated[
    str,
    StringConstraints(
        max_length=254,
        pattern=rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*$",
    ),
    AfterValidator(str.lower),
    Field(description="E-mail address; case makes no difference.", examples=["ada@example.org"]),
]
Password = Annotated[
    str,
    StringConstraints(strip_whitespace=False, min_length=1, max_length=256),
    Field(examples=["correct horse battery staple"]),
]
PersonName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=120),
    Field(examples=["Ada Lovelace"]),
]
_NAME = Field(
    validation_alias=AliasChoices("name", "full_name"),
    description="Name of the person; `full_name` is accepted too.",
)
Picture = Annotated[
    str,
    StringConstraints(max_length=2000, pattern=r"^https?://\S+$"),
    Field(description="Address of a picture.", examples=["https://example.org/ada.png"]),
]
Opaque = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class UserOut(RecordOut):
    """An account."""

    email: str
    name: str
    role: PlatformRole
    is_admin: Annotated[bool, Field(description="Whether the role is admin or above.")]
    is_active: bool
    has_password: Annotated[bool, Field(description="False until an invitation is accepted.")]
    picture: str | None
    active_project_id: str | None
    personal_project_id: str | None
    last_login_at: UtcTime | None

    @computed_field(description="The same as `name`.")
    @property
    def full_name(self) -> str:
        return self.name


class ProfileOut(UserOut):
    """The account of the caller, and what the caller may do in the project of the request."""

    project_id: str
    project_role: Role | None
    scopes: list[Scope]


class RegisterIn(In):
    email: Email
    password: Password
    name: Annotated[PersonName, _NAME]


class LoginIn(In):
    email: Annotated[
        str,
        StringConstraints(min_length=1, max_length=254, to_lower=True),
        Field(examples=["ada@example.org"]),
    ]
    password: Password


class TokensOut(Out):
    """A pair of tokens. The refresh token is used once: each refresh gives a new pair."""

    access_token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiJ9..."])]
    refresh_token: Annotated[str, Field(examples=["mst_refresh_..."])]
    token_type: Annotated[str, Field(examples=["bearer"])]
    expires_in: Annotated[int, Field(description="Life of the access token, in seconds.")]
    user: UserOut


class RefreshIn(In):
    refresh_token: Annotated[Opaque, Field(examples=["mst_refresh_..."])]


class InvitationIn(In):
    token: Annotated[Opaque, Field(examples=["mst_invite_..."])]
    password: Password


class ProfilePatch(In):
    name: Annotated[PersonName | MISSING, _NAME] = MISSING
    email: Email | MISSING = MISSING
    picture: Picture | MISSING | None = MISSING
    current_password: Annotated[
        Password | None, Field(description="Needed to change the e-mail.")
    ] = None


class PasswordChange(In):
    current_password: Password
    new_password: Password


class UserList(ListParams):
    search: Annotated[
        str | None, Field(max_length=200, description="Name or e-mail contains, in any case.")
    ] = None
    role: Annotated[PlatformRole | None, Field(description="Only with this role.")] = None
    is_active: Annotated[bool | None, Field(description="Only active or inactive ones.")] = None


def _merge_is_admin(values: Any) -> Any:
    """Turn the short form `is_admin` into the role that it stands for."""
    if not isinstance(values, dict) or not isinstance(values.get("is_admin"), bool):  # pyright: ignore[reportUnknownMemberType]
        return values  # pyright: ignore[reportUnknownVariableType]
    given: dict[str, Any] = dict(values)  # pyright: ignore[reportUnknownArgumentType]
    wanted = given["is_admin"]
    role = given.setdefault("role", ("admin" if wanted else "user"))
    if wanted != (role in {"admin", "superadmin"}):
        raise ValueError("role and is_admin contradict each other; send one of them")
    return given


IsAdmin = Annotated[bool, Field(description="Short form: true is the role admin, false is user.")]


class UserCreate(In):
    email: Email
    name: Annotated[PersonName, _NAME]
    password: Annotated[
        Password | None,
        Field(description="Absent: the answer carries an invitation token for the person."),
    ] = None
    role: PlatformRole = PlatformRole.USER
    is_admin: IsAdmin | MISSING = MISSING

    _is_admin = model_validator(mode="before")(_merge_is_admin)


class UserPatch(In):
    name: Annotated[PersonName | MISSING, _NAME] = MISSING
    email: Email | MISSING = MISSING
    picture: Picture | MISSING | None = MISSING
    role: PlatformRole | MISSING = MISSING
    is_admin: IsAdmin | MISSING = MISSING
    is_active: bool | MISSING = MISSING
    password: Annotated[
        Password | MISSING, Field(description="A new password; ends the sessions of the user.")
    ] = MISSING

    _is_admin = model_validator(mode="before")(_merge_is_admin)


class NewUserOut(UserOut):
    """The new account. The invitation token is shown this once."""

    invitation_token: Annotated[
        str | None,
        Field(description="For `POST /auth/accept-invitation`; null when a password was given."),
    ]
    invitation_expires_at: UtcTime | None
