"""A drill: a fault under a steady load, and what it must not do."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import create_engine, text

from tests.drills.load import Answer, Client, Load, Stored

USERS = ("alice", "bob", "carol")
# The statement limit is 5 s, at which the database gives up; the service does 1 s later. The rest is noise.
LONGEST_S = 7.0
WHOLE_S = 2.0
TASKS = text(
    "SELECT tasks.id, tasks.title, tasks.rev, tasks.deleted_at IS NOT NULL FROM tasks"
    " WHERE tasks.user_id = :owner"
)
REV = text("SELECT rev FROM users WHERE id = :owner")


class Row(NamedTuple):
    """A drill's line of the table."""

    fault: str
    outcomes: Counter[str]
    acknowledged: int
    lost: int
    slowest: float
    whole: float


rows: list[Row] = []
# What a drill tells beside its row.
notes: list[str] = []


def table() -> list[list[str]]:
    """The rows, cell by cell, behind a head that has a column for each status that was seen."""
    statuses = sorted({status for row in rows for status in row.outcomes})
    return [
        ["fault", *statuses, "acknowledged writes", "lost", "slowest, s", "whole after, s"],
        *(
            [
                row.fault,
                *(str(row.outcomes[status]) for status in statuses),
                *(str(row.acknowledged), str(row.lost), f"{row.slowest:.2f}", f"{row.whole:.2f}"),
            ]
            for row in rows
        ),
    ]


def nowhere(_: Answer) -> bool:
    return False


def anywhere(_: Answer) -> bool:
    return True


@contextmanager
def drill(
    fault: str,
    port: int,
    secret: str,
    database_url: str,
    *,
    unavailable: Callable[[Answer], bool] = anywhere,
    tolerated: tuple[str, ...] = (),
) -> Iterator[Load]:
    """A load to bring a fault on; at the end it is judged, and adds a row to the table.

    `unavailable` tells which requests may be answered 503; `tolerated` may hold "refused" and "cut off".
    """
    load = Load(port, [f"{user}-{uuid.uuid4().hex[:8]}" for user in USERS], secret)
    load.start()
    try:
        yield load
        load.settle()
    finally:
        load.stop()
        row, complaints = _judge(fault, load, database_url, unavailable, tolerated)
        rows.append(row)
        assert complaints == []


def _judge(
    fault: str,
    load: Load,
    database_url: str,
    unavailable: Callable[[Answer], bool],
    tolerated: tuple[str, ...],
) -> tuple[Row, list[str]]:
    lost, complaints = _lost(load.clients, database_url)
    answers = [answer for client in load.clients for answer in client.answers]
    row = Row(
        fault,
        Counter(answer.outcome for answer in answers),
        sum(client.acknowledged for client in load.clients),
        len(lost),
        max(answer.ended - answer.began for answer in answers),
        load.seconds_until_whole(),
    )
    for answer in answers:
        if answer.good or answer.outcome in tolerated or (answer.outcome == "503" and unavailable(answer)):
            continue
        after = answer.ended - load.over
        complaints.append(f"{answer.outcome} {after:+.2f} s from the end of the fault: {answer}")
    if row.slowest > LONGEST_S:
        complaints.append(f"a request took {row.slowest:.2f} s")
    if row.whole > WHOLE_S:
        complaints.append(f"whole only after {row.whole:.2f} s")
    return row, [*lost, *(mistake for client in load.clients for mistake in client.mistakes), *complaints]


def _lost(clients: list[Client], database_url: str) -> tuple[list[str], list[str]]:
    """The acknowledged writes that are gone from the database or the API, and what else is odd there."""
    lost, odd = [], []
    # Without the driver's name SQLAlchemy takes another one than the service has.
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg2:"))
    for client in clients:
        with engine.connect() as connection:
            stored = {
                str(uuid.UUID(str(task_id))): Stored(title, rev, bool(deleted))
                for task_id, title, rev, deleted in connection.execute(TASKS, {"owner": client.user})
            }
            user_rev = connection.execute(REV, {"owner": client.user}).scalar_one()
        live = {task_id: None if row.deleted else row for task_id, row in stored.items()}
        mirror, whole = client.sync_all(), client.sync_all(anew=True)
        for task_id, task in client.tasks.items():
            if not task.is_kept_as(stored.get(task_id)):
                lost.append(f"lost: {task_id} was acknowledged as {task} and is {stored.get(task_id)}")
            elif any(seen is not None and seen.get(task_id) != live[task_id] for seen in (mirror, whole)):
                lost.append(f"lost to the API: {task_id} is {live[task_id]}")
        if whole is not None and whole != live:
            odd.append(f"{client.user}: the changes are not what is stored")
        if client.revs and max(client.revs) > user_rev:
            lost.append(f"lost: rev {max(client.revs)} was acknowledged, and the user is at {user_rev}")
    engine.dispose()
    revs = Counter((client.user, rev) for client in clients for rev in client.revs)
    odd += [f"two writes were acknowledged as {rev}" for rev, count in revs.items() if count > 1]
    return lost, odd
