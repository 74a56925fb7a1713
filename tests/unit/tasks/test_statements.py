"""Each statement of a request binds the owner by equality on every table that it names.

So Citus sends each to one shard, and none reads or writes what is another user's.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.dml import Delete, Insert, Update

from app import me
from app.contracts import CONTRACTS
from app.db import clauses
from app.db.models import Task, User
from app.maintenance import backfill, purge
from app.tasks import statements
from app.tasks.lists import FILTERS, SORTS, TRASH
from app.tasks.pages import Shape
from app.tasks.statements import TaskStatements, Write

OWNERS = {"tasks": Task.__table__.c.user_id, "users": User.__table__.c.id}
# Runs over all users, one statement for each page of them: the purge, which is no request.
OVER_ALL = purge.LIST_USERS


def found(value: Any) -> Iterator[Any]:
    """The statements in a module, an object or a collection."""
    if isinstance(value, Write):
        yield from (*value.statements, value.look)
    elif isinstance(value, sa.Select | Insert | Update | Delete):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from found(item)


# Each order with each filter and with all, on each page; further filters are further conditions.
SHAPES = [
    *(
        Shape(order, descending, False, filters, start)
        for order in SORTS.values()
        for descending in (False, True)
        for filters in ((), *((name,) for name in FILTERS), FILTERS)
        for start in ("first", "after", "after_none")
    ),
    *(
        Shape(TRASH, True, True, filters, start)
        for filters in ((), FILTERS[:1])
        for start in ("first", "after")
    ),
]
TABLE = [TaskStatements(contract) for contract in CONTRACTS]
ALL = [
    *(
        statement
        for holder in (*TABLE, statements, me, purge, backfill)
        for statement in found(vars(holder))
        if statement is not OVER_ALL
    ),
    *(TABLE[0].page(shape) for shape in SHAPES),
]


def is_bound(table: Any, condition: Any) -> bool:
    """Whether a condition holds only for rows of the owner in `table`."""
    if condition is None:
        return False
    if isinstance(condition, sa.BooleanClauseList) and condition.operator is operators.and_:
        return any(is_bound(table, clause) for clause in condition.clauses)
    return (
        isinstance(condition, sa.BinaryExpression)
        and condition.operator is operators.eq
        and condition.left.compare(OWNERS[table.name])
        and isinstance(condition.right, sa.BindParameter)
        and condition.right.key == "owner"
    )


def unbound(statement: Any) -> list[str]:
    """The tables that a statement or a part of it names without their owner."""
    names = []
    for part in visitors.iterate(statement):
        if isinstance(part, sa.Select):
            tables = {
                table
                for source in part.get_final_froms()
                for table in visitors.iterate(source)
                if isinstance(table, sa.Table)
            }
            # A subquery's tables are those of its own SELECT.
            inner = {
                table
                for source in part.get_final_froms()
                for inner in visitors.iterate(source)
                if isinstance(inner, sa.Select)
                for table in inner.get_final_froms()
            }
            names += [table.name for table in tables - inner if not is_bound(table, part.whereclause)]
        elif isinstance(part, Update | Delete):
            names += [] if is_bound(part.table, part.whereclause) else [str(part.table)]
        elif isinstance(part, Insert) and part.select is None:
            values = part.compile().params
            names += [] if "owner" in values else [str(part.table)]
    return names


@pytest.mark.parametrize("statement", ALL, ids=lambda statement: str(statement)[:40].replace("\n", " "))
def test_a_statement_binds_the_owner_on_every_table(statement: Any) -> None:
    assert unbound(statement) == []


def test_every_statement_is_looked_at() -> None:
    assert len(ALL) > 350


def test_the_statement_of_a_page_is_built_once_and_few_are_kept() -> None:
    built = TaskStatements(CONTRACTS[0]).page
    assert built(SHAPES[0]) is built(SHAPES[0])
    assert built.cache_info().maxsize == 200


@pytest.mark.parametrize(
    "statement",
    [
        sa.select(Task.id),
        sa.select(Task.id).where(Task.id == sa.bindparam("owner")),
        sa.select(Task.id).where((Task.user_id == sa.bindparam("owner")) | (Task.rev > 0)),
        sa.select(Task.id).where(Task.user_id == sa.select(User.id).scalar_subquery()),
        sa.select(User.id).where(clauses.THIS_USER).join(Task, sa.true()),
        sa.update(Task).values(title="").where(Task.rev == 1),
        sa.delete(User),
        sa.insert(User).values(id="alice"),
    ],
    ids=str,
)
def test_a_statement_that_does_not_is_found(statement: Any) -> None:
    assert unbound(statement) != []
