"""Each statement of a request binds the owner by equality on every table that it names.

So Citus sends each to one shard, and none reads or writes what is another user's.
"""

from collections.abc import Iterator
from functools import cache
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


ORDERS = [(order, descending) for order in SORTS.values() for descending in (False, True)]
STARTS = ("first", "after", "after_none")
# Each order with no filter and with all, on each page; further filters are further conditions.
SHAPES = [
    *(
        Shape(order, descending, False, filters, start)
        for order, descending in ORDERS
        for filters in ((), FILTERS)
        for start in STARTS
    ),
    *(Shape(TRASH, True, True, filters, start) for filters in ((), FILTERS[:1]) for start in STARTS[:2]),
]
# Each filter alone, with the first order or with all.
ALONE = [
    Shape(order, descending, False, (name,), start)
    for order, descending in ORDERS
    for name in FILTERS
    for start in STARTS
]
TABLE = [TaskStatements(contract) for contract in CONTRACTS]
HELD = [
    statement
    for holder in (*TABLE, statements, me, purge, backfill)
    for statement in found(vars(holder))
    if statement is not OVER_ALL
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


@cache
def sources(select: Any) -> Any:
    """What a SELECT selects from."""
    return select.get_final_froms()


def unbound(statement: Any) -> list[str]:
    """The tables that a statement or a part of it names without their owner."""
    names = []
    for part in set(visitors.iterate(statement)):
        if isinstance(part, sa.Select):
            inside = {node for source in sources(part) for node in visitors.iterate(source)}
            tables = {node for node in inside if isinstance(node, sa.Table)}
            # A subquery's tables are those of its own SELECT.
            inner = {table for node in inside if isinstance(node, sa.Select) for table in sources(node)}
            names += [table.name for table in tables - inner if not is_bound(table, part.whereclause)]
        elif isinstance(part, Update | Delete):
            names += [] if is_bound(part.table, part.whereclause) else [str(part.table)]
        elif isinstance(part, Insert) and part.select is None:
            values = part.compile().params
            names += [] if "owner" in values else [str(part.table)]
    return names


def test_each_statement_binds_the_owner_on_every_table(pytestconfig: pytest.Config) -> None:
    alone = ALONE if pytestconfig.getoption("full_matrix") else ALONE[: len(FILTERS) * len(STARTS)]
    pages = [TABLE[0].page(shape) for shape in (*SHAPES, *alone)]
    assert len(HELD) > 20
    assert {str(statement): names for statement in HELD + pages if (names := unbound(statement))} == {}


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
