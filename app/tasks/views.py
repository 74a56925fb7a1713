"""The views of a user's tasks, the same for every contract."""

from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, g, jsonify, request

from ..contracts import Contract
from ..db.database import Record
from ..errors import Problem, field_error, not_found, problem_details, validation_problem
from ..etags import if_match_revs, if_none_match_matches, list_etag, task_etag
from ..limits import MAX_BATCH_BODY
from ..metrics import BATCH_OPERATIONS
from ..parsing import JSON, MERGE_PATCH, has_body, parse_body, parse_query, validate
from ..sync import SyncToken
from ..validation import NO_QUERY, parse_uuid
from .operations import Operation, Operations, Outcome
from .queries import ChangesQuery, ListQuery
from .schemas import BatchSchema, CompletionSchema, changes_schema, creation_schema
from .statements import TaskStatements
from .store import TaskStore


def tasks_blueprint(contract: Contract) -> Blueprint:
    """The routes of one contract."""
    blueprint = Blueprint(contract.name, __name__, url_prefix=contract.prefix)
    views = TaskViews(contract, TaskStatements(contract))
    one = contract.task_rule
    for rule, method, name in (
        ("", "GET", "list_tasks"),
        ("", "POST", "create_task"),
        ("/changes", "GET", "list_changes"),
        ("/batch", "POST", "batch_tasks"),
        (one, "GET", "get_task"),
        (one, "PUT", "put_task"),
        (one, "PATCH", "patch_task"),
        (one, "DELETE", "delete_task"),
        (f"{one}/restore", "POST", "restore_task"),
        (f"{one}/{contract.completion}", contract.completion_method, f"{contract.completion}_task"),
    ):
        blueprint.add_url_rule(rule, name, getattr(views, name), methods=[method])
    return blueprint


