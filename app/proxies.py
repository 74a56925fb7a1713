"""Trusted proxies: the client's address and the scheme, as the proxy in front reports them."""

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class TrustedProxies:
    """WSGI middleware: apply X-Forwarded-For and X-Forwarded-Proto where a trusted proxy sends them."""

    def __init__(self, application: "WSGIApplication", trusted: tuple[str, ...]) -> None:
        self._direct = application
        # Of several addresses the last one: the others may be the client's invention.
        self._forwarded = ProxyFix(application, x_for=1, x_proto=1)
        networks = [ip_network(proxy) for proxy in trusted if proxy != "*"]

        @lru_cache(maxsize=1024)
        def is_trusted(address: str) -> bool:
            if "*" in trusted:
                return True
            try:
                return any(ip_address(address) in network for network in networks)
            except ValueError:  # a socket in the file system has no address
                return False

        self._is_trusted = is_trusted

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        application = self._forwarded if self._is_trusted(environ.get("REMOTE_ADDR", "")) else self._direct
        return application(environ, start_response)


def init_app(app: Flask, trusted: tuple[str, ...]) -> None:
    """Put the middleware before `app`; `trusted` holds addresses, networks, or `*` for any."""
    app.wsgi_app = TrustedProxies(app.wsgi_app, trusted)  # type: ignore[method-assign]
