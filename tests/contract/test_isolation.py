"""Nobody's tasks can be reached, changed or guessed at by another."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.contract.expect import (
    NEVER_WAS,
    NO_TASK,
    NO_TOKEN,
    USER,
    complete,
    create,
    each_mount,
    expect_problem,
    get,
    rev,
    statements,
    table,
    without_request_id,
)
from tests.mounts import Mount
from tests.people import Person

BELONGS = "These tasks belong to another user."
CALLS: dict[str, Callable[[Mount, Person, str], TestResponse]] = {
    "get": lambda mount, user, id_: user.get(mount.path(user.id, f"/{id_}")),
    "head": lambda mount, user, id_: user.request("HEAD", mount.path(user.id, f"/{id_}")),
    "put": lambda mount, user, id_: user.put(mount.path(user.id, f"/{id_}"), {"title": "mine now"}),
    "put nothing": lambda mount, user, id_: user.put(mount.path(user.id, f"/{id_}"), {}),
    "delete": lambda mount, user, id_: user.delete(mount.path(user.id, f"/{id_}")),
    "complete": complete,
}
each_call = pytest.mark.parametrize("call", list(CALLS.values()), ids=list(CALLS))
USER_ROUTES = (
    ("GET", ""),
    ("HEAD", ""),
    ("POST", ""),
    ("GET", "/{id}"),
    ("HEAD", "/{id}"),
    ("PUT", "/{id}"),
    ("DELETE", "/{id}"),
    ("PATCH", "/{id}/complete"),
)


@each_mount
@each_call
def test_bob_cannot_tell_alices_task_from_one_that_never_was(
    mount: Mount, call: Callable[[Mount, Person, str], TestResponse], alice: Person, bob: Person
) -> None:
    anothers, deleted = create(mount, alice)["id"], create(mount, bob)["id"]
    assert bob.delete(mount.path("bob", f"/{deleted}")).status_code == 204
    kinds = {
        "never was": NEVER_WAS,
        "another's": anothers,
        "another's in upper case": anothers.upper(),
        "deleted": deleted,
        "no UUID": "nonsense",
        "no dashes": anothers.replace("-", ""),
        "braces": f"%7B{anothers}%7D",
        "URN": f"urn:uuid:{anothers}",
        "NUL": "%00",
        "no UTF-8": "%FF",
        "nil": str(uuid.UUID(int=0)),
        "number": "1",
    }
    answers = {kind: call(mount, bob, task_id) for kind, task_id in kinds.items()}
    for answer in answers.values():
        assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    if call is not CALLS["head"]:
        expect_problem(answers["never was"], 404, "not_found", NO_TASK, v1=mount.enveloped)
        wanted = without_request_id(answers["never was"])
        assert {kind: without_request_id(answer) for kind, answer in answers.items()} == dict.fromkeys(
            kinds, wanted
        )
    names = {frozenset(answer.headers.keys()) for answer in answers.values()}
    assert len(names) == 1


@each_mount
@each_call
def test_bobs_calls_leave_alices_task_as_it_was(
    mount: Mount, call: Callable[[Mount, Person, str], TestResponse], alice: Person, bob: Person
) -> None:
    task = create(mount, alice)
    assert call(mount, bob, task["id"]).status_code == 404
    assert get(mount, alice, task["id"]) == task
    assert (rev(alice), rev(bob)) == (1, 0)


@each_mount
@table
@pytest.mark.parametrize("query", ["", "?completed=false", "?limit=500"])
def test_a_list_holds_the_tokens_users_tasks_alone(
    mount: Mount, query: str, alice: Person, bob: Person
) -> None:
    hers, his = create(mount, alice, "hers"), create(mount, bob, "his")
    assert mount.tasks(alice.get(mount.path("alice", query))) == [hers]
    assert mount.tasks(bob.get(mount.path("bob", query))) == [his]


@each_mount
def test_user_ids_that_differ_in_letter_case_or_accents_are_different_people(
    mount: Mount, person: Callable[..., Person]
) -> None:
    people = [person(user_id) for user_id in ("ann", "Ann", "ANN", "ánn", "a\u0301nn", "ann ")]
    tasks = [create(mount, user) for user in people]
    assert [mount.tasks(user.get(mount.path(user.id))) for user in people] == [[task] for task in tasks]


@each_mount
def test_each_user_counts_their_own_writes(mount: Mount, alice: Person, bob: Person) -> None:
    assert [create(mount, user)["rev"] for user in (alice, bob, alice, bob, bob)] == [1, 1, 2, 2, 3]


@table
@pytest.mark.parametrize(("method", "rest"), USER_ROUTES)
def test_a_path_that_names_another_user_is_403_before_anything_is_read(
    method: str, rest: str, alice: Person, bob: Person
) -> None:
    his = create(USER, bob)["id"]
    paths = [
        USER.path(owner, rest.replace("{id}", task_id) + query)
        for owner in ("bob", "nobody", "ALICE", "alice%20", "auth0%7C5f")
        for task_id in (his, NEVER_WAS, "nonsense")
        for query in ("", "?x=1")
    ]
    bodies: tuple[dict[str, Any], ...] = (
        {},
        {"json": {"title": "", "completed": 1}},
        {"data": b"{", "content_type": "application/json"},
        {"data": b"{}", "content_type": "text/plain"},
    )
    with statements() as seen:
        answers = [alice.request(method, path, **body) for path in paths for body in bodies]
    assert seen == []
    assert {answer.status_code for answer in answers} == {403}
    if method != "HEAD":
        expect_problem(answers[0], 403, "forbidden", BELONGS, v1=False)
        assert {without_request_id(answer) for answer in answers} == {without_request_id(answers[0])}


@table
@pytest.mark.parametrize(("method", "rest"), USER_ROUTES[2:])
def test_a_missing_token_is_401_even_where_the_path_and_the_body_are_wrong(
    method: str, rest: str, person: Callable[..., Person]
) -> None:
    client = person("alice").client
    address = USER.path("bob", rest.replace("{id}", "nonsense") + "?x=1")
    answer = client.open(address, method=method, data=b"{", content_type="application/json")
    assert answer.status_code == 401
    if method != "HEAD":
        expect_problem(answer, 401, "unauthorized", NO_TOKEN, v1=False)


@each_mount
def test_a_missing_token_is_401_before_a_task_is_looked_up(mount: Mount, alice: Person) -> None:
    task_id = create(mount, alice)["id"]
    with statements() as seen:
        answers = [alice.client.get(mount.path(rest=f"/{i}")) for i in (task_id, NEVER_WAS, "nonsense")]
    assert seen == []
    for answer in answers:
        expect_problem(answer, 401, "unauthorized", NO_TOKEN, v1=mount.enveloped)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_method_that_a_route_lacks_is_405_on_anothers_path_too(alice: Person) -> None:
    assert alice.patch("/api/bob/tasks", {}).status_code == 405
