"""What `flask tasks purge` does, user by user, so that no statement looks into the tasks of all."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, case, delete, func, select, update

from ..db.database import Record, read, run_transaction
from ..db.models import Task, User
from .statements import OWNED, THIS_USER

LIST_USERS = select(User.id).where(User.id > bindparam("after")).order_by(User.id).limit(bindparam("limit"))
EXPIRED = (OWNED, Task.deleted_at < bindparam("before", type_=Task.deleted_at.type))
COUNT_EXPIRED = select(func.count().label("count")).select_from(Task).where(*EXPIRED)
_batch = select(Task.rev).where(*EXPIRED).order_by(Task.rev).limit(bindparam("limit")).subquery()
LAST_EXPIRED = select(func.max(_batch.c.rev).label("rev"))
_purged_rev = case((User.purged_rev < bindparam("rev_limit"), bindparam("rev_limit")), else_=User.purged_rev)
RAISE_PURGED_REV = (
    update(User).where(THIS_USER).values(purged_rev=_purged_rev, purge_count=User.purge_count + 1)
)
PURGE = delete(Task).where(*EXPIRED, Task.rev <= bindparam("rev_limit"))


def purge(before: datetime, *, dry_run: bool = False, batch: int = 1000) -> int:
    """Remove what was deleted before that time for good, and return how many tasks that is or would be.

    A user's row is locked for one batch at a time, so servers go on meanwhile.
    """
    purged, after = 0, ""
    while users := read(LIST_USERS, {"after": after, "limit": batch}):
        for user in users:
            params = {"owner": user["id"], "before": before}
            if dry_run:
                purged += read(COUNT_EXPIRED, params)[0]["count"]
            else:
                purged += _purge_user(params, batch)
        after = users[-1]["id"]
    return purged


def _purge_user(params: Record, batch: int) -> int:
    purged = 0
    while (last := read(LAST_EXPIRED, {**params, "limit": batch})[0]["rev"]) is not None:
        bound = {**params, "rev_limit": last}

        def work(connection: Connection, bound: Record = bound) -> int:
            # In one transaction: who reads the changes sees the tombstones, or that they are gone.
            connection.execute(RAISE_PURGED_REV, bound)
            return connection.execute(PURGE, bound).rowcount

        purged += run_transaction(work)
    return purged
