"""Fills the databases of product and peer with the same rows, in SQL."""

import subprocess
from contextlib import closing
from typing import NamedTuple

import psycopg2

from bench.servers import PEER_PYTHON
from tests.live import ROOT, environment

# Numbers of users and tasks have six digits, so that all ids have the same length.
FIRST = 100_001


class Users(NamedTuple):
    """`number` users from `first` on with `tasks` tasks each; every `completed_every`-th one is completed."""

    first: int
    number: int
    tasks: int
    completed_every: int = 2


INSERT_USERS = """
INSERT INTO users (id, rev, created_at)
SELECT 'user-' || u, %(tasks)s, now() FROM generate_series(%(first)s, %(first)s + %(number)s - 1) AS u
"""
# In order of time, so that the tasks of one user are spread over the table as in real life.
INSERT_TASKS = """
INSERT INTO tasks (user_id, id, title, title_folded, description, description_folded, completed, completed_at,
    priority, due_date, tags, position, rev, created_at, updated_at)
SELECT 'user-' || u, ('00000000-0000-7000-8000-' || u || t)::uuid, 'Task ' || t, 'task ' || t,
    'Two litres, and bread if there is any left.', 'two litres, and bread if there is any left.',
    n %% %(completed_every)s = 0, CASE WHEN n %% %(completed_every)s = 0 THEN time END,
    CASE WHEN n %% 100 = 0 THEN 3 ELSE n %% 3 END,
    CASE WHEN n %% 2 = 0 THEN (date '2026-01-01' + n * 7919 %% 1000)::text END,
    CASE WHEN n %% 20 = 0 THEN '{rare}' WHEN n %% 3 = 0 THEN '{home,garden}' ELSE '{}' END::text[],
    CASE WHEN n %% 2 = 0 THEN 'a' || left(md5(n::text), 4) END,
    n, time, time
FROM generate_series(1, %(tasks)s) AS n
CROSS JOIN generate_series(%(first)s, %(first)s + %(number)s - 1) AS u,
LATERAL (
    SELECT n + 100000 AS t, timestamptz '2025-01-01' + n * interval '1 minute' + u * interval '1 us' AS time
) AS made
ORDER BY n, u
"""
COPY_TO_PEER = """
INSERT INTO task (id, user_id, title, description, completed, created_at, updated_at)
SELECT id, user_id, title, description, completed, created_at, updated_at FROM tasks ORDER BY created_at
"""


def user_id(user: int) -> str:
    """The id of user number `user`."""
    return f"user-{user}"


def task_id(user: int, task: int) -> str:
    """The id of a user's task; both numbers start at FIRST."""
    return f"00000000-0000-7000-8000-{user}{task}"


def make_peer_tables(settings: dict[str, str]) -> None:
    """Create the tables of the peer."""
    command = [str(PEER_PYTHON), "-m", "bench.peer"]
    subprocess.run(command, cwd=ROOT, env=environment(settings), check=True)


def fill(url: str, people: list[Users], *, peer: bool = False) -> None:
    """Insert the users and their tasks; with `peer` into the peer's table too."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for users in people:
            cursor.execute(INSERT_USERS, users._asdict())
            cursor.execute(INSERT_TASKS, users._asdict())
        if peer:
            cursor.execute(COPY_TO_PEER)
        # Now, so that autovacuum does not run during the measurement.
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
