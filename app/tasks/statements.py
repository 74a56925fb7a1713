"""The statements on tasks, bound to their owner and built once, the same on both databases."""

import operator
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ..contracts import Contract
from ..db.database import KEPT_STATEMENTS
from ..db.models import List, Task, User, any_of, has_all, utc
from .fields import task_fields
from .lists import SORT_KEY, Cursor, Filters, Sort

Columns = list[sa.ColumnElement[Any]]

THIS_USER = User.id == sa.bindparam("owner")
# Grows with each write and with each purge, whose tasks may be older than others purged before.
VERSION = (User.rev + User.purge_count).label("version")
OWNER = (
    User.rev.label("owner_rev"),
    User.purged_rev.label("purged_rev"),
    User.purge_count.label("purge_count"),
)
OWNER_REV = sa.select(User.rev).where(THIS_USER).scalar_subquery()
FORGOTTEN_REV = sa.select(User.forgotten_rev).where(THIS_USER).scalar_subquery()

LIMIT: Any = sa.bindparam("limit")
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
NOW = sa.bindparam("now", type_=Task.updated_at.type)


def new(column: Any) -> Any:
    """The value that a write sets a column to."""
    return sa.bindparam(f"new_{column.key}", type_=column.type)


def changed(column: Any) -> Any:
    """The value that a column has after a change, which may leave it alone."""
    if column.nullable:
        return sa.case((sa.bindparam(f"has_{column.key}"), new(column)), else_=column)
    return sa.func.coalesce(new(column), column)


# What a client can set.
SETTABLE = (
    Task.title,
    Task.description,
    Task.completed,
    Task.priority,
    Task.due_date,
    Task.tags,
    Task.position,
)
# What follows from it.
FOLDED = {Task.title: Task.title_folded, Task.description: Task.description_folded}


def fold(text: str | None) -> str | None:
    """The text without its case (Unicode, section 3.13), as databases cannot make it."""
    return text and text.casefold()


DIFFERS = sa.or_(*(column.is_distinct_from(changed(column)) for column in SETTABLE))
NEW_VALUES = {column.key: changed(column) for column in (*SETTABLE, *FOLDED.values())} | {
    "completed_at": sa.case(
        (sa.not_(changed(Task.completed)), None), (Task.completed, Task.completed_at), else_=NOW
    )
}
TOGGLED = {
    "completed": sa.not_(Task.completed),
    "completed_at": sa.case((Task.completed, None), else_=NOW),
}
STAMP = {"rev": OWNER_REV, "updated_at": NOW}

