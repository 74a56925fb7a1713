"""Metrics for Prometheus, of all workers together. No label holds a value that a client chooses."""

import os
from itertools import count
from pathlib import Path
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
    values,
)


def _lock(file: Path) -> int | None:
    """Lock a file until this process ends or closes it; None if another process has the lock."""
    import fcntl  # on Unix only, like the servers that set up the folder

    descriptor = os.open(file, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _forget_gauges(number: int) -> None:
    """Remove what an exited worker had in progress."""
    multiprocess.mark_process_dead(number)  # type: ignore[no-untyped-call]


FOLDER = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""))
if MULTIPROCESS := "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    # Number the workers: each continues the files of one that exited. With files named by process id, every
    # restart would make scrapes slower.
    NUMBER = next(number for number in count() if _lock(FOLDER / f"{number}.lock") is not None)
    _forget_gauges(NUMBER)
    values.ValueClass = values.MultiProcessValue(lambda: NUMBER)  # type: ignore[no-untyped-call]

# Whether this process is the server's worker that does what one of them has to do.
FIRST_WORKER = MULTIPROCESS and NUMBER == 0
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
BATCH_OPERATIONS = Counter("batch_operations", "Operations in batches by status.", ["operation", "status"])
BY_STATUS = {401: REFUSED, 503: UNAVAILABLE}


def exposition() -> bytes:
    """The metrics in Prometheus's text format, of all workers if the server set up a folder for them."""
    if not MULTIPROCESS:
        return generate_latest(REGISTRY)
    for file in FOLDER.glob("*.lock"):
        if (lock := _lock(file)) is not None:
            _forget_gauges(int(file.stem))
            os.close(lock)
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
