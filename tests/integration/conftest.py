"""A live server for the tests that want one."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.live import SERVERS


@pytest.fixture(scope="session")
def server_name() -> str:
    """The server; modules that test both override this."""
    return "gunicorn"


@pytest.fixture(scope="session")
def server(server_name: str, migrated_app: Flask, environ: dict[str, str]) -> Iterator[str]:
    """A server with two workers over each database, and time for all who wait for one."""
    limits = dict.fromkeys(("STATEMENT_TIMEOUT", "LOCK_TIMEOUT", "DB_POOL_TIMEOUT"), "60")
    with SERVERS[server_name](environ | limits | {"WEB_CONCURRENCY": "2"}) as (address, _):
        yield address


@pytest.fixture
def address(app: Flask, server: str) -> str:
    """The server, over an empty database."""
    return server
