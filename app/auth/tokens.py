"""Verify tokens, and read the user from their claims."""

import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

import jwt
from marshmallow import ValidationError, validate

from ..config import Settings
from ..errors import ERRORS
from ..limits import MAX_EMAIL, MAX_NAME, MAX_TOKEN, MAX_USER_ID
from .keys import Key, KeySet, SharedSecret

LEEWAY_SECONDS = 10
ANY_AUDIENCE = ("*",)
# RFC 7519, section 3: three base64url parts.
COMPACT_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
# Control characters and unpaired surrogates, which the database or the log cannot hold.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
NOT_A_JWT = (
    "The token is not a JWT; if it is Better Auth's session cookie, get a JWT from /api/auth/token instead."
)
BEARER_TWICE = "The header says Bearer twice; write it once, as in: Authorization: Bearer <token>."
UNEXPECTED_AUDIENCE = (
    "The token names an audience, and this service expects none; JWT_AUDIENCE is where to set it."
)
TOKEN_ERRORS: tuple[tuple[type[jwt.InvalidTokenError], str, str], ...] = (
    (jwt.ExpiredSignatureError, "expired", "The token has expired."),
    (jwt.ImmatureSignatureError, "not_yet_valid", "The token is not valid yet."),
    (jwt.InvalidIssuerError, "issuer", "The token is from another issuer."),
    (jwt.InvalidAudienceError, "audience", "The token is for another audience."),
    (
        jwt.InvalidAlgorithmError,
        "algorithm",
        "The token is signed with an algorithm that is not accepted here.",
    ),
    (jwt.MissingRequiredClaimError, "missing_claim", "The token lacks a claim that is required."),
    (jwt.InvalidSignatureError, "signature", "The token's signature is not valid."),
)


class InvalidToken(Exception):  # noqa: N818 - the name of RFC 6750's error code
    """A token that is refused: a word for the log, and a sentence for a frontend developer."""

    def __init__(self, reason: str, detail: str = ERRORS["invalid_token"].detail) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class TokenUser:
    """The user of a verified token. `email` and `name` are None if their claim is absent or `ignored`."""

    id: str
    email: str | None
    name: str | None
    ignored: tuple[str, ...] = ()


class TokenCache:
    """The users of tokens that were verified within the last minute and have not expired.

    The number of entries and the length of a token are bounded, which keeps it below about 10 MB.
    """

    MAX_ENTRIES = 4096
    MAX_LENGTH = 2048
    SECONDS = 60

    def __init__(self) -> None:
        self._entries: dict[str, tuple[TokenUser, float, float]] = {}
        self._lock = threading.Lock()

    def get(self, token: str) -> TokenUser | None:
        """The user of a token that is still valid, or None if it is not in the cache."""
        user, expires, until = self._entries.get(token, (None, 0, 0))
        # `exp` refers to the system clock, which may be set; the minute must not.
        return user if time.time() < expires and time.monotonic() < until else None

    def add(self, token: str, user: TokenUser, expires: float) -> None:
        """Store the user of a verified token; the oldest entry makes room."""
        if len(token) > self.MAX_LENGTH:
            return
        with self._lock:
            self._entries.pop(token, None)
            if len(self._entries) >= self.MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]
            self._entries[token] = (user, expires, time.monotonic() + self.SECONDS)


