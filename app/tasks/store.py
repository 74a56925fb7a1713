"""The tasks of one user.

A user's first write makes their row, and each further one raises its `rev`; that row's lock puts the
writes of one user in the order of their revs, whoever commits when.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Executable

from ..auth.tokens import TokenUser
from ..db.clauses import OWNER
from ..db.database import Record, Result, Step, read, read_one, run_transaction, transaction
from ..errors import Problem
from .lists import SORT_KEY, Cursor, Filters
from .operations import NO_TASK, Operation, Outcome, WriteResult
from .pages import Shape
from .statements import ADD_AND_LOCK_USER, DELETE_FORGOTTEN_TASK, FIND_VERSION, LOCK_USER, TaskStatements

# How often a write is tried while others come between it and the look at what it found.
ATTEMPTS = 5
Send = Callable[[Iterable[Step]], Result]


class Page(NamedTuple):
    """Some of a user's tasks, and the user's numbers at the same moment.

    A page of a list has `version`, which grows with each write of the user and each purge of their trash, and
    the cursor of the `following` page, if there is one. One of the changes has the other numbers.
    """

    tasks: list[Record]
    version: int = 0
    following: Cursor | None = None
    owner_rev: int = 0
    purged_rev: int = 0
    purge_count: int = 0


class TaskStore:
    """The tasks of one user; those of others do not exist here."""

    def __init__(self, statements: TaskStatements, user: TokenUser) -> None:
        self._statements = statements
        self._user = user

    def page(self, filters: Filters, limit: int, after: Cursor | None = None) -> Page:
        """At most `limit` tasks of a list, after the one of a cursor."""
        params = filters.values() | {"limit": limit + 1}
        if after:
            params |= {"after_key": after.key, "after_id": after.id}
        page = _page(read(self._statements.page(Shape.of(filters, after)), self._bind(params)), 1)
        tasks = page.tasks[:limit]
        following = Cursor.after(tasks[-1], filters) if len(page.tasks) > limit else None
        if filters.order.field == SORT_KEY:
            for task in tasks:
                del task[SORT_KEY]
        return page._replace(tasks=tasks, following=following)

    def changes(self, since: int, limit: int) -> Page:
        """At most `limit` tasks written after the rev `since`, deleted ones too, oldest change first."""
        params = self._bind({"since": since, "limit": limit})
        return _page(read(self._statements.changes, params), len(OWNER))

    def version(self) -> int:
        """The version that `page` would answer, for one read by key."""
        owner = read_one(FIND_VERSION, self._bind({}))
        version: int = owner["version"] if owner else 0
        return version

    def get(self, task_id: str | None) -> Record | None:
        """The task, or None; an id of None is that of no task."""
        return read_one(self._statements.get, self._bind({"task_id": task_id})) if task_id else None

    def write(self, operation: Operation) -> Outcome:
        """The outcome of one operation. Raises Problem if it is refused."""
        if operation.task_id is None:
            return operation.outcome(NO_TASK)
        params = self._bind_write(operation)
        for _ in range(ATTEMPTS):
            if written := run_transaction(operation.write.statements, params).records():
                return operation.outcome(WriteResult(written[0]))
            task = read_one(operation.write.look, params)
            if result := _refused(operation, task):
                return operation.outcome(result)
            # Another writer came between the write and the look, or a forgotten task has the new one's id.
            if operation.write.creates:
                run_transaction((DELETE_FORGOTTEN_TASK,), params)
        raise _contention()

    def write_all(
        self, operations: Sequence[Operation | Problem], *, atomic: bool
    ) -> tuple[list[Outcome | Problem], int]:
        """The outcome of each operation, done in order in one transaction, and the owner's rev after them.

        A problem among the operations stays where it is: one that cannot be tried. With `atomic` the first
        problem is raised, with its index, and nothing is written.
        """
        asked = [operation for operation in operations if isinstance(operation, Operation)]
        with transaction() as send:
            results, rev = self._write_results(send, asked)
            following = iter(results)
            outcomes: list[Outcome | Problem] = []
            for index, operation in enumerate(operations):
                try:
                    if isinstance(operation, Problem):
                        raise operation
                    outcomes.append(operation.outcome(next(following)))
                except Problem as problem:
                    if atomic:
                        problem.index = index
                        raise
                    outcomes.append(problem)
        return outcomes, rev

    def _write_results(self, send: Send, operations: list[Operation]) -> tuple[list[WriteResult], int]:
        lock = ADD_AND_LOCK_USER if any(operation.write.creates for operation in operations) else LOCK_USER
        owner = send([(lock, self._claims())]).records()
        if not owner:
            # Nobody who never wrote has a task to change.
            return [NO_TASK] * len(operations), 0
        rev, forgotten_rev = owner[0].values()
        before_creates = (DELETE_FORGOTTEN_TASK,) if forgotten_rev else ()
        results: list[WriteResult] = []
        for part in _without_repeats(operations):
            results += self._write_part(send, part, rev, before_creates)
            rev += len(part)
        return results, rev

    def _write_part(
        self, send: Send, operations: list[Operation], rev: int, before_creates: tuple[Executable, ...]
    ) -> list[WriteResult]:
        """Write tasks of different ids. The owner's row is locked, and each write raises its `rev` by one."""
        bound = [(operation, self._bind_write(operation)) for operation in operations]
        steps: list[Step] = []
        for operation, params in bound:
            before = before_creates if operation.write.creates else ()
            steps += [(statement, params) for statement in (*before, *operation.write.statements)]
        since = self._bind({"since": rev, "limit": len(bound)})
        tasks = _page(send([*steps, (self._statements.changes, since)]), len(OWNER)).tasks
        written = {task["rev"]: task for task in tasks}
        results = []
        for own_rev, (operation, params) in enumerate(bound, rev + 1):
            if task := written.get(own_rev):
                del task["deleted"]
                results.append(WriteResult(task))
            else:
                found = send([(operation.write.look, params)]).records()
                result = _refused(operation, found[0] if found else None)
                if result is None:
                    raise _contention()
                results.append(result)
        return results

    def _claims(self) -> Record:
        return self._bind({"email": self._user.email, "name": self._user.name, "now": datetime.now(UTC)})

    def _bind_write(self, operation: Operation) -> Record:
        return self._claims() | operation.params()

    def _bind(self, params: Record) -> Record:
        return {"owner": self._user.id, **params}


def _page(result: Result, owner_columns: int) -> Page:
    names, rows, _ = result
    # Each row is a task and then its owner; without tasks there is one row, whose id is null.
    width = -owner_columns
    tasks = [dict(zip(names[:width], row, strict=False)) for row in rows if row[0] is not None]
    owner = dict(zip(names[width:], rows[0][width:], strict=True)) if rows else {}
    return Page(tasks, **owner)


def _refused(operation: Operation, task: Record | None) -> WriteResult | None:
    """Why an operation wrote nothing, by a look at its task; None where it must be tried again."""
    if task is None:
        return None if operation.write.creates else NO_TASK
    if task.pop("applicable"):
        return None
    return WriteResult(task, changed=False, deleted=task.pop("deleted"))


def _contention() -> Problem:
    return Problem("service_unavailable", reason="contention")


def _without_repeats(operations: list[Operation]) -> Iterator[list[Operation]]:
    """The operations in order, in parts that each have a task once."""
    part: dict[str | None, Operation] = {}
    for operation in operations:
        if operation.task_id in part:
            yield list(part.values())
            part = {}
        part[operation.task_id] = operation
    if part:
        yield list(part.values())
