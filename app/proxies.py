"""Trusted proxies: the client's address and the scheme, as the proxy in front reports them."""

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def trust(application: "WSGIApplication", proxies: tuple[str, ...]) -> "WSGIApplication":
    """WSGI middleware: apply X-Forwarded-For and X-Forwarded-Proto if one of `proxies` sent the request.

    `proxies` holds addresses and networks, or `*` for any.
    """
    # Only the last address counts: the client may have made up the others.
    forwarded = ProxyFix(application, x_for=1, x_proto=1)
    networks = [ip_network(proxy) for proxy in proxies if proxy != "*"]

    @lru_cache(maxsize=1024)
    def is_trusted(address: str) -> bool:
        if "*" in proxies:
            return True
        try:
            return any(ip_address(address) in network for network in networks)
        except ValueError:  # a Unix socket has no address
            return False

    def choose(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        trusted = is_trusted(environ.get("REMOTE_ADDR", ""))
        return (forwarded if trusted else application)(environ, start_response)

    return choose


def init_app(app: Flask, proxies: tuple[str, ...]) -> None:
    """Trust `proxies` in front of `app`."""
    app.wsgi_app = trust(app.wsgi_app, proxies)  # type: ignore[assignment, method-assign]
