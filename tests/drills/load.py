"""A steady load of reads and writes, and a record of what was acknowledged to it."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4

import urllib3

from tests.people import token
from tests.polling import wait_until

PAUSE_S = 0.03
# Far behind what a request may take, which is judged by its answer's time.
CLIENT_TIMEOUT_S = 20
PATH = "/api/tasks"


class Answer(NamedTuple):
    """What became of a request: its status, or that it was refused, cut off or not answered at all."""

    user: str
    wrote: bool
    outcome: str
    began: float
    ended: float

    @property
    def good(self) -> bool:
        """Whether it was served."""
        return self.outcome[0] in "234"


class Stored(NamedTuple):
    """A task as the database has it."""

    title: str
    rev: int
    deleted: bool


@dataclass
class Known:
    """A task as it was acknowledged, and the titles and deletions that may have been written since."""

    title: str
    rev: int
    deleted: bool = False
    unsure: list[tuple[str, bool]] = field(default_factory=list)

    def know(self, title: str, rev: int, deleted: bool = False) -> None:
        """Take the task as it is; what was sent before named a rev that has passed."""
        self.title, self.rev, self.deleted, self.unsure = title, rev, deleted, []

    def is_kept_as(self, row: Stored | None) -> bool:
        """Whether a row holds the last acknowledged write, or one after it that was not answered."""
        if row is None or row.rev < self.rev:
            return False
        if (row.title, row.deleted) == (self.title, self.deleted):
            # A deletion's answer does not tell its rev.
            return self.deleted or row.rev == self.rev
        return row.rev > self.rev and (row.title, row.deleted) in self.unsure


class Client(threading.Thread):
    """One client on one connection: it writes tasks of its own, and reads and syncs all of its user's."""

    def __init__(self, port: int, user: str, secret: str, stopped: threading.Event) -> None:
        super().__init__(daemon=True)
        self.user, self._port, self._stopped = user, port, stopped
        self.answers: list[Answer] = []
        self.mistakes: list[str] = []
        self.tasks: dict[str, Known] = {}
        self.revs: list[int] = []
        self.acknowledged = 0
        self.mirror: dict[str, Stored | None] = {}
        self._since = 0
        self._creating: tuple[str, str] | None = None
        self._tried = False
        self._batch: list[tuple[str, str]] = []
        self._batch_tried = False
        self._random = random.Random(user)  # the same requests in each run
        self._headers = {"Authorization": f"Bearer {token(secret, user)}", "Content-Type": "application/json"}
        self._pool = urllib3.HTTPConnectionPool(
            "127.0.0.1", port, maxsize=1, retries=False, timeout=CLIENT_TIMEOUT_S
        )

    def run(self) -> None:
        """Ask until stopped."""
        actions = {
            self._create: 25,
            self._create_many: 5,
            self._update: 25,
            self._delete: 5,
            self._stale: 3,
            self._get: 17,
            self._list: 8,
            self.sync: 12,
        }
        while not self._stopped.wait(PAUSE_S):
            self._random.choices(list(actions), list(actions.values()))[0]()

    def sync(self) -> bool:
        """Take the next changes into the mirror; returns whether there are more."""
        answer = self._ask("GET", f"/changes?since={self._since}&limit=500", {200})
        if answer is None:
            return True
        body = answer[1]
        self.mirror |= {task["id"]: Stored(task["title"], task["rev"], False) for task in body["tasks"]}
        self.mirror |= {task["id"]: None for task in body["deleted"]}
        self._since = body["rev"]
        return bool(body["more"])

    def sync_all(self, anew: bool = False) -> dict[str, Stored | None] | None:
        """The mirror after all changes, or one made anew; a deleted task is None there."""
        if anew:
            self.mirror, self._since = {}, 0
        for _ in range(20):
            if not self.sync():
                return dict(self.mirror)
        self.mistakes.append("the changes cannot be read to their end")
        return None

    def _create(self) -> None:
        # What was not acknowledged is sent again with its id, as the contract invites to.
        task_id, title = self._creating = self._creating or (str(uuid4()), self._title())
        statuses = {200, 201} if self._tried else {201}
        answer = self._ask("POST", "", statuses, {"id": task_id, "title": title})
        self._tried = answer is None
        if answer:
            self._creating = None
            self.tasks[task_id] = Known(title, self._acknowledge(answer[1]["rev"]))

    def _create_many(self) -> None:
        # A batch that was not acknowledged was done as a whole, or not at all.
        self._batch = self._batch or [(str(uuid4()), self._title()) for _ in range(5)]
        operations = [{"op": "create", "task": {"id": id_, "title": title}} for id_, title in self._batch]
        answer = self._ask("POST", "/batch", {200}, {"operations": operations})
        if answer is None:
            self._batch_tried = True
            return
        results = answer[1]["results"]
        statuses = {result["status"] for result in results}
        if statuses != {201} and not (self._batch_tried and statuses == {200}):
            self.mistakes.append(f"a batch was answered with {statuses}")
        for (task_id, title), result in zip(self._batch, results, strict=True):
            self.tasks[task_id] = Known(title, self._acknowledge(result["task"]["rev"]))
        self._batch, self._batch_tried = [], False

    def _update(self) -> None:
        if picked := self._pick():
            task_id, task = picked
            title = self._title()
            answer = self._write(task_id, task, "PUT", {"title": title}, (title, False))
            if answer and answer[0] == 200:
                task.know(title, self._acknowledge(answer[1]["rev"]))

    def _delete(self) -> None:
        if picked := self._pick():
            task_id, task = picked
            answer = self._write(task_id, task, "DELETE", None, (task.title, True))
            if answer and answer[0] == 204:
                self.acknowledged += 1
                task.know(task.title, task.rev, deleted=True)

    def _write(
        self, task_id: str, task: Known, method: str, body: Any, outcome: tuple[str, bool]
    ) -> tuple[int, Any] | None:
        success = 200 if body else 204
        # One that was not answered may have been done, and then the rev has moved on.
        statuses = {success, 404, 412} if task.unsure else {success}
        answer = self._ask(method, f"/{task_id}", statuses, body, {"If-Match": f'"{task.rev}"'})
        if answer is None:
            task.unsure.append(outcome)
        elif answer[0] != success:
            self._look(task_id, task)
        return answer

    def _stale(self) -> None:
        if picked := self._pick():
            task_id, task = picked
            statuses = {404, 412} if task.unsure else {412}
            self._ask("PUT", f"/{task_id}", statuses, {"title": "stale"}, {"If-Match": '"0"'})

    def _get(self) -> None:
        if picked := self._pick():
            self._look(
                *picked, {"If-None-Match": f'"{picked[1].rev}"'} if self._random.random() < 0.5 else {}
            )

    def _look(self, task_id: str, task: Known, condition: Mapping[str, str] | None = None) -> None:
        statuses = {304} if condition else {200}
        answer = self._ask(
            "GET", f"/{task_id}", {200, 304, 404} if task.unsure else statuses, None, condition
        )
        if not answer or answer[0] == 304:
            return
        body = answer[1]
        found = Stored(body["title"], body["rev"], False) if answer[0] == 200 else None
        if not task.is_kept_as(found or Stored(task.title, task.rev + 1, True)):
            self.mistakes.append(f"{task_id} was acknowledged as {task} and read as {found}")
        elif found is None:
            task.know(task.title, task.rev, deleted=True)
        elif found.rev > task.rev:
            task.know(found.title, found.rev)

    def _list(self) -> None:
        self._ask("GET", "?limit=20", {200})

    def _pick(self) -> tuple[str, Known] | None:
        # One of the last: a user goes back to what is new.
        recent = [(task_id, task) for task_id, task in list(self.tasks.items())[-20:] if not task.deleted]
        return self._random.choice(recent) if recent else None

    def _title(self) -> str:
        return f"{self.user} {self._random.getrandbits(64):x}"

    def _acknowledge(self, rev: int) -> int:
        self.acknowledged += 1
        self.revs.append(rev)
        return rev

    def _ask(
        self,
        method: str,
        path: str,
        expected: Iterable[int],
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any] | None:
        """The status and the body of an answer; None for one that was not served."""
        began = time.monotonic()
        data = None if body is None else json.dumps(body)
        status = 0
        try:
            response = self._pool.request(
                method, PATH + path, body=data, headers={**self._headers, **(headers or {})}
            )
            status, outcome = response.status, str(response.status)
        except urllib3.exceptions.NewConnectionError:
            outcome = "refused"
        except urllib3.exceptions.TimeoutError:
            outcome = "unanswered"
        except urllib3.exceptions.ProtocolError:
            outcome = "cut off"
        self.answers.append(Answer(self.user, method != "GET", outcome, began, time.monotonic()))
        if status in expected:
            return status, response.json() if status in (200, 201) else None
        if status == 503 and not response.headers.get("Retry-After"):
            self.mistakes.append(f"{method} {path}: 503 without Retry-After")
        if status not in (0, 503):
            self.mistakes.append(f"{method} {path}: {status} instead of {expected}: {response.data[:300]!r}")
        return None


