"""Which token is good, and whose it is."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from marshmallow import ValidationError, validate

from .config import Settings
from .models import USER_ID_LIMIT

LEEWAY_SECONDS = 10
# RFC 7519, section 3: three base64url parts. Longer ones would not fit into gunicorn's header limit either.
COMPACT_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
MAX_TOKEN_LENGTH = 8190
# What no database text holds or no log line should: control characters and unpaired surrogates.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
NOT_A_JWT = "This is not a JWT; Better Auth's session cookie is not one either: ask /api/auth/token for one."
REASONS: tuple[tuple[type[jwt.InvalidTokenError], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired."),
    (jwt.ImmatureSignatureError, "The token is not valid yet."),
    (jwt.InvalidIssuerError, "The token is from another issuer."),
    (jwt.InvalidAudienceError, "The token is for another audience."),
    (jwt.MissingRequiredClaimError, "The token lacks a claim that is required."),
    (jwt.InvalidSignatureError, "The token's signature is not valid."),
)


class InvalidToken(Exception):  # noqa: N818 - the name of RFC 6750's error code
    """A token that is refused; the message is a sentence for a frontend developer."""


@dataclass(frozen=True)
class TokenUser:
    """Who a verified token speaks for; `email` and `name` are what it says of them, null where unusable."""

    id: str
    email: str | None
    name: str | None
    ignored: tuple[str, ...] = ()


class TokenVerifier:
    """Verifies tokens signed with the secret that is shared with the sign-in service."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret
        self._issuer = settings.issuer
        self._any_audience = settings.audience == "*"
        self._audience = None if self._any_audience else settings.audience
        self._user_claims = [tuple(claim.split(".")) for claim in settings.user_id_claims]

    def verify(self, token: str) -> TokenUser:
        """The token's user. Raises InvalidToken, with a reason, for any token that is not good now."""
        if len(token) > MAX_TOKEN_LENGTH or not COMPACT_JWT.fullmatch(token):
            raise InvalidToken(NOT_A_JWT)
        try:
            claims = self._decode(token)
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as error:
            reasons = (text for kind, text in REASONS if isinstance(error, kind))
            raise InvalidToken(next(reasons, "The token is not valid.")) from None
        return self._user(claims)

    def _decode(self, token: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            self._secret,
            # The mode decides: the header's `alg` is only compared with this list (RFC 8725, section 3.1).
            algorithms=["HS256"],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_SECONDS,
            options={
                "verify_signature": True,
                # A token without an end could never be taken back.
                "require": ["exp"],
                "verify_exp": True,
                "verify_nbf": True,
                "verify_iat": True,
                "verify_iss": self._issuer is not None,
                # Without a configured audience a token that carries one is refused (RFC 7519, section 4.1.3).
                "verify_aud": not self._any_audience,
                # A list of audiences is fine, one of them has to be ours.
                "strict_aud": False,
                # The user claim is checked below: `sub` may be an integer here, or another claim be used.
                "verify_sub": False,
                # Nothing here reads `jti`.
                "verify_jti": False,
                "enforce_minimum_key_length": True,
            },
        )
        # PyJWT takes "123" and true for numbers, and an empty `aud` for none.
        for name in ("exp", "nbf", "iat"):
            if name in claims and type(claims[name]) not in (int, float):
                raise InvalidToken(f"The token's {name} is not a number.")
        if self._audience is None and not self._any_audience and claims.get("aud") is not None:
            raise jwt.InvalidAudienceError
        return claims

    def _user(self, claims: dict[str, Any]) -> TokenUser:
        found = (_dig(claims, path) for path in self._user_claims)
        user_id = next((value for value in found if value is not None), None)
        if type(user_id) is int:
            user_id = str(user_id)
        if not isinstance(user_id, str) or not _is_text(user_id, USER_ID_LIMIT):
            raise InvalidToken("The token names no user.")
        email, name = claims.get("email"), claims.get("name")
        usable = {"email": _is_email(email), "name": _is_text(name, 100)}
        return TokenUser(
            user_id,
            email if usable["email"] else None,
            name if usable["name"] else None,
            tuple(claim for claim, fine in usable.items() if not fine and claims.get(claim) is not None),
        )


def sign(settings: Settings, user_id: str, lifetime: timedelta, **claims: str | None) -> str:
    """A token for `user_id`, signed with the configured secret and good for `lifetime`."""
    now = datetime.now(UTC)
    payload: dict[str, Any] = {name: value for name, value in claims.items() if value is not None}
    payload |= {"iat": now, "exp": now + lifetime}
    if settings.issuer:
        payload["iss"] = settings.issuer
    if settings.audience not in (None, "*"):
        payload["aud"] = settings.audience
    *parents, last = settings.user_id_claims[0].split(".")
    holder = payload
    for parent in parents:
        holder = holder.setdefault(parent, {})
    holder[last] = user_id
    return jwt.encode(payload, settings.secret, algorithm="HS256")


def _dig(claims: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        claims = claims.get(name) if isinstance(claims, dict) else None
    return claims


def _is_text(value: Any, limit: int) -> bool:
    return (
        isinstance(value, str)
        and 1 <= len(value) <= limit
        and not value.isspace()
        and not UNPRINTABLE.search(value)
    )


def _is_email(value: Any) -> bool:
    if not _is_text(value, 255):
        return False
    try:
        validate.Email()(value)
    except ValidationError:
        return False
    return True
