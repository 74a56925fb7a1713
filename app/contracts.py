"""The three mounts as data: what one contract words differently from another stands here and nowhere else."""

from dataclasses import dataclass

from werkzeug.routing import BaseConverter, Map

from .limits import MAX_DESCRIPTION


class TaskIdConverter(BaseConverter):
    """Any path segment but those that mean something else in this place."""

    part_isolating = True

    def __init__(self, url_map: Map, *others: str) -> None:
        super().__init__(url_map)
        self.regex = f"(?!({'|'.join(others)})$)[^/]+"


@dataclass(frozen=True)
class Contract:
    """One mount of the tasks API.

    `text_field` is the JSON name of the long text and `text_limit` its length in code points; `envelope` says
    whether a task and a list come wrapped in an object; `completion` is method, last path segment and view;
    `about` and `operation_prefix` are the OpenAPI document's words for people and for programs.
    """

    name: str
    prefix: str
    text_field: str
    text_limit: int
    envelope: bool
    shows_owner: bool
    invalid_status: int
    completion: tuple[str, str, str]
    about: str
    operation_prefix: str = ""
    task_rule: str = "/<task_id('changes'):id>"

    @property
    def schema_prefix(self) -> str:
        """What the names of its schemas begin with in the OpenAPI document."""
        return self.name.capitalize()


CONTRACTS = (
    Contract(
        name="v1",
        prefix="/v1/tasks",
        text_field="details",
        text_limit=MAX_DESCRIPTION["v1"],
        envelope=True,
        shows_owner=False,
        invalid_status=422,
        completion=("POST", "toggle", "toggle"),
        about="Answers are wrapped in an object, the long text is called `details`, invalid input is 422.",
    ),
    Contract(
        name="api",
        prefix="/api/tasks",
        text_field="description",
        text_limit=MAX_DESCRIPTION["api"],
        envelope=False,
        shows_owner=True,
        invalid_status=400,
        completion=("PATCH", "complete", "complete"),
        about="Tasks and lists are bare, the long text is called `description`, invalid input is 400.",
        operation_prefix="api",
        # `/api/tasks/tasks` is the list of the user who is called "tasks", on the mount below.
        task_rule="/<task_id('changes', 'tasks'):id>",
    ),
    Contract(
        name="user",
        prefix="/api/<user_id>/tasks",
        text_field="description",
        text_limit=MAX_DESCRIPTION["user"],
        envelope=False,
        shows_owner=True,
        invalid_status=400,
        completion=("PATCH", "complete", "complete"),
        about="As `/api/tasks`, with the user in the path, who must be the token's: else 403.",
        operation_prefix="user",
    ),
)


def has_error_member(path: str) -> bool:
    """Whether errors at `path`, a known route or not, carry v1's `error` member."""
    return path == "/v1" or path.startswith("/v1/")
