"""Any order of calls, on any mounts, against a model in plain Python."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.maintenance.purge import purge
from tests.mounts import MOUNTS, Mount
from tests.people import Person

mounts = st.sampled_from(MOUNTS)
picks = st.integers(0, 11)
titles = st.sampled_from(["milk", "tea", "ü😀"])
texts = st.sampled_from([None, "", "green"])
matches = st.sampled_from(["none", "none", "current", "stale", "any"])
plans: dict[str, st.SearchStrategy[Any]] = {
    "priority": st.sampled_from(["low", "medium", "urgent"]),
    "due_date": st.sampled_from([None, "2026-12-01", "2026-12-01T09:00:00Z"]),
    "tags": st.sampled_from([[], ["home"], ["home", "ü"]]),
    "position": st.sampled_from([None, "a0"]),
}
fields = st.fixed_dictionaries(
    {}, optional=plans | {"title": titles, "text": texts, "completed": st.booleans()}
)
UNPLANNED: dict[str, Any] = {"priority": "medium", "due_date": None, "tags": [], "position": None}
IDS = [str(uuid.UUID(int=n + 1)) for n in range(6)]


class Machine(RuleBasedStateMachine):
    """One user's tasks: what the API answers, beside what a dictionary holds."""

    app: Flask
    person: Callable[..., Person]

    @initialize()
    def start(self) -> None:
        self.user = type(self).person(f"user-{uuid.uuid4()}")
        self.tasks: dict[str, dict[str, Any]] = {}
        # Ids in order of creation; of the deleted ones, the time of deletion at the latest.
        self.created: list[str] = []
        self.trashed: dict[str, datetime] = {}
        self.rev = self.purged = 0
        # What a client held that was in sync at each rev.
        self.held: dict[int, dict[str, int]] = {0: {}}

    def call(self, mount: Mount, method: str, rest: str = "", **kwargs: Any) -> Any:
        return self.user.request(method, mount.path(self.user.id, rest), **kwargs)

    def live(self) -> dict[str, dict[str, Any]]:
        return {key: task for key, task in self.tasks.items() if key not in self.trashed}

    def owner_rev(self) -> int:
        rev: int = self.user.get("/api/me").get_json()["rev"]
        return rev

    def hold(self) -> None:
        """Keep what a client has that is in sync now."""
        self.held[self.rev] = {key: task["rev"] for key, task in self.live().items()}

    def wrote(self, task_id: str) -> None:
        self.rev += 1
        assert self.owner_rev() == self.rev
        self.tasks[task_id]["rev"] = self.rev
        self.hold()

    def wrote_nothing(self, mount: Mount) -> None:
        """A write that is refused or changes nothing may use up one rev, and the feed shows nothing of it."""
        rev = self.owner_rev()
        assert rev in (self.rev, self.rev + 1)
        feed = self.call(mount, "GET", f"/changes?since={self.rev}").get_json()
        assert feed == {"tasks": [], "deleted": [], "rev": rev, "more": False}
        self.rev = rev
        self.hold()

    def check_task(self, mount: Mount, task_id: str, answer: dict[str, Any]) -> None:
        found = {name: answer[mount.text_field if name == "text" else name] for name in self.tasks[task_id]}
        assert (answer["id"], found) == (task_id, self.tasks[task_id])
        assert (answer["completed_at"] is not None) == answer["completed"]

    def write(
        self, mount: Mount, task_id: str, match: str, method: str, rest: str, there: bool, body: Any = None
    ) -> Any:
        """Send a write under If-Match; the answer where it was let through."""
        current = self.tasks[task_id]["rev"] if task_id in self.tasks else 1
        tag = {"none": None, "current": f'"{current}"', "stale": f'"{current + 1}"', "any": "*"}[match]
        sent: dict[str, Any] = {"headers": {"If-Match": tag} if tag else {}}
        if body is not None:
            sent["json"] = body
        response = self.call(mount, method, f"/{task_id}{rest}", **sent)
        if not there:
            assert response.status_code == 404, response.text
            self.wrote_nothing(mount)
            return None
        if match == "stale":
            assert response.status_code == 412, response.text
            assert response.headers["ETag"] == f'"{current}"'
            self.wrote_nothing(mount)
            return None
        assert response.status_code == (204 if method == "DELETE" else 200), response.text
        return response

    @rule(mount=mounts, pick=picks, title=titles, completed=st.booleans())
    def create(self, mount: Mount, pick: int, title: str, completed: bool) -> None:
        body: dict[str, Any] = {"title": title, "completed": completed}
        if pick < len(IDS):
            body["id"] = IDS[pick]
        response = self.call(mount, "POST", json=body)
        task_id = body.get("id") or mount.task(response)["id"]
        if task_id in self.trashed:
            assert response.status_code == 409
            self.wrote_nothing(mount)
            return
        if task_id in self.tasks:
            assert response.status_code == 200
            self.wrote_nothing(mount)
        else:
            assert response.status_code == 201, response.text
            self.tasks[task_id] = {"title": title, "text": None, "completed": completed} | UNPLANNED
            self.created.append(task_id)
            self.wrote(task_id)
        self.check_task(mount, task_id, mount.task(response))

    def pick(self, n: int) -> str:
        """Some task, in the trash or not, or one that is not there."""
        known = [*self.created, IDS[n % len(IDS)]]
        return known[n % len(known)]

    @rule(mount=mounts, n=picks, changes=fields, method=st.sampled_from(["PUT", "PATCH"]), match=matches)
    def change(self, mount: Mount, n: int, changes: dict[str, Any], method: str, match: str) -> None:
        task_id = self.pick(n)
        body = {mount.text_field if name == "text" else name: value for name, value in changes.items()}
        response = self.write(mount, task_id, match, method, "", task_id in self.live(), body)
        if response is not None:
            task = self.tasks[task_id]
            if task | changes != task:
                task |= changes
                self.wrote(task_id)
            else:
                self.wrote_nothing(mount)
            self.check_task(mount, task_id, mount.task(response))

    @rule(mount=mounts, n=picks, match=matches)
    def flip(self, mount: Mount, n: int, match: str) -> None:
        task_id = self.pick(n)
        method, segment = mount.completion
        response = self.write(mount, task_id, match, method, f"/{segment}", task_id in self.live())
        if response is not None:
            self.tasks[task_id]["completed"] ^= True
            self.wrote(task_id)
            self.check_task(mount, task_id, mount.task(response))

    @rule(mount=mounts, n=picks, match=matches)
    def delete(self, mount: Mount, n: int, match: str) -> None:
        task_id = self.pick(n)
        there = task_id in self.live()
        if self.write(mount, task_id, match, "DELETE", "", there) is not None:
            self.trashed[task_id] = datetime.now(UTC)
            self.wrote(task_id)

    @rule(mount=mounts, n=picks, match=matches)
    def restore(self, mount: Mount, n: int, match: str) -> None:
        task_id = self.pick(n)
        response = self.write(mount, task_id, match, "POST", "/restore", task_id in self.tasks)
        if response is not None:
            if self.trashed.pop(task_id, None):
                self.wrote(task_id)
            else:
                self.wrote_nothing(mount)
            self.check_task(mount, task_id, mount.task(response))

    @rule(n=picks, batch=st.integers(1, 3))
    def purge(self, n: int, batch: int) -> None:
        """Purge what was deleted up to some deletion."""
        times = sorted(self.trashed.values())
        before = times[n % len(times)] if times else datetime.now(UTC)
        with type(self).app.app_context():
            purge(before, batch=batch)
        for task_id in [key for key, time in self.trashed.items() if time <= before]:
            self.purged = max(self.purged, self.tasks[task_id]["rev"])
            del self.tasks[task_id], self.trashed[task_id]
            self.created.remove(task_id)

    @rule(mount=mounts)
    def lists(self, mount: Mount) -> None:
        live = [key for key in reversed(self.created) if key not in self.trashed]
        trash = sorted(self.trashed, key=lambda key: -self.tasks[key]["rev"])
        for query, wanted in (("", live), ("?deleted=true", trash)):
            tasks = mount.tasks(self.call(mount, "GET", query))
            assert [task["id"] for task in tasks] == wanted
            for task in tasks:
                self.check_task(mount, task["id"], task)

    @rule(mount=mounts, n=st.integers(0, 60), limit=st.integers(1, 5))
    def changes(self, mount: Mount, n: int, limit: int) -> None:
        """From any rev that a client was in sync at, the pages lead to what is there now."""
        since = list(self.held)[n % len(self.held)]
        copy, seen, expired = dict(self.held[since]), [], 0 < since < self.purged
        for _ in range(len(self.tasks) + 1):
            response = self.call(mount, "GET", f"/changes?since={since}&limit={limit}")
            if expired:
                assert response.status_code == 410
                return
            assert response.status_code == 200, response.text
            body = response.get_json()
            for task in body["tasks"]:
                self.check_task(mount, task["id"], task)
            copy |= {task["id"]: task["rev"] for task in body["tasks"]}
            for gone in body["deleted"]:
                copy.pop(gone["id"], None)
            seen += [entry["id"] for entry in body["tasks"] + body["deleted"]]
            since = body["rev"]
            if not body["more"]:
                break
        assert not body["more"]
        assert since == self.rev
        assert len(seen) == len(set(seen))
        assert copy == {key: task["rev"] for key, task in self.live().items()}


def test_the_api_does_what_the_model_does(
    app: Flask, person: Callable[..., Person], pytestconfig: pytest.Config
) -> None:
    machine = type("Machine", (Machine,), {"app": app, "person": staticmethod(person)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25 if pytestconfig.getoption("full_matrix") else 12,
            stateful_step_count=30,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
