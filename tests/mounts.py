"""The three mounts as CONTRACTS words them, written out by hand: not taken from the table under test."""

from typing import Any, NamedTuple

from werkzeug.test import TestResponse


class Mount(NamedTuple):
    """One mount, as a client sees it."""

    name: str
    template: str
    text_field: str
    text_limit: int
    enveloped: bool
    shows_owner: bool
    invalid: int
    completion: tuple[str, str]

    def path(self, owner: str = "alice", rest: str = "") -> str:
        """The address of an owner's tasks, or of one of them."""
        return self.template.replace("{user_id}", owner) + rest

    def task(self, response: TestResponse) -> dict[str, Any]:
        """The task of an answer."""
        body = response.get_json()
        task: dict[str, Any] = body["task"] if self.enveloped else body
        return task

    def tasks(self, response: TestResponse) -> list[dict[str, Any]]:
        """The list of an answer."""
        body = response.get_json()
        tasks: list[dict[str, Any]] = body["tasks"] if self.enveloped else body
        return tasks


MOUNTS = (
    Mount("v1", "/v1/tasks", "details", 2000, True, False, 422, ("POST", "toggle")),
    Mount("api", "/api/tasks", "description", 1000, False, True, 400, ("PATCH", "complete")),
    Mount("user", "/api/{user_id}/tasks", "description", 999, False, True, 400, ("PATCH", "complete")),
)
