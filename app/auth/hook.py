"""The hook that verifies the token before any view runs."""

import logging

from flask import Flask, current_app, g, request

from ..errors import Problem
from .keys import KeysUnavailable
from .tokens import InvalidToken, TokenVerifier

log = logging.getLogger(__name__)

NO_KEYS = "The keys that tokens are verified with cannot be had; try again shortly."
# All other blueprints require a token, so a forgotten route is closed, not open.
PUBLIC_BLUEPRINTS = frozenset({"health", "openapi"})


def bearer_token(header: str) -> str:
    """The token of an `Authorization` header (RFC 6750, section 2.1). Raises Problem if it has none."""
    scheme, _, token = header.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem("unauthorized", headers={"WWW-Authenticate": "Bearer"}, reason="no_token")
    return token


def authenticate() -> None:
    """Verify the token, set `g.user` and `g.user_id`, and compare the path's user with the token's.

    Raises Problem 401, 403, or 503 if the key server does not supply the keys.
    """
    # A preflight has no token; an unknown address has no view to protect.
    if request.url_rule is None or request.method == "OPTIONS" or request.blueprint in PUBLIC_BLUEPRINTS:
        return
    verifier: TokenVerifier = current_app.extensions["token_verifier"]
    try:
        g.user = verifier.verify(bearer_token(request.headers.get("Authorization", "")))
    except InvalidToken as error:
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise Problem("invalid_token", str(error), headers=headers, reason=error.reason) from None
    except KeysUnavailable:
        raise Problem("service_unavailable", NO_KEYS, reason="key_set") from None
    g.user_id = g.user.id
    if g.user.ignored:
        log.info("ignored claims of the token: %s", ", ".join(g.user.ignored))
    # Removed, so that no view can use it instead of the token's user.
    path_user = (request.view_args or {}).pop("user_id", None)
    if path_user is not None and path_user != g.user_id:
        raise Problem("forbidden", reason="other_user")


def init_app(app: Flask, verifier: TokenVerifier) -> None:
    """Run `authenticate` before every request of `app`."""
    app.extensions["token_verifier"] = verifier
    app.before_request(authenticate)
