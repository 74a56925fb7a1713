"""The headers that every answer carries, whatever made it."""

from flask import Flask, Response
from flask_cors import CORS

# What a browser's script may read of an answer beside its body.
EXPOSED = ("ETag", "Link", "Location", "Retry-After", "WWW-Authenticate", "X-Request-ID")
SECURITY_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


def add_headers(response: Response) -> Response:
    """Add what the view did not set itself."""
    headers = response.headers
    present = {name.lower() for name, _ in headers}
    headers.extend([header for header in SECURITY_HEADERS if header[0].lower() not in present])
    return response


def init_app(app: Flask, origins: tuple[str, ...]) -> None:
    """Add the headers, and those of CORS for the given origins."""
    app.after_request(add_headers)
    if origins:
        CORS(app, origins=list(origins), expose_headers=list(EXPOSED), max_age=600)
