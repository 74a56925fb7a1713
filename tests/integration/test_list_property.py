"""Random lists, page by page, against a model in plain Python, while others write."""

import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.extensions import db
from tests.mounts import MOUNTS, Mount
from tests.people import Person

PRIORITIES = ("low", "medium", "high", "urgent")
NEXT = re.compile(r'<([^<>]*)>; rel="next"')
# Few values, so that many are equal; some differ only where a database's locale would take them for equal.
TITLES = ("a", "A", "b", "ä", "Ä", "ß", "SS", "_", "Z", "z%", "😀", "\uffee")
DATES = ("2026-02-05", "2026-02-05T00:00:00", "2026-02-05T00:00:00Z", "2026-02-06", "2025-12-31T23:00:00Z")
POSITIONS = ("Zz", "a0", "a0V", "a1", "a", "B", "~")
TAGS = ("home", "Home", "x,y", "ü")
tasks = st.fixed_dictionaries(
    {
        "title": st.sampled_from(TITLES),
        "text": st.sampled_from((None, "", "Äb", "ss_")),
        "completed": st.booleans(),
        "priority": st.sampled_from(PRIORITIES),
        "due_date": st.sampled_from((None, None, *DATES)),
        "tags": st.lists(st.sampled_from(TAGS), unique=True, max_size=3),
        "position": st.sampled_from((None, None, *POSITIONS)),
    }
)
SORTS = ("created_at", "updated_at", "due_date", "priority", "title", "position", "completed_at")
NEWEST_FIRST = ("created_at", "updated_at", "completed_at", "priority")


class Query(NamedTuple):
    """A list to ask for; None leaves a parameter out."""

    sort: str | None
    order: str | None
    status: str | None
    priority: str | None
    tag: tuple[str, ...]
    due_after: str | None
    due_before: str | None
    search: str | None

    def parameters(self) -> str:
        return urlencode({n: v for n, v in self._asdict().items() if v not in (None, ())}, doseq=True)

    def shows(self, task: dict[str, Any]) -> bool:
        """Whether the list has the task."""
        due = task["due_date"]
        wanted = (self.search or "").casefold()
        return (
            (self.status is None or task["completed"] == (self.status == "completed"))
            and (self.priority is None or task["priority"] == self.priority)
            and set(self.tag) <= set(task["tags"])
            and (self.due_after is None or (due is not None and due >= self.due_after))
            and (self.due_before is None or (due is not None and due < self.due_before))
            and (wanted in task["title"].casefold() or wanted in (task["text"] or "").casefold())
        )

    def sorted(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The tasks in the order of the list."""
        sort = self.sort or "created_at"
        descending = self.order == "desc" if self.order else sort in NEWEST_FIRST

        def key(task: dict[str, Any]) -> tuple[Any, str]:
            value = task[sort]
            if sort == "title":
                value = value.casefold()
            elif sort == "priority":
                value = PRIORITIES.index(value)
            return value, task["id"]

        valued = sorted((task for task in tasks if task[sort] is not None), key=key, reverse=descending)
        rest = [task for task in tasks if task[sort] is None]
        return valued + sorted(rest, key=lambda task: task["id"], reverse=descending)


def maybe(*values: str) -> st.SearchStrategy[str | None]:
    """Seldom, so that filters which combine leave something to sort."""
    return st.integers(0, 4).flatmap(lambda n: st.none() if n else st.sampled_from(values))


queries = st.builds(
    Query,
    sort=st.sampled_from((None, *SORTS)),
    order=st.sampled_from((None, "asc", "desc")),
    status=maybe("pending", "completed"),
    priority=maybe(*PRIORITIES),
    tag=maybe(*TAGS).map(lambda tag: (tag,) if tag else ()) | st.just(()),
    due_after=maybe(*DATES),
    due_before=maybe(*DATES),
    search=maybe("A", "ä", "SS", "ß", "_", "%", "b"),
)


def make(mount: Mount, person: Person, task: dict[str, Any]) -> dict[str, Any]:
    """Create the task, and return it with the text under the model's name."""
    body = {mount.text_field if name == "text" else name: value for name, value in task.items()}
    response = person.post(mount.path(person.id), {"id": str(uuid.uuid4()), **body})
    assert response.status_code == 201, response.text
    made = mount.task(response)
    return made | {"text": made[mount.text_field]}


@pytest.fixture
def coarse_clock(app: Flask) -> Callable[[str], None]:
    """Cut the creation and the last write of somebody's tasks to whole minutes, so that many are equal."""

    def cut(owner: str) -> None:
        with app.app_context(), db.engine.begin() as connection:
            cut_to = "date_trunc('minute', created_at)"
            if connection.dialect.name == "sqlite":
                cut_to = "substr(created_at, 1, 16) || '\\:00.000000'"
            for column in ("created_at", "updated_at"):
                update = f"UPDATE tasks SET {column} = {cut_to} WHERE tasks.user_id = :owner"
                connection.execute(text(update), {"owner": owner})

    return cut


def test_random_lists_are_those_of_the_model(
    person: Callable[..., Person], coarse_clock: Callable[[str], None], pytestconfig: pytest.Config
) -> None:
    examples = 60 if pytestconfig.getoption("full_matrix") else 25
    sizes: list[int] = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        kept=st.lists(tasks, min_size=6, max_size=12),
        passing=st.lists(tasks, max_size=4),
        coming=st.lists(tasks, max_size=4),
        asked=st.lists(
            st.tuples(queries, st.sampled_from(MOUNTS), st.integers(1, 5)), min_size=3, max_size=6
        ),
        coarse=st.booleans(),
    )
    def check(kept: Any, passing: Any, coming: Any, asked: Any, coarse: bool) -> None:
        user = person(f"user-{uuid.uuid4()}")
        api = MOUNTS[1]
        model = [make(api, user, task) for task in kept]
        if coarse:
            coarse_clock(user.id)
            model = [one | {"text": one["description"]} for one in api.tasks(user.get("/api/tasks"))]
        going = [make(api, user, task)["id"] for task in passing]
        came = list(coming)
        for query, mount, limit in asked:
            seen: list[dict[str, Any]] = []
            address = mount.path(user.id, f"?{query.parameters()}&limit={limit}".replace("?&", "?"))
            while address:
                response = user.get(address)
                assert response.status_code == 200, response.text
                seen += mount.tasks(response)
                link = NEXT.fullmatch(response.headers.get("Link", ""))
                address = link[1] if link else ""
                # Others come, go and change meanwhile.
                if going:
                    gone = going.pop()
                    user.patch(f"/api/tasks/{gone}", {"priority": "high", "due_date": None, "position": "a0"})
                    user.delete(f"/api/tasks/{gone}")
                if came:
                    make(api, user, came.pop())
            assert len({task["id"] for task in seen}) == len(seen), "a task is seen twice"
            ids = {task["id"] for task in model}
            found = [task["id"] for task in seen if task["id"] in ids]
            assert found == [task["id"] for task in query.sorted(list(filter(query.shows, model)))]
            sizes.append(len(found))

    check()
    assert sum(size > 3 for size in sizes) > examples * 0.8
