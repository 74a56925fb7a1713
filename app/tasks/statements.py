"""The statements on tasks, bound to their owner and built once, the same on both databases."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ..contracts import Contract
from ..db.models import List, Task, User, any_of
from .fields import task_fields

Columns = list[sa.ColumnElement[Any]]

THIS_USER = User.id == sa.bindparam("owner")
OWNER = (
    User.rev.label("owner_rev"),
    User.purged_rev.label("purged_rev"),
    User.purge_count.label("purge_count"),
    # Grows with each write and with each purge, whose tasks may be older than others purged before.
    (User.rev + User.purge_count).label("version"),
)
OWNER_REV = sa.select(User.rev).where(THIS_USER).scalar_subquery()
FORGOTTEN_REV = sa.select(User.forgotten_rev).where(THIS_USER).scalar_subquery()

OWNED_ROWS = Task.user_id == sa.bindparam("owner")
# Rows that wait to be deleted after their owner asked to be forgotten.
FORGOTTEN = (OWNED_ROWS, Task.rev <= FORGOTTEN_REV)
OWNED = sa.and_(OWNED_ROWS, Task.rev > FORGOTTEN_REV)
TASK_KEY = (OWNED, Task.id == sa.bindparam("task_id"))
LIVE = Task.deleted_at.is_(None)
TRASHED = Task.deleted_at.is_not(None)
# The revs that If-Match names; null stands for any.
REVS = sa.bindparam("revs", type_=List())
REV_MATCHES = sa.or_(REVS.is_(None), any_of(Task.rev, REVS))
NEW_VALUES = {
    Task.title: sa.func.coalesce(sa.bindparam("new_title"), Task.title),
    Task.description: sa.case(
        (sa.bindparam("has_description"), sa.bindparam("new_description")), else_=Task.description
    ),
    Task.completed: sa.func.coalesce(sa.bindparam("new_completed"), Task.completed),
}
DIFFERS = sa.or_(*(column.is_distinct_from(new) for column, new in NEW_VALUES.items()))
STAMP = {"rev": OWNER_REV, "updated_at": sa.bindparam("now")}


class Write(NamedTuple):
    """How one change of a task is made.

    `statements` run in one transaction: the first raises the owner's `rev`, which locks out their other
    writers; the second writes the task and returns it. Where it returns no row, `look` finds the task, with
    `deleted` and with `applicable`: whether the conditions of the write hold now.
    """

    statements: tuple[sa.Executable, sa.Executable]
    look: sa.Select[Any]


class TaskStatements:
    """The statements of one contract, which return a task's columns under the names of its JSON."""

    def __init__(self, contract: Contract) -> None:
        columns = task_columns(contract)
        self.create = create(columns)
        self.update = change(
            columns, [LIVE, DIFFERS], {column.key: new for column, new in NEW_VALUES.items()}
        )
        self.toggle = change(columns, [LIVE], {"completed": sa.not_(Task.completed)})
        self.delete = change(columns, [LIVE], {"deleted_at": sa.bindparam("now")})
        self.restore = change(columns, [TRASHED], {"deleted_at": None})
        self.get = sa.select(*columns).where(*TASK_KEY, LIVE)
        # (in the trash, filtered by completed, after a cursor) → statement
        self.pages = {
            (trash, filtered, after): with_owner(page(columns, trash, filtered, after))
            for trash in (False, True)
            for filtered in (False, True)
            for after in (False, True)
        }
        self.changes = with_owner(
            sa.select(*columns, TRASHED.label("deleted"))
            .where(OWNED, Task.rev > sa.bindparam("since"))
            .order_by(Task.rev)
            .limit(sa.bindparam("limit"))
        )


def task_columns(contract: Contract) -> Columns:
    """A task's columns, in the order and by the names of the mount's JSON."""
    return [field.column.label(field.name) for field in task_fields(contract) if field.shown]


