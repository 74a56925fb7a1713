"""A multi-user Tasks API.

The way of a request, and of the imports:

    contracts.py - which mount -> auth.py - who -> tasks.py - what -> loading.py, schemas.py - is it valid
    -> store.py, statements.py, database.py - the owner's rows -> tasks.py - JSON

An error on any of these stations goes to errors.py and becomes problem details there.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import NotFound

from . import auth, cli, docs, errors, headers, logs, me, metrics, ops
from .config import ROOT, Settings
from .contracts import CONTRACTS, TaskIdConverter
from .extensions import OrjsonProvider, db, migrate
from .limits import engine_options
from .loading import MAX_BODY
from .tasks import tasks_blueprint
from .tokens import TokenVerifier


class Api(Flask):
    """Flask, without the question before each call of a view or a hook whether that is a coroutine."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function as it is."""
        return func


def refuse_double_slash() -> None:
    """Answer 404 to a path that begins with two slashes, which werkzeug would take for one."""
    if request.environ["PATH_INFO"].startswith("//"):
        raise NotFound


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """The application, set up from `environ`, by default the process's environment and `.env`.

    Raises ConfigError where a setting is missing or unusable.
    """
    settings = Settings.load(environ)
    app = Api(__name__, static_folder=None, instance_path=str(ROOT / "instance"))
    app.json = OrjsonProvider(app)
    app.config.from_mapping(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings),
        # Werkzeug cuts a body of unknown length here without a word; loading.py refuses the byte beyond.
        MAX_CONTENT_LENGTH=MAX_BODY + 1,
        PROPAGATE_EXCEPTIONS=False,
        DOCS=settings.docs,
    )
    # The contracts know no redirects: a slash at the end is the same address, a double one is none.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["task_id"] = TaskIdConverter

    verifier = TokenVerifier(settings)
    logs.init_app(app, settings)
    metrics.init_app(app)
    headers.init_app(app, settings.cors_origins)
    errors.init_app(app)
    app.before_request(refuse_double_slash)
    auth.init_app(app, verifier)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    cli.init_app(app, settings, verifier)

    dialect = settings.database_url.get_backend_name()
    for contract in CONTRACTS:
        app.register_blueprint(tasks_blueprint(contract, dialect))
    app.register_blueprint(me.blueprint)
    ops.init_app(app, settings.metrics)
    app.register_blueprint(docs.blueprint)
    return app