class TokenVerifier:
    """Verifies tokens in the mode of the settings: shared secret or key set."""

    def __init__(self, settings: Settings) -> None:
        self._keys = KeySet(settings.jwks_url) if settings.jwks_url else SharedSecret(settings.secret)
        self._issuers = settings.issuers
        self._audiences = settings.audiences
        self._user_claims = [tuple(claim.split(".")) for claim in settings.user_id_claims]
        self._verified = TokenCache()

    def verify(self, token: str) -> TokenUser:
        """The token's user.

        Raises InvalidToken, or KeysUnavailable if the key server does not supply the token's key.
        """
        user = self._verified.get(token)
        if user is None:
            claims = self._claims(token)
            user = self._user(claims)
            self._verified.add(token, user, claims["exp"])
        return user

    def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN or not COMPACT_JWT.fullmatch(token):
            twice = token.lower().startswith("bearer ")
            raise InvalidToken("malformed", BEARER_TWICE if twice else NOT_A_JWT)
        try:
            # Only the key id of the header is used, never `jku`, `jwk`, `x5u` and the like.
            header = jwt.get_unverified_header(token)
            # RFC 7515, section 4.1.11: refuse a critical header that is not understood.
            if "crit" in header or "b64" in header:
                raise jwt.InvalidTokenError
            key = self._keys.find(header.get("kid"))
            if key is None:
                raise InvalidToken("unknown_key", "The token is signed with a key that is not known here.")
            claims = self._decode(token, key)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            reasons = ((reason, detail) for kind, reason, detail in TOKEN_ERRORS if isinstance(error, kind))
            raise InvalidToken(*next(reasons, ("malformed",))) from None
        # PyJWT accepts "123" and true as numbers, and an empty `aud` as absent.
        for name in ("exp", "nbf", "iat"):
            if name in claims and type(claims[name]) not in (int, float):
                raise InvalidToken("malformed", f"The token's {name} is not a number.")
        if not self._audiences and claims.get("aud") is not None:
            raise InvalidToken("audience", UNEXPECTED_AUDIENCE)
        return claims

    def _decode(self, token: str, key: Key) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            # The mode and the key decide; the header's `alg` must be one of them (RFC 8725, section 3.1).
            algorithms=list(key.algorithms),
            issuer=self._issuers or None,
            audience=self._audiences or None,
            # For clocks that differ a little; applies to `exp`, `nbf` and `iat`.
            leeway=LEEWAY_SECONDS,
            options={
                "verify_signature": True,
                # A token that never expires could never be revoked.
                "require": ["exp"],
                "verify_exp": True,
                "verify_nbf": True,
                "verify_iat": True,
                "verify_iss": bool(self._issuers),
                # If none is configured, `_claims` refuses every audience; `*` accepts every one.
                "verify_aud": bool(self._audiences) and self._audiences != ANY_AUDIENCE,
                # A token may have several audiences, one of which must be ours (RFC 7519, section 4.1.3).
                "strict_aud": False,
                # `_user` checks it: `sub` may be an integer, or another claim may name the user.
                "verify_sub": False,
                # `jti` is not used.
                "verify_jti": False,
                # RFC 7518, sections 3.2 and 3.3: 32 bytes for HS256, 2048 bits for RSA.
                "enforce_minimum_key_length": True,
            },
        )
        return claims

    def _user(self, claims: dict[str, Any]) -> TokenUser:
        found = (_dig(claims, path) for path in self._user_claims)
        user_id = next((value for value in found if value is not None), None)
        if type(user_id) is int:
            user_id = str(user_id)
        if not is_user_id(user_id):
            raise InvalidToken("no_user", "The token names no user.")
        email, name = claims.get("email"), claims.get("name")
        usable = {"email": _is_email(email), "name": _is_text(name, MAX_NAME)}
        return TokenUser(
            user_id,
            email if usable["email"] else None,
            name if usable["name"] else None,
            tuple(claim for claim, fine in usable.items() if not fine and claims.get(claim) is not None),
        )


def sign(settings: Settings, user_id: str, lifetime: timedelta, **claims: str | None) -> str:
    """A token of `user_id`, signed with the configured secret and valid for `lifetime`."""
    now = datetime.now(UTC)
    payload: dict[str, Any] = {name: value for name, value in claims.items() if value is not None}
    payload |= {"iat": now, "exp": now + lifetime}
    if settings.issuers:
        payload["iss"] = settings.issuers[0]
    if settings.audiences and settings.audiences != ANY_AUDIENCE:
        payload["aud"] = settings.audiences[0]
    *parents, last = settings.user_id_claims[0].split(".")
    holder = payload
    for parent in parents:
        holder[parent] = {}
        holder = holder[parent]
    holder[last] = user_id
    return jwt.encode(payload, settings.secret, algorithm="HS256")


def is_user_id(value: Any) -> TypeGuard[str]:
    """Whether a token may name a user so: 1 to 255 characters, not blank, without control characters."""
    return _is_text(value, MAX_USER_ID)


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
    if not _is_text(value, MAX_EMAIL):
        return False
    try:
        validate.Email()(value)
    except ValidationError:
        return False
    return True
