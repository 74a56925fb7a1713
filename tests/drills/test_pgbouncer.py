"""PgBouncer in transaction mode: fewer connections than clients, and nothing kept in any of them."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2
import pytest

from tests.drills.conftest import Service, database_url, lasting_port
from tests.drills.drill import drill
from tests.postgres import Cluster

POOL_SIZE = 3
# Debian has it where only root looks.
BINARY = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
# As docs/operations.md has it: it tries a server that was away again after 1 s, not 15.
CONFIG = """
[databases]
tasks = host=127.0.0.1 port={server} dbname=tasks
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {size}
server_login_retry = 1
query_wait_timeout = 5
"""
# PgBouncer itself sets what it carries from client to client.
KEPT = """
SELECT pg_backend_pid(), current_setting('statement_timeout'), current_setting('lock_timeout'),
  (SELECT string_agg(name, ' ') FROM pg_settings WHERE source = 'session' AND name NOT IN
   ('client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings', 'application_name'))
"""


@contextmanager
def pgbouncer(server: int) -> Iterator[str]:
    """Run PgBouncer before a server; yields the URL of the database behind it."""
    assert BINARY
    port = lasting_port()
    # Not in pytest's folder, which is closed to the user that PgBouncer wants to be instead of root.
    with TemporaryDirectory(prefix="tests-pgbouncer-", dir="/tmp") as name:
        folder = Path(name)
        (folder / "users").write_text('"tasks" ""\n')
        (folder / "config").write_text(CONFIG.format(server=server, port=port, folder=folder, size=POOL_SIZE))
        options: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        process = subprocess.Popen([BINARY, folder / "config"], stderr=subprocess.DEVNULL, **options)
        try:
            yield f"postgresql://tasks@127.0.0.1:{port}/tasks"
        finally:
            process.terminate()
            process.wait(10)


@pytest.mark.skipif(BINARY is None, reason="needs pgbouncer")
def test_postgres_is_restarted_behind_pgbouncer(
    postgres: Cluster, service: Service, port: int, secret: str
) -> None:
    with pgbouncer(postgres.port) as url, service(url):
        with drill("PostgreSQL restarted behind PgBouncer", port, secret, database_url(postgres)) as load:
            postgres.stop()
            load.until(lambda: load.unserved(3), 10)
            postgres.start()
            load.fault_over()
        with closing(psycopg2.connect(database_url(postgres))) as fresh:
            _, *untouched = _kept(fresh)
        with ExitStack() as stack:
            # A transaction each, so that each has a server connection to itself.
            clients = [stack.enter_context(closing(psycopg2.connect(url))) for _ in range(POOL_SIZE)]
            kept = [_kept(client) for client in clients]
    assert len({pid for pid, *_ in kept}) == POOL_SIZE
    assert [settings for _, *settings in kept] == [untouched] * POOL_SIZE


def _kept(connection: Any) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(KEPT)
        row: tuple[Any, ...] = cursor.fetchone()
        return row
