"""The `flask` commands of this application."""

import os
import socket
import sys
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import click
from flask import Flask
from flask.cli import AppGroup

from .auth.tokens import InvalidToken, TokenVerifier, is_user_id, sign
from .config import Settings
from .maintenance.backfill import backfill
from .maintenance.purge import purge
from .maintenance.samples import create_samples
from .openapi.document import openapi_document

WELCOME = """
The Tasks API runs on {address} (Ctrl-C stops it).

Try it in a browser:

{address}/docs{fragment}

Or create a task from a second terminal:

curl -i {address}/api/tasks -H "Content-Type: application/json" -d '{{"title": "Buy milk"}}' \\
  -H "Authorization: Bearer {token}"

{hint}
"""
HINT = """\
The token is alice's and expires in {minutes} minutes. `{flask} token --user alice` prints a new one,
and `{flask} seed --user alice` creates sample tasks."""
KEY_SET_HINT = "Set TOKEN to a token of your sign-in service, whose key set is {url}."
# Where a server that listens on all addresses is reached from its own machine.
ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - only compared with


def init_app(app: Flask, settings: Settings, verifier: TokenVerifier) -> None:
    """Register the commands."""
    _add_token(app, settings, verifier)
    _add_purge(app, settings)
    _add_seed(app)
    _add_openapi(app)
    _add_welcome(app, settings)


def _add_token(app: Flask, settings: Settings, verifier: TokenVerifier) -> None:
    @app.cli.command("token")
    @click.option("--user", required=True, help="The user's id.")
    @click.option("--email", help="The user's e-mail address.")
    @click.option("--name", help="The user's name.")
    @click.option(
        "--minutes",
        type=click.IntRange(1, 5_256_000),
        help="How long the token is valid; default ACCESS_TOKEN_EXPIRE_MINUTES.",
    )
    def token(user: str, email: str | None, name: str | None, minutes: int | None) -> None:
        """Print a token signed with the configured secret."""
        if not settings.secret:
            raise click.ClickException(
                f"Tokens are signed with the keys of {settings.jwks_url}; get one from that service."
            )
        lifetime = timedelta(minutes=minutes or settings.access_token_expire_minutes)
        signed = sign(settings, user, lifetime, email=email, name=name)
        try:
            ignored = verifier.verify(signed).ignored
        except InvalidToken as error:
            raise click.BadParameter(str(error), param_hint="--user") from None
        if ignored:
            raise click.UsageError(f"The service would ignore this {' and '.join(ignored)}.")
        click.echo(signed)


def _add_purge(app: Flask, settings: Settings) -> None:
    tasks = AppGroup("tasks", help="Maintain the stored tasks.")
    app.cli.add_command(tasks)

    @tasks.command("purge")
    @click.option("--older-than", type=click.IntRange(0, 36_500), help="Age in days; default TRASH_DAYS.")
    @click.option("--dry-run", is_flag=True, help="Only print how many.")
    def purge_tasks(older_than: int | None, dry_run: bool) -> None:
        """Remove old tasks from the trash for good."""
        days = settings.trash_days if older_than is None else older_than
        purged, left_out = purge(datetime.now(UTC) - timedelta(days=days), dry_run=dry_run)
        click.echo(f"{'Would remove' if dry_run else 'Removed'} {purged} tasks deleted over {days} days ago.")
        if left_out:
            raise click.ClickException(f"Left out {left_out} users whose rows were locked; run it again.")

    @tasks.command("backfill")
    def backfill_tasks() -> None:
        """Fill in what older versions leave out; run it once the last of them has stopped."""
        click.echo(f"Filled in {backfill()} tasks.")


def _add_seed(app: Flask) -> None:
    @app.cli.command("seed")
    @click.option("--user", required=True, help="The user's id.")
    @click.option("--count", type=click.IntRange(1, 10_000), default=25, show_default=True)
    def seed(user: str, count: int) -> None:
        """Create sample tasks."""
        if not is_user_id(user):
            raise click.BadParameter("No token can name this user.", param_hint="--user")
        create_samples(user, count, datetime.now(UTC).date())
        click.echo(f"Created {count} tasks for {user}.")


def _add_openapi(app: Flask) -> None:
    @app.cli.command("openapi")
    @click.option(
        "--output", type=click.File("wb"), default="-", help="The file to write; default standard output."
    )
    def openapi(output: BinaryIO) -> None:
        """Write the OpenAPI document."""
        output.write(openapi_document(app))


def _add_welcome(app: Flask, settings: Settings) -> None:
    @app.cli.command("welcome")
    def welcome() -> None:
        """Print a first request to try; fail if another program uses the port."""
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        try:
            socket.create_server((settings.host, settings.port), family=family).close()
        except OSError as error:
            raise click.ClickException(
                f"PORT: cannot use {settings.address} ({os.strerror(error.errno or 0)}); "
                f"choose another, as in: make run PORT={settings.port + 1}"
            ) from None
        click.echo(welcome_text(settings))


def welcome_text(settings: Settings) -> str:
    """What to try first, with a token for alice if the service can sign one."""
    address = f"http://{settings.address}"
    if settings.host in ALL_ADDRESSES:
        address = f"http://127.0.0.1:{settings.port}"
    token, fragment, hint = "$TOKEN", "", KEY_SET_HINT.format(url=settings.jwks_url)
    if settings.secret:
        minutes = settings.access_token_expire_minutes
        token = sign(settings, "alice", timedelta(minutes=minutes))
        # Browsers keep a fragment to themselves, so no server and no log gets the token.
        fragment = f"#token={token}"
        hint = HINT.format(minutes=minutes, flask=sys.argv[0])
    return WELCOME.format(address=address, fragment=fragment, token=token, hint=hint)