def create(columns: Columns) -> Write:
    """Insert a task, unless the owner has one with its id, in the trash or not."""
    user = insert(User).values(
        id=sa.bindparam("owner"),
        email=sa.bindparam("email"),
        name=sa.bindparam("name"),
        rev=1,
        created_at=sa.bindparam("now"),
    )
    raise_rev = user.on_conflict_do_update(
        index_elements=[User.id],
        set_={
            "rev": User.rev + 1,
            "email": sa.func.coalesce(user.excluded.email, User.email),
            "name": sa.func.coalesce(user.excluded.name, User.name),
            "created_at": sa.func.coalesce(User.created_at, user.excluded.created_at),
        },
    )
    values = {
        "user_id": sa.bindparam("owner"),
        "id": sa.bindparam("task_id", type_=Task.id.type),
        "title": sa.bindparam("new_title"),
        "description": sa.bindparam("new_description"),
        "completed": sa.bindparam("new_completed"),
        "created_at": sa.bindparam("now"),
        "updated_at": sa.bindparam("now"),
        "rev": User.rev,
    }
    insert_task = (
        insert(Task)
        .from_select(list(values), sa.select(*values.values()).where(THIS_USER))
        .on_conflict_do_nothing(index_elements=[Task.user_id, Task.id])
        .returning(*columns)
    )
    return Write((raise_rev, insert_task), look(columns, [sa.false()]))


def change(columns: Columns, conditions: list[Any], values: dict[str, Any]) -> Write:
    """Update a task that meets the conditions, and those of If-Match, to `values`."""
    conditions = [*conditions, REV_MATCHES]
    update_task = (
        sa.update(Task)
        # A task as new as its owner was written beside this transaction, by a first write that its own
        # statement on the owner did not see: left alone, so that the write is tried again.
        .where(*TASK_KEY, *conditions, Task.rev < OWNER_REV)
        .values(values | STAMP)
        .returning(*columns)
    )
    return Write((RAISE_REV, update_task), look(columns, conditions))


def look(columns: Columns, conditions: list[Any]) -> sa.Select[Any]:
    """A task, in the trash or not, and whether it meets the conditions."""
    return sa.select(*columns, TRASHED.label("deleted"), sa.and_(*conditions).label("applicable")).where(
        *TASK_KEY
    )


def page(columns: Columns, trash: bool, filtered: bool, after: bool) -> sa.Select[Any]:
    """One page of a list, newest first, or of the trash, latest deletion first."""
    time = Task.deleted_at if trash else Task.created_at
    conditions = [OWNED, TRASHED if trash else LIVE]
    if filtered:
        conditions.append(Task.completed == sa.bindparam("completed"))
    if after:
        key = (sa.bindparam("after_time", type_=time.type), sa.bindparam("after_id", type_=Task.id.type))
        conditions.append(sa.tuple_(time, Task.id) < sa.tuple_(*key))
    ordered = sa.select(*columns).where(*conditions).order_by(time.desc(), Task.id.desc())
    return ordered.limit(sa.bindparam("limit"))


def with_owner(tasks: sa.Select[Any]) -> sa.Select[Any]:
    """The tasks beside the columns of OWNER, from one snapshot; one row even where there is no task."""
    # A join to one row without a condition is a loop, which keeps the tasks in their order.
    found = tasks.subquery("found")
    return sa.select(*found.c, *OWNER).select_from(User).outerjoin(found, sa.true()).where(THIS_USER)


def kept_claim(name: str) -> Any:
    """A claim of the token where it has one; nothing is stored about a user who was forgotten."""
    stored = User.__table__.c[name]
    return sa.case((User.created_at.is_(None), None), else_=sa.func.coalesce(sa.bindparam(name), stored))


RAISE_REV = (
    sa.update(User)
    .where(THIS_USER)
    .values(rev=User.rev + 1, email=kept_claim("email"), name=kept_claim("name"))
)
FIND_OWNER = sa.select(*OWNER).where(THIS_USER)
DELETE_FORGOTTEN_TASK = sa.delete(Task).where(*FORGOTTEN, Task.id == sa.bindparam("task_id"))
