"""A multi-user Tasks API.

The path of a request:

    contracts.py              the mount
    auth/hook.py              the token's user: g.user
    tasks/views.py            parse, validate, call the store, respond
      parsing.py                with tasks/schemas.py and tasks/queries.py
      tasks/store.py            with tasks/statements.py
      db/database.py            the owner's rows: one message to the database, several for a batch
    errors.py                 any error on the way becomes problem details

tasks/fields.py declares the fields of a task, limits.py their lengths, and config.py the settings.
pyproject.toml declares the layers, and `make lint` checks that imports run one way.
"""

from collections.abc import Mapping

from flask import Flask, request
from werkzeug.exceptions import NotFound

from . import cli, errors, headers, health, logs, me, metrics, proxies
from .auth import hook
from .auth.tokens import TokenVerifier
from .config import ROOT, Settings
from .contracts import CONTRACTS, TaskIdConverter
from .db.timeouts import engine_options
from .extensions import OrjsonProvider, db, migrate
from .openapi import views
from .tasks.views import tasks_blueprint


def refuse_double_slash() -> None:
    """Raise NotFound for a path that begins with two slashes, which werkzeug would read as one."""
    if request.environ["PATH_INFO"].startswith("//"):
        raise NotFound


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """The application with the settings of `environ`, by default the process's environment and `.env`.

    Raises ConfigError if a setting is missing or invalid.
    """
    settings = Settings.load(environ)
    app = Flask(__name__, static_folder=None, instance_path=str(ROOT / "instance"))
    app.json = OrjsonProvider(app)
    app.config.from_mapping(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings),
        PROPAGATE_EXCEPTIONS=False,
        DOCS=settings.docs == "on",
    )
    # Never redirect: a trailing slash makes no difference, and a double slash is 404.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["task_id"] = TaskIdConverter

    verifier = TokenVerifier(settings)
    proxies.init_app(app, settings.forwarded_allow_ips)
    logs.init_app(app, settings)
    metrics.init_app(app)
    headers.init_app(app, settings.cors_origins)
    errors.init_app(app)
    app.before_request(refuse_double_slash)
    hook.init_app(app, verifier)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    cli.init_app(app, settings, verifier)

    for contract in CONTRACTS:
        app.register_blueprint(tasks_blueprint(contract))
    app.register_blueprint(me.blueprint)
    health.init_app(app, settings.metrics)
    app.register_blueprint(views.blueprint)
    return app
