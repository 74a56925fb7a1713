"""The routes for operators, without a token."""

import threading
from concurrent.futures import Future
from ipaddress import ip_address
from time import monotonic

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Flask, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import NotFound

from .config import ROOT
from .errors import Problem
from .extensions import db
from .metrics import FIRST_WORKER, exposition

READY_SECONDS = 2
NO_ANSWER = "The database does not answer."
MIGRATIONS_MISSING = "The database lacks migrations; flask db upgrade makes them."
# A request with one of these comes through a proxy, and so not from this machine.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
blueprint = Blueprint("health", __name__)
heads = frozenset(ScriptDirectory(str(ROOT / "migrations")).get_heads())


class Readiness:
    """Checks the database, once for all requests that arrive at the same time."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._check: Future[str | None] = Future()
        self._began = float("-inf")

    def trouble(self) -> str | None:
        """The reason why the service is not ready, or None, within 2 s."""
        with self._lock:
            # A check that hangs ends at the timeouts of driver and pool; start another one meanwhile.
            if self._check.done() or monotonic() - self._began > READY_SECONDS:
                self._check, self._began = Future(), monotonic()
                threading.Thread(target=self._run, args=(self._check,), daemon=True).start()
            check = self._check
        try:
            return check.result(READY_SECONDS)
        except TimeoutError:
            return NO_ANSWER

    def log_missing_migrations(self) -> None:
        """Log it if the database lacks migrations, because then all requests for tasks fail."""
        if self.trouble() == MIGRATIONS_MISSING:
            self._app.logger.error(MIGRATIONS_MISSING)

    def _run(self, check: Future[str | None]) -> None:
        try:
            with self._app.app_context(), db.engine.connect() as connection:
                migrated = frozenset(MigrationContext.configure(connection).get_current_heads()) == heads
                check.set_result(None if migrated else MIGRATIONS_MISSING)
        except Exception as error:  # any error means not ready
            self._app.logger.warning("not ready: %s", type(error).__name__)
            check.set_result(NO_ANSWER)


@blueprint.get("/health")
def health() -> Response:
    """Check that the process responds, without the database."""
    return jsonify(status="healthy")


@blueprint.get("/ready")
def ready() -> Response:
    """Check that the database responds and has every migration."""
    trouble = current_app.extensions["readiness"].trouble()
    if trouble:
        raise Problem("service_unavailable", trouble, reason="not_ready")
    return jsonify(status="ready")


@blueprint.get("/metrics")
def metrics() -> Response:
    """Get the metrics in Prometheus's text format; by default only from this machine."""
    mode = current_app.config["METRICS"]
    if mode == "off" or (mode == "local" and not _is_from_this_machine()):
        raise NotFound
    return Response(exposition(), content_type=CONTENT_TYPE_LATEST)


def _is_from_this_machine() -> bool:
    try:
        loopback = ip_address(request.remote_addr or "").is_loopback
    except ValueError:  # a Unix socket has no address
        return False
    return loopback and not any(name in request.headers for name in FORWARDED)


def init_app(app: Flask, metrics: str) -> None:
    """Register the routes; `metrics` is the setting METRICS: `local`, `on` or `off`."""
    app.config["METRICS"] = metrics
    app.extensions["readiness"] = readiness = Readiness(app)
    if FIRST_WORKER:
        # Beside the start, because a database that is away takes its time.
        threading.Thread(target=readiness.log_missing_migrations, daemon=True).start()
    app.register_blueprint(blueprint)
