"""The statements of lists, one page each: filters and orders combine, and a page begins by key."""

import operator
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..db.clauses import FOLDED, LIMIT, LIVE, OWNED, THIS_USER, TRASHED, VERSION, Columns
from ..db.functions import has_all, utc
from ..db.models import Task, User
from .lists import SORT_KEY, Cursor, Filters, Sort

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
