"""A live server for the tests that want one."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.live import gunicorn


@pytest.fixture(scope="session")
def server(migrated_app: Flask, environ: dict[str, str]) -> Iterator[str]:
    """A gunicorn with two workers over each database, and time for all who wait for one."""
    limits = dict.fromkeys(("STATEMENT_TIMEOUT", "LOCK_TIMEOUT", "DB_POOL_TIMEOUT"), "60")
    with gunicorn(environ | limits, "-w", "2") as (address, _):
        yield address


@pytest.fixture
def address(app: Flask, server: str) -> str:
    """The server, over an empty database."""
    return server