PATTERN: Any = sa.bindparam("search")
CONDITIONS: dict[str, sa.ColumnElement[bool]] = {
    "completed": Task.completed == sa.bindparam("completed"),
    "priority": Task.priority == sa.bindparam("priority"),
    "tags": has_all(Task.tags, sa.bindparam("tags", type_=Task.tags.type)),
    "due_after": Task.due_date >= sa.bindparam("due_after"),
    "due_before": Task.due_date < sa.bindparam("due_before"),
    "search": sa.or_(
        *(
            # Old code leaves the folded text null.
            sa.func.coalesce(folded, sa.func.lower(column)).like(PATTERN, escape="/")
            for column, folded in FOLDED.items()
        )
    ),
}


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
        self.update = change(columns, [LIVE, DIFFERS], NEW_VALUES)
        self.toggle = change(columns, [LIVE], TOGGLED)
        self.delete = change(columns, [LIVE], {"deleted_at": NOW})
        self.restore = change(columns, [TRASHED], {"deleted_at": None})
        self.get = sa.select(*columns).where(*TASK_KEY, LIVE)
        # Filters, orders and starts of pages combine to thousands: each is built when it is first asked for.
        self.page = lru_cache(KEPT_STATEMENTS)(lambda shape: page(columns, shape))
        self.changes = with_owner(
            sa.select(*columns, TRASHED.label("deleted"))
            .where(OWNED, Task.rev > sa.bindparam("since"))
            .order_by(Task.rev)
            .limit(LIMIT),
            OWNER,
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
        created_at=NOW,
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
        **{column.key: new(column) for column in (*SETTABLE, *FOLDED.values())},
        "completed_at": sa.case((new(Task.completed), NOW)),
        "created_at": NOW,
        "updated_at": NOW,
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


class Shape(NamedTuple):
    """What the statement of a page depends on.

    `filters` are the names of those that are set. The page is the `first`, or it comes `after` a task with a
    value to sort by, or `after_none`, a task without one.
    """

    order: Sort
    descending: bool
    trash: bool
    filters: tuple[str, ...]
    start: str

    @classmethod
    def of(cls, filters: Filters, after: Cursor | None) -> "Shape":
        """The shape of the page of a list that a cursor leads to."""
        start = "first" if after is None else "after_none" if after.key is None else "after"
        return cls(filters.order, filters.descending, filters.trash, tuple(filters.values()), start)


def page(columns: Columns, shape: Shape) -> sa.Select[Any]:
    """One page of a list; in either direction, tasks without a value to sort by come last."""
    order, column = shape.order, shape.order.column
    direction, beyond = (sa.desc, operator.lt) if shape.descending else (sa.asc, operator.gt)
    after_key = sa.bindparam("after_key", type_=column.type)
    after_id = sa.bindparam("after_id", type_=Task.id.type)
    conditions = [OWNED, TRASHED if shape.trash else LIVE, *(CONDITIONS[name] for name in shape.filters)]
    if order.field == SORT_KEY:
        key = utc(column) if isinstance(column.type, sa.DateTime) else column
        columns = [*columns, key.label(SORT_KEY)]

    def part(by: tuple[Any, ...], *more: Any) -> sa.Select[Any]:
        return sa.select(*columns).where(*conditions, *more).order_by(*map(direction, by)).limit(LIMIT)

    behind = (
        [beyond(sa.tuple_(column, Task.id), sa.tuple_(after_key, after_id))] if shape.start == "after" else []
    )
    if not order.nullable:
        return with_owner(part((column, Task.id), *behind))
    if shape.start == "after_none":
        return with_owner(part((Task.id,), column.is_(None), beyond(Task.id, after_id)))
    # Two scans that each end after a page: an index serves ORDER BY … NULLS LAST in one direction only. The
    # second scan runs only if the first fills no page.
    valued = part((column, Task.id), column.is_not(None), *behind).cte("valued")
    has_room = sa.select(sa.func.count()).select_from(valued).scalar_subquery() < LIMIT
    missing = part((Task.id,), column.is_(None), has_room).subquery("missing")
    both = sa.union_all(sa.select(valued), sa.select(missing)).subquery("both")
    key = both.c[SORT_KEY]
    return with_owner(
        sa.select(both).order_by(key.is_(None), direction(key), direction(both.c.id)).limit(LIMIT)
    )


def with_owner(tasks: sa.Select[Any], owner: tuple[Any, ...] = (VERSION,)) -> sa.Select[Any]:
    """The tasks beside columns of their owner, from one snapshot; one row even where there is no task."""
    # A join to one row without a condition is a loop, which keeps the tasks in their order.
    found = tasks.subquery("found")
    return sa.select(*found.c, *owner).select_from(User).outerjoin(found, sa.true()).where(THIS_USER)


def kept_claim(name: str) -> Any:
    """A claim of the token where it has one; nothing is stored about a user who was forgotten."""
    stored = User.__table__.c[name]
    return sa.case((User.created_at.is_(None), None), else_=sa.func.coalesce(sa.bindparam(name), stored))


RAISE_REV = (
    sa.update(User)
    .where(THIS_USER)
    .values(rev=User.rev + 1, email=kept_claim("email"), name=kept_claim("name"))
)
FIND_VERSION = sa.select(VERSION).where(THIS_USER)
DELETE_FORGOTTEN_TASK = sa.delete(Task).where(*FORGOTTEN, Task.id == sa.bindparam("task_id"))
