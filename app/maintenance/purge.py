"""Deletes for good, user by user and in batches, so that no statement looks into the tasks of all.

Between the batches others get their turn: SQLite has one writer at a time.
"""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from ..db.clauses import FORGOTTEN, LIMIT, OWNED, THIS_USER
from ..db.database import Record, read, run_transaction
from ..db.models import Task, User

BATCH = 1000

LIST_USERS = sa.select(User.id).where(User.id > sa.bindparam("after")).order_by(User.id).limit(LIMIT)
EXPIRED = (OWNED, Task.deleted_at < sa.bindparam("before", type_=Task.deleted_at.type))
COUNT_EXPIRED = sa.select(sa.func.count().label("count")).select_from(Task).where(*EXPIRED)


def _last_of_batch(*conditions: sa.ColumnElement[bool]) -> sa.Select[int]:
    """The greatest rev of the next batch of tasks, oldest first; null where there is none."""
    batch = sa.select(Task.rev).where(*conditions).order_by(Task.rev).limit(LIMIT).subquery()
    return sa.select(sa.func.max(batch.c.rev).label("rev"))


# Before any of the owner's tasks, as writers do: otherwise a batch and a deletion could wait for each other.
LOCK_OWNER = sa.update(User).where(THIS_USER).values(rev=User.rev)
UP_TO_REV = Task.rev <= sa.bindparam("rev_limit")
LAST_FORGOTTEN, LAST_EXPIRED = _last_of_batch(*FORGOTTEN), _last_of_batch(*EXPIRED)
DELETE_FORGOTTEN = sa.delete(Task).where(*FORGOTTEN, UP_TO_REV)
PURGE = sa.delete(Task).where(*EXPIRED, UP_TO_REV)
RAISE_PURGED_REV = (
    sa.update(User)
    .where(THIS_USER)
    .values(
        purged_rev=sa.case(
            (User.purged_rev < sa.bindparam("rev_limit"), sa.bindparam("rev_limit")), else_=User.purged_rev
        ),
        purge_count=User.purge_count + 1,
    )
)


class PurgeResult(NamedTuple):
    """How many tasks were removed, or would be, and how many users were left out because of a lock."""

    tasks: int
    users_left_out: int = 0


def purge(before: datetime, *, dry_run: bool = False, batch: int = BATCH) -> PurgeResult:
    """Remove what was deleted before that time, and what forgotten users left."""
    purged, left_out = 0, 0
    for owner in each_user(batch):
        params = {"owner": owner, "before": before, "limit": batch}
        if dry_run:
            purged += read(COUNT_EXPIRED, params).records()[0]["count"]
            continue
        try:
            delete_forgotten(owner)
            # In one transaction, so that the changes feed has either the deletions or the raised rev.
            purged += _in_batches(LAST_EXPIRED, (RAISE_PURGED_REV, PURGE), params)
        except sa.exc.OperationalError as error:
            if error.connection_invalidated:
                raise
            left_out += 1
    return PurgeResult(purged, left_out)


def each_user(batch: int = BATCH) -> Iterator[str]:
    """The ids of all users."""
    after = ""
    while users := read(LIST_USERS, {"after": after, "limit": batch}).records():
        yield from (user["id"] for user in users)
        after = users[-1]["id"]


def delete_forgotten(owner: str) -> None:
    """Delete the tasks that a forgotten user left."""
    _in_batches(LAST_FORGOTTEN, (LOCK_OWNER, DELETE_FORGOTTEN), {"owner": owner, "limit": BATCH})


def _in_batches(last_of_batch: sa.Select[int], statements: tuple[sa.Executable, ...], params: Record) -> int:
    deleted = 0
    while (last := read(last_of_batch, params).records()[0]["rev"]) is not None:
        began = time.monotonic()
        deleted += run_transaction(statements, {**params, "rev_limit": last}).rowcount
        # As long again for the others, who ask for SQLite's lock every few milliseconds.
        time.sleep(time.monotonic() - began)
    return deleted