class TaskViews:
    """The views of one contract: parse, act, respond. A body is validated before its task is looked up."""

    def __init__(self, contract: Contract, statements: TaskStatements) -> None:
        self._contract = contract
        self._statements = statements
        self._list_query = ListQuery()
        self._changes_query = ChangesQuery()
        self._creation = creation_schema(contract)()
        self._changes = changes_schema(contract)()
        self._completion = CompletionSchema()
        self._batch = BatchSchema()
        self._operations = Operations(statements)

    def list_tasks(self) -> Response:
        """List your tasks, by default newest first.

        All filters and orders combine. With `deleted=true`, list the trash instead, latest deletion first.
        """
        query = parse_query(self._list_query, self._contract.invalid_status)
        if "If-None-Match" in request.headers:
            etag = self._list_etag(self._store.version(), query)
            if if_none_match_matches(etag):
                return _not_modified(etag)
        page = self._store.page(query["filters"], query["limit"], query["cursor"])
        following = page.following.encode() if page.following else None
        headers = {"ETag": self._list_etag(page.version, query)}
        if following:
            query_string = [item for item in request.args.items(multi=True) if item[0] != "cursor"]
            link = urlencode([*query_string, ("cursor", following)])
            headers["Link"] = f'<{_request_path()}?{link}>; rel="next"'
        payload = {"tasks": page.tasks, "next_cursor": following} if self._contract.envelope else page.tasks
        return _json(payload, 200, headers)

    def create_task(self) -> Response:
        """Create a task.

        With an `id` of your own you can safely repeat the request: the task is created once, and the repeated
        request returns it with 200.
        """
        self._refuse_query()
        new = parse_body(self._creation, self._contract.invalid_status)
        status, task = self._store.write(self._operations.create(**new))
        location = {"Location": f"{_request_path()}/{task['id']}"} if status == 201 else {}
        return self._task(task, status, **location)

    def list_changes(self) -> Response:
        """List the changes since a rev.

        The response has the tasks written since then, oldest change first, and the ids of the deleted ones.
        """
        status = self._contract.invalid_status
        query = parse_query(self._changes_query, status)
        token, limit = SyncToken.decode(query["since"]), query["limit"]
        page = self._store.changes(token.rev, limit + 1)
        if not token.could_have_been_issued(page.owner_rev, page.purged_rev):
            raise validation_problem(status, "parameter", {"since": field_error("unknown_rev")})
        if token.is_expired(page.purged_rev, page.purge_count):
            raise Problem("sync_expired")
        more = len(page.tasks) > limit
        changed = page.tasks[:limit]
        deleted = [{"id": task["id"], "rev": task["rev"]} for task in changed if task["deleted"]]
        tasks = [task for task in changed if not task.pop("deleted")]
        last = changed[-1]["rev"] if more else page.owner_rev
        following = token.following(last, page.purged_rev, page.purge_count)
        return _json({"tasks": tasks, "deleted": deleted, "rev": following.encode(), "more": more}, 200, {})

    def batch_tasks(self) -> Response:
        """Create, update, delete and restore up to 100 tasks.

        The operations are done in order, in one transaction, and each has the result that its own request
        would have. A refused one does not stop the others, unless `atomic` is true: then nothing is done, and
        the response is the problem of the first refused operation, with its `index`.
        """
        self._refuse_query()
        batch = parse_body(self._batch, self._contract.invalid_status, limit=MAX_BATCH_BODY)
        operations = [self._batch_operation(**operation) for operation in batch["operations"]]
        outcomes, rev = self._store.write_all(operations, atomic=batch.get("atomic", False))
        results = [_batch_result(outcome) for outcome in outcomes]
        for operation, result in zip(batch["operations"], results, strict=True):
            BATCH_OPERATIONS.labels(operation["op"], result["status"]).inc()
        return _json({"results": results, "rev": rev}, 200, {})

    def get_task(self, id: str) -> Response:
        """Get one task."""
        self._refuse_query()
        return self._task(self._store.get(parse_uuid(id)))

    def put_task(self, id: str) -> Response:
        """Change the fields in the body."""
        return self._change(id, (JSON,))

    def patch_task(self, id: str) -> Response:
        """Change the fields in the body, a JSON Merge Patch (RFC 7396)."""
        return self._change(id, (MERGE_PATCH, JSON))

    def delete_task(self, id: str) -> Response:
        """Move a task to the trash."""
        self._refuse_query()
        self._store.write(self._operations.delete(parse_uuid(id), if_match_revs()))
        return Response(status=204)

    def restore_task(self, id: str) -> Response:
        """Restore a task from the trash."""
        self._refuse_query()
        return self._written(self._operations.restore(parse_uuid(id), if_match_revs()))

    def toggle_task(self, id: str) -> Response:
        """Toggle a task's completion."""
        self._refuse_query()
        return self._written(self._operations.toggle(parse_uuid(id), if_match_revs()))

    def complete_task(self, id: str) -> Response:
        """Set a task's completion, or toggle it if the body is empty or {}."""
        self._refuse_query()
        changes = parse_body(self._completion, self._contract.invalid_status) if has_body() else {}
        return self._update(id, changes) if changes else self.toggle_task(id)

    @property
    def _store(self) -> TaskStore:
        return TaskStore(self._statements, g.user)

    def _change(self, id: str, media_types: tuple[str, ...]) -> Response:
        self._refuse_query()
        status = self._contract.invalid_status
        return self._update(id, parse_body(self._changes, status, media_types=media_types, partial=True))

    def _update(self, id: str, changes: Record) -> Response:
        return self._written(self._operations.update(parse_uuid(id), if_match_revs(), **changes))

    def _written(self, operation: Operation) -> Response:
        return self._task(self._store.write(operation).task)

    def _batch_operation(
        self, op: str, id: str = "", rev: int | None = None, task: Record | None = None
    ) -> Operation | Problem:
        """One operation of a batch, or the problem of its invalid task."""
        status, task_id, revs = self._contract.invalid_status, parse_uuid(id), None if rev is None else {rev}
        try:
            match op:
                case "create":
                    return self._operations.create(**validate(self._creation, task or {}, status))
                case "update":
                    changes = validate(self._changes, task or {}, status, partial=True)
                    return self._operations.update(task_id, revs, **changes)
                case "delete":
                    return self._operations.delete(task_id, revs)
                case _:
                    return self._operations.restore(task_id, revs)
        except Problem as problem:
            return problem

    def _refuse_query(self) -> None:
        parse_query(NO_QUERY, self._contract.invalid_status)

    def _list_etag(self, version: int, query: Record) -> str:
        return list_etag(g.user_id, version, self._contract.name, sorted(query.items()))

    def _task(self, task: Record | None, status: int = 200, **headers: str) -> Response:
        if task is None:
            raise not_found()
        etag = task_etag(task["rev"])
        if request.method in ("GET", "HEAD") and if_none_match_matches(etag):
            return _not_modified(etag)
        return _json({"task": task} if self._contract.envelope else task, status, {"ETag": etag, **headers})


def _request_path() -> str:
    """The request's path as a URL reference, without a trailing slash."""
    return quote(request.root_path + request.path.rstrip("/"))


def _batch_result(outcome: Outcome | Problem) -> Record:
    if isinstance(outcome, Problem):
        return {"status": outcome.code, "problem": problem_details(outcome)}
    if outcome.status == 204:
        return {"status": 204}
    return outcome._asdict()


def _json(payload: Any, status: int, headers: dict[str, str]) -> Response:
    response = jsonify(payload)
    response.status_code = status
    return _private(response, headers)


def _not_modified(etag: str) -> Response:
    return _private(Response(status=304), {"ETag": etag})


def _private(response: Response, headers: dict[str, str]) -> Response:
    response.headers.update(headers)
    # Only the browser caches it, and revalidates it each time.
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Authorization"
    return response
