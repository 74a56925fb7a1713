"""Metrics for Prometheus, of all workers together. No label holds a value that a client chooses."""

import os
from time import perf_counter

from flask import Flask, Response, g, request
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
REQUESTS = Counter("http_requests", "Requests by route, method and status.", ["route", "method", "status"])
SECONDS = Histogram(
    "http_request_duration_seconds", "Time from request to response.", ["route", "method"], buckets=BUCKETS
)
IN_FLIGHT = Gauge("http_requests_in_flight", "Requests in progress.", multiprocess_mode="livesum")
CONNECTIONS_IN_USE = Gauge(
    "database_connections_in_use", "Pooled connections in use.", multiprocess_mode="livesum"
)
KEY_SET_FETCHES = Counter("key_set_fetches", "Fetches of the key set.", ["outcome"])
REFUSED = Counter("tokens_refused", "Requests refused with 401.", ["reason"])
UNAVAILABLE = Counter("requests_unavailable", "Requests refused with 503.", ["cause"])
BY_STATUS = {401: REFUSED, 503: UNAVAILABLE}


def exposition() -> bytes:
    """The metrics in Prometheus's text format, of all workers if gunicorn set up a folder for them."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def begin_request() -> None:
    """Count the request as in flight."""
    IN_FLIGHT.inc()
    g.in_flight = True


def count_request(response: Response) -> Response:
    """Count the response under the rule of its route, not its path."""
    route = request.url_rule.rule if request.url_rule else "unknown"
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(route, method, response.status_code).inc()
    SECONDS.labels(route, method).observe(perf_counter() - g.began)
    if response.status_code in BY_STATUS:
        BY_STATUS[response.status_code].labels(g.get("reason", "other")).inc()
    return response


def end_request(_error: BaseException | None) -> None:
    """Count the request as no longer in flight."""
    # Another hook may have failed before `begin_request` ran.
    if g.pop("in_flight", False):
        IN_FLIGHT.dec()


def init_app(app: Flask) -> None:
    """Count the requests of `app`."""
    app.before_request(begin_request)
    app.after_request(count_request)
    app.teardown_request(end_request)