class Load:
    """Clients of a service at work; `fault_over()` tells them when it has to serve them again."""

    def __init__(self, port: int, users: Iterable[str], secret: str) -> None:
        self._stopped = threading.Event()
        # Two for each user, so that they wait for each other's locks.
        self.clients = [Client(port, user, secret, self._stopped) for user in users for _ in range(2)]
        self.over = 0.0

    def start(self) -> None:
        """Start the clients, and wait until each is served."""
        for client in self.clients:
            client.start()
        self.until(lambda: all(sum(a.good for a in client.answers) > 10 for client in self.clients), 20)

    def stop(self) -> None:
        """Let the clients end what they have begun."""
        self._stopped.set()
        for client in self.clients:
            client.join(2 * CLIENT_TIMEOUT_S)

    def fault_over(self) -> None:
        """From now on everything has to be served."""
        self.over = time.monotonic()

    def settle(self) -> None:
        """Wait until each client was served many times in a row."""
        self.until(lambda: all(self._is_settled(client.answers) for client in self.clients), 15)

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for a condition, at most so long."""
        if not wait_until(condition, seconds):
            raise AssertionError(f"not so within {seconds} s")

    def last(self, seconds: float) -> None:
        """Let the fault last so long."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, seconds + 1)

    def unserved(self, times: int) -> bool:
        """Whether each client was not served so many times."""
        return all(sum(not a.good for a in client.answers) >= times for client in self.clients)

    def served(self, times: int) -> Callable[[], bool]:
        """Whether so many more requests were served than now."""
        goal = self._count_good() + times
        return lambda: self._count_good() >= goal

    def seconds_until_whole(self) -> float:
        """From the end of the fault until each client was served and not refused again."""
        return max(self._whole(client.answers) for client in self.clients) - self.over

    def _whole(self, answers: list[Answer]) -> float:
        after = [answer for answer in answers if answer.ended > self.over]
        bad = [index for index, answer in enumerate(after) if not answer.good]
        good = after[bad[-1] + 1 :] if bad else after
        return good[0].ended if good else float("inf")

    def _is_settled(self, answers: list[Answer]) -> bool:
        last = answers[-25:]
        return len(last) == 25 and last[0].began > self.over and all(answer.good for answer in last)

    def _count_good(self) -> int:
        return sum(answer.good for client in self.clients for answer in client.answers)
