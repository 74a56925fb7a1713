"""The commands of `flask` beside its own."""

from datetime import timedelta

import click
from flask import Flask

from .config import Settings
from .tokens import InvalidToken, TokenVerifier, sign


def init_app(app: Flask, settings: Settings, verifier: TokenVerifier) -> None:
    """Register the commands."""

    @app.cli.command("token")
    @click.option("--user", required=True, help="The user's id.")
    @click.option("--email", help="The user's e-mail address.")
    @click.option("--name", help="The user's name.")
    @click.option("--minutes", type=click.IntRange(1, 5_256_000), help="How long the token is good.")
    def token(user: str, email: str | None, name: str | None, minutes: int | None) -> None:
        """Print a token signed with the configured secret."""
        lifetime = timedelta(minutes=minutes or settings.access_token_expire_minutes)
        signed = sign(settings, user, lifetime, email=email, name=name)
        try:
            ignored = verifier.verify(signed).ignored
        except InvalidToken as error:
            raise click.BadParameter(str(error), param_hint="--user") from None
        if ignored:
            raise click.UsageError(f"The service would not use this {' and '.join(ignored)}.")
        click.echo(signed)
