"""Signed access tokens (JWT)."""

from dataclasses import dataclass
from datetime import timedelta

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OctKey

from muster.kernel import clock
from muster.kernel.crypto import MasterKey
from muster.platform.access import PlatformRole
from muster.platform.identity.errors import InvalidToken, TokenExpired

ISSUER = "muster"
_ALGORITHM = "HS256"
_MAX_TOKEN = 4096

_CLAIMS = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": ISSUER},
    sub={"essential": True},
    sid={"essential": True},
    exp={"essential": True},
)


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says; roles are read from the database at each request."""

    user_id: str
    session_id: str


class AccessTokens:
    """Makes and reads access tokens (JWT, HS256).

    Args:
        master_key: The signing key is derived from it.
        minutes: Life of a token.
    """

    def __init__(self, master_key: MasterKey, minutes: int) -> None:
        self._key = OctKey.import_key(master_key.derive("jwt"))
        self.life = timedelta(minutes=minutes)

    def issue(self, *, user_id: str, session_id: str, role: PlatformRole) -> str:
        """Return a signed token."""
        issued = int(clock.now().timestamp())
        claims = {
            "iss": ISSUER,
            "sub": user_id,
            "sid": session_id,
            "role": role.value,
            "iat": issued,
            "exp": issued + int(self.life.total_seconds()),
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, self._key)

    def read(self, token: str) -> AccessClaims:
        """Check signature, algorithm, issuer and expiry; raise what is wrong."""
        if len(token) > _MAX_TOKEN:
            raise InvalidToken
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
            _CLAIMS.validate(claims)
        except ExpiredTokenError as error:
            raise TokenExpired from error
        except (JoseError, ValueError) as error:
            raise InvalidToken from error
        return AccessClaims(str(claims["sub"]), str(claims["sid"]))
