"""The commands of `flask` beside its own."""

import socket
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import click
from flask import Flask
from flask.cli import AppGroup

from .auth.tokens import InvalidToken, TokenVerifier, sign
from .config import Settings
from .openapi.document import openapi_document
from .tasks.backfill import backfill
from .tasks.purge import purge

WELCOME = """
The Tasks API is on {address} (Ctrl-C stops it). Try it:

curl -i {address}/v1/tasks -H "Content-Type: application/json" -d '{{"title": "Buy milk"}}' \\
  -H "Authorization: Bearer {token}"

{hint} {address}/docs is a page to try all of it on.
"""
HINT = "That is alice, for {minutes} minutes; `.venv/bin/flask token --user alice` prints another token."
KEY_SET_HINT = "TOKEN is one that your sign-in service issued; its keys are those of {url}."


def init_app(app: Flask, settings: Settings, verifier: TokenVerifier) -> None:
    """Register the commands."""
    _add_token(app, settings, verifier)
    _add_purge(app, settings)
    _add_openapi(app)
    _add_welcome(app, settings)


def _add_token(app: Flask, settings: Settings, verifier: TokenVerifier) -> None:
    @app.cli.command("token")
    @click.option("--user", required=True, help="The user's id.")
    @click.option("--email", help="The user's e-mail address.")
    @click.option("--name", help="The user's name.")
    @click.option("--minutes", type=click.IntRange(1, 5_256_000), help="How long the token is good.")
    def token(user: str, email: str | None, name: str | None, minutes: int | None) -> None:
        """Print a token signed with the configured secret."""
        if not settings.secret:
            raise click.ClickException(f"The tokens' keys are those of {settings.jwks_url}; ask there.")
        lifetime = timedelta(minutes=minutes or settings.access_token_expire_minutes)
        signed = sign(settings, user, lifetime, email=email, name=name)
        try:
            ignored = verifier.verify(signed).ignored
        except InvalidToken as error:
            raise click.BadParameter(str(error), param_hint="--user") from None
        if ignored:
            raise click.UsageError(f"The service would not use this {' and '.join(ignored)}.")
        click.echo(signed)


def _add_purge(app: Flask, settings: Settings) -> None:
    tasks = AppGroup("tasks", help="Look after the stored tasks.")
    app.cli.add_command(tasks)

    @tasks.command("purge")
    @click.option("--older-than", type=click.IntRange(0, 36_500), help="Days; default TRASH_DAYS.")
    @click.option("--dry-run", is_flag=True, help="Only say how many.")
    def purge_tasks(older_than: int | None, dry_run: bool) -> None:
        """Remove for good what has been in the trash for long."""
        days = settings.trash_days if older_than is None else older_than
        purged, left_out = purge(datetime.now(UTC) - timedelta(days=days), dry_run=dry_run)
        click.echo(f"{'Would remove' if dry_run else 'Removed'} {purged} tasks deleted over {days} days ago.")
        if left_out:
            raise click.ClickException(f"Left out {left_out} users whose rows were locked; run it again.")

    @tasks.command("backfill")
    def backfill_tasks() -> None:
        """Fill in what older versions leave out; run it once the last of them has stopped."""
        click.echo(f"Filled in {backfill()} tasks.")


def _add_openapi(app: Flask) -> None:
    @app.cli.command("openapi")
    @click.option("--output", type=click.File("wb"), default="-", help="A file; default standard output.")
    def openapi(output: BinaryIO) -> None:
        """Write the OpenAPI document."""
        output.write(openapi_document(app))


def _add_welcome(app: Flask, settings: Settings) -> None:
    @app.cli.command("welcome")
    def welcome() -> None:
        """Print a first request to try; fail where another program has the port."""
        with socket.socket() as probe:
            # As gunicorn does it: connections of a server that just stopped are no reason to wait.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, settings.port))
            except OSError as error:
                raise click.ClickException(
                    f"PORT: {settings.host}:{settings.port} cannot be used ({error.strerror}); "
                    f"choose another, as in: make run PORT={settings.port + 1}"
                ) from None
        minutes = settings.access_token_expire_minutes
        token = sign(settings, "alice", timedelta(minutes=minutes)) if settings.secret else "$TOKEN"
        hint = HINT.format(minutes=minutes) if settings.secret else KEY_SET_HINT.format(url=settings.jwks_url)
        address = f"http://{settings.host}:{settings.port}"
        click.echo(WELCOME.format(address=address, token=token, hint=hint))
