"""The routes for those who run the service; none takes a token."""

import threading
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Response, current_app, jsonify

from .config import ROOT
from .errors import Problem
from .extensions import db

READY_SECONDS = 2
blueprint = Blueprint("ops", __name__)
heads = frozenset(ScriptDirectory(str(ROOT / "migrations")).get_heads())


@blueprint.get("/health")
def health() -> Response:
    """Tell that the process answers; no database is touched."""
    return jsonify(status="healthy")


@blueprint.get("/ready")
def ready() -> Response:
    """Tell whether the database answers and has every migration."""
    if not _is_migrated_in_time():
        raise Problem(503, "service_unavailable", "The database does not answer, or lacks migrations.")
    return jsonify(status="ready")


def _is_migrated_in_time() -> bool:
    app: Any = current_app._get_current_object()  # type: ignore[attr-defined]
    answers: list[bool] = []

    def ask() -> None:
        try:
            with app.app_context(), db.engine.connect() as connection:
                answers.append(frozenset(MigrationContext.configure(connection).get_current_heads()) == heads)
        except Exception as error:  # whatever it is, the service is not ready
            app.logger.warning("not ready: %s", type(error).__name__)

    # No driver's time limit covers every way in which a database can hang, so a thread is left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(READY_SECONDS)
    return answers == [True]
