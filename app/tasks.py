"""The views of a user's tasks: one set, made into a Blueprint for each contract."""

from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, g, jsonify, request

from .contracts import Contract
from .errors import Problem, not_found
from .loading import JSON, MERGE_PATCH, has_body, load_body, load_query
from .schemas import (
    CompletionSchema,
    Cursor,
    ListQuery,
    QuerySchema,
    changes_schema,
    creation_schema,
    parse_uuid,
)
from .statements import TaskStatements
from .store import Row, TaskStore


def tasks_blueprint(contract: Contract, dialect: str) -> Blueprint:
    """The routes of one contract, over the statements of one database dialect."""
    blueprint = Blueprint(contract.name, __name__, url_prefix=contract.prefix)
    views = TaskViews(contract, TaskStatements(contract, dialect))
    completion_method, segment, completion_view = contract.completion
    one = contract.task_rule
    for rule, method, name in (
        ("", "GET", "list_tasks"),
        ("", "POST", "create_task"),
        (one, "GET", "get_task"),
        (one, "PUT", "put_task"),
        (one, "PATCH", "patch_task"),
        (one, "DELETE", "delete_task"),
        (f"{one}/{segment}", completion_method, f"{completion_view}_task"),
    ):
        blueprint.add_url_rule(rule, name, getattr(views, name), methods=[method])
    return blueprint


class TaskViews:
    """What a contract's routes do: load, act, answer. A body is judged before its task is looked up."""

    def __init__(self, contract: Contract, statements: TaskStatements) -> None:
        self._contract = contract
        self._statements = statements
        self._list_query = ListQuery()
        self._no_query = QuerySchema()
        self._creation = creation_schema(contract)()
        self._changes = changes_schema(contract)()
        self._completion = CompletionSchema()

    def list_tasks(self) -> Response:
        """List your tasks, newest first."""
        query = load_query(self._list_query, self._contract.invalid_status)
        limit, completed, cursor = query["limit"], query["completed"], query["cursor"]
        tasks = self._store.page(limit + 1, completed, cursor and (cursor.created_at, cursor.id))
        more = len(tasks) > limit
        last = tasks[limit - 1] if more else None
        return self._page(tasks[:limit], last and Cursor.after(last, completed).encode())

    def create_task(self) -> Response:
        """Create a task."""
        self._refuse_query()
        new = load_body(self._creation, self._contract.invalid_status)
        task = self._store.create(**new)
        if task is not None:
            return self._task(task, 201, {"Location": f"{_address()}/{task['id']}"})
        existing = self._store.get(new["id"])
        if existing is None:
            raise Problem(409, "conflict", "A task with this id lies in the trash.")
        return self._task(existing)

    def get_task(self, id: str) -> Response:
        """Get one task."""
        self._refuse_query()
        return self._task(self._store.get(parse_uuid(id)))

    def put_task(self, id: str) -> Response:
        """Change the fields that are sent."""
        return self._change(id, (JSON,))

    def patch_task(self, id: str) -> Response:
        """Change the fields that are sent, as a JSON Merge Patch (RFC 7396)."""
        return self._change(id, (MERGE_PATCH, JSON))

    def delete_task(self, id: str) -> Response:
        """Delete a task."""
        self._refuse_query()
        if not self._store.delete(parse_uuid(id)):
            raise not_found()
        return Response(status=204)

    def toggle_task(self, id: str) -> Response:
        """Turn a task's completion over."""
        self._refuse_query()
        return self._task(self._store.flip(parse_uuid(id)))

    def complete_task(self, id: str) -> Response:
        """Set a task's completion, or turn it over when no body is sent."""
        if not has_body():
            return self.toggle_task(id)
        self._refuse_query()
        changes = load_body(self._completion, self._contract.invalid_status)
        return self._task(self._store.update(parse_uuid(id), **changes))

    @property
    def _store(self) -> TaskStore:
        return TaskStore(self._statements, g.user)

    def _change(self, id: str, media_types: tuple[str, ...]) -> Response:
        self._refuse_query()
        status = self._contract.invalid_status
        changes = load_body(self._changes, status, media_types=media_types, partial=True)
        return self._task(self._store.update(parse_uuid(id), **changes))

    def _refuse_query(self) -> None:
        load_query(self._no_query, self._contract.invalid_status)

    def _task(self, task: Row | None, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        if task is None:
            raise not_found()
        return _answer({"task": task} if self._contract.envelope else task, status, headers)

    def _page(self, tasks: list[Row], cursor: str | None) -> Response:
        headers = {}
        if cursor:
            query = urlencode(request.args.to_dict() | {"cursor": cursor})
            headers["Link"] = f'<{_address()}?{query}>; rel="next"'
        return _answer(
            {"tasks": tasks, "next_cursor": cursor} if self._contract.envelope else tasks, 200, headers
        )


def _address() -> str:
    """This request's path as a URL reference, without a slash at its end."""
    return quote(request.root_path + request.path.rstrip("/"))


def _answer(payload: Any, status: int, headers: dict[str, str] | None) -> Response:
    response = jsonify(payload)
    response.status_code = status
    response.headers.update(headers or {})
    # Kept by the browser alone, and asked for again each time.
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Authorization"
    return response
