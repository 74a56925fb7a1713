"""The headers of every response."""

import logging
import time
from collections.abc import Callable

from flask import Flask, Response, request
from flask_cors import CORS

log = logging.getLogger(__name__)

# The headers that a script in a browser may read.
EXPOSED = ("ETag", "Link", "Location", "Retry-After", "WWW-Authenticate", "X-Request-ID")
SECURITY_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


def add_headers(response: Response) -> Response:
    """Add the security headers that the view has not set."""
    headers = response.headers
    present = {name.lower() for name, _ in headers}
    headers.extend([header for header in SECURITY_HEADERS if header[0].lower() not in present])
    return response


def problem_media_type() -> str:
    """`application/problem+json`, or `application/json` for a client that accepts nothing else.

    Such clients look for that type before they read a body.
    """
    accepted = request.accept_mimetypes
    if accepted["application/json"] and not accepted["application/problem+json"]:
        return "application/json"
    return "application/problem+json"


class RefusedOrigins:
    """Logs origins that `CORS_ORIGINS` lacks, one in SECONDS at most because clients choose them."""

    SECONDS = 60

    def __init__(self, origins: tuple[str, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self._origins = frozenset(origin.lower() for origin in origins)
        self._clock = clock
        self._logged_at = float("-inf")

    def check(self) -> None:
        """Log the request's origin if it is refused."""
        origin = request.headers.get("Origin")
        # A page of this service names its own origin, too; behind a proxy, only its host is known here.
        if origin is None or origin.lower() in self._origins or origin.partition("://")[2] == request.host:
            return
        now = self._clock()
        if now - self._logged_at >= self.SECONDS:
            self._logged_at = now
            log.warning("refused the origin %.200a; if it is your frontend's, add it to CORS_ORIGINS", origin)


def init_app(app: Flask, origins: tuple[str, ...]) -> None:
    """Add the security headers, and those of CORS for `origins`, to every response."""
    app.after_request(add_headers)
    app.before_request(RefusedOrigins(origins).check)
    if origins:
        CORS(
            app,
            origins=list(origins),
            expose_headers=list(EXPOSED),
            max_age=600,
            # No cookie is read, but browsers hide a response to `credentials: "include"` without this header.
            supports_credentials=True,
            # Otherwise a request without an origin gets the names of all.
            always_send=False,
        )
