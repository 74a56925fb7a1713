"""The three mounts as data: everything in which their contracts differ."""

from dataclasses import dataclass

from werkzeug.routing import BaseConverter, Map

from .limits import MAX_DESCRIPTION


class TaskIdConverter(BaseConverter):
    """Any path segment but those with a meaning of their own there: RESERVED, and `others` on one mount."""

    RESERVED = ("changes", "batch")
    part_isolating = True

    def __init__(self, url_map: Map, *others: str) -> None:
        super().__init__(url_map)
        self.regex = f"(?!({'|'.join((*self.RESERVED, *others))})$)[^/]+"


@dataclass(frozen=True)
class Contract:
    """One mount of the tasks API.

    `text_field` is the JSON name of the long text and `text_limit` its length in code points. With `envelope`
    a task and a list are wrapped in an object. `completion` is the last path segment of the route that
    completes a task, and names its view. `about` describes the mount in the OpenAPI document, and
    `operation_prefix` begins its operation ids.
    """

    name: str
    prefix: str
    text_field: str
    text_limit: int
    envelope: bool
    shows_owner: bool
    invalid_status: int
    completion_method: str
    completion: str
    about: str
    operation_prefix: str = ""
    task_rule: str = "/<task_id:id>"

    @property
    def schema_prefix(self) -> str:
        """The beginning of its schemas' names in the OpenAPI document."""
        return self.name.capitalize()

    @property
    def names_owner(self) -> bool:
        """Whether the path names the user, who must be the token's."""
        return "<user_id>" in self.prefix

    @property
    def completion_has_body(self) -> bool:
        """Whether a body may set the completion; without one it is toggled."""
        return self.completion == "complete"


# In the order of the document; the first is the one for new frontends.
CONTRACTS = (
    Contract(
        name="api",
        prefix="/api/tasks",
        text_field="description",
        text_limit=MAX_DESCRIPTION["api"],
        envelope=False,
        shows_owner=True,
        invalid_status=400,
        completion_method="PATCH",
        completion="complete",
        about="Tasks and lists are bare, the long text is called `description`, invalid input is 400.",
        operation_prefix="api",
        # `/api/tasks/tasks` is the list of the user called "tasks", on the mount below.
        task_rule="/<task_id('tasks'):id>",
    ),
    Contract(
        name="user",
        prefix="/api/<user_id>/tasks",
        text_field="description",
        text_limit=MAX_DESCRIPTION["user"],
        envelope=False,
        shows_owner=True,
        invalid_status=400,
        completion_method="PATCH",
        completion="complete",
        about="Like `/api/tasks`, with the user in the path; a user other than the token's is 403.",
        operation_prefix="user",
    ),
    Contract(
        name="v1",
        prefix="/v1/tasks",
        text_field="details",
        text_limit=MAX_DESCRIPTION["v1"],
        envelope=True,
        shows_owner=False,
        invalid_status=422,
        completion_method="POST",
        completion="toggle",
        about="Responses are wrapped in an object, the long text is called `details`, invalid input is 422.",
    ),
)


def has_error_member(path: str) -> bool:
    """Whether errors at `path`, a known route or not, carry v1's `error` member."""
    return path == "/v1" or path.startswith("/v1/")
