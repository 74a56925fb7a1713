"""The headers of every response."""

from flask import Flask, Response
from flask_cors import CORS

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


def init_app(app: Flask, origins: tuple[str, ...]) -> None:
    """Add the security headers, and those of CORS for `origins`, to every response."""
    app.after_request(add_headers)
    if origins:
        CORS(app, origins=list(origins), expose_headers=list(EXPOSED), max_age=600)
