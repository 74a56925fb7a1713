"""The life of a task, on every mount and on both databases."""

import re
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.expect import (
    API,
    NO_TASK,
    V1,
    complete,
    create,
    each_complete,
    each_mount,
    expect_invalid,
    expect_problem,
    get,
    nothing_written,
    table,
)
from tests.mounts import MOUNTS, Mount
from tests.people import Person

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UUID_7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MOUNT_PAIRS = pytest.mark.parametrize(
    ("made_on", "seen_on"), list(product(MOUNTS, MOUNTS)), ids=lambda mount: mount.name
)


@each_mount
def test_a_created_task_is_answered_whole(mount: Mount, alice: Person) -> None:
    response = alice.post(mount.path(), {"title": "  Buy milk ", mount.text_field: "2 l"})
    task = mount.task(response)
    assert response.status_code == 201
    assert response.headers["Location"] == mount.path(rest=f"/{task['id']}")
    assert response.content_type == "application/json"
    owner = {"user_id": "alice"} if mount.shows_owner else {}
    assert task == {
        "id": task["id"],
        **owner,
        "title": "Buy milk",
        mount.text_field: "2 l",
        "completed": False,
        "completed_at": None,
        "priority": "medium",
        "due_date": None,
        "tags": [],
        "position": None,
        "rev": 1,
        "created_at": task["created_at"],
        "updated_at": task["created_at"],
    }


@each_mount
def test_a_task_is_wrapped_or_bare_as_the_mount_has_it(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    body = alice.get(mount.path(rest=f"/{task['id']}")).get_json()
    assert body == ({"task": task} if mount.enveloped else task)


@each_mount
def test_what_is_left_out_on_create_has_its_default(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    assert (task[mount.text_field], task["completed"]) == (None, False)


@each_mount
def test_a_task_can_be_created_completed(mount: Mount, alice: Person) -> None:
    assert create(mount, alice, completed=True)["completed"] is True


@each_mount
def test_a_server_made_id_is_of_version_7_and_times_are_utc(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    assert UUID_7.fullmatch(task["id"])
    assert RFC_3339.fullmatch(task["created_at"])
    assert RFC_3339.fullmatch(task["updated_at"])


@each_mount
def test_a_task_is_read_as_it_was_created(mount: Mount, alice: Person) -> None:
    task = create(mount, alice, completed=True, **{mount.text_field: " as sent\n"})
    assert get(mount, alice, task["id"]) == task


@each_mount
def test_an_id_in_upper_case_is_the_same_id(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    assert get(mount, alice, task["id"].upper()) == task


@each_mount
@pytest.mark.parametrize("field", ["title", "text", "completed"])
def test_put_changes_the_field_that_is_present_and_leaves_the_others(
    mount: Mount, field: str, alice: Person
) -> None:
    task = create(mount, alice, **{mount.text_field: "2 l"})
    change: dict[str, dict[str, Any]] = {
        "title": {"title": "Buy tea"},
        "text": {mount.text_field: "5 g"},
        "completed": {"completed": True},
    }
    response = alice.put(mount.path(rest=f"/{task['id']}"), change[field])
    changed = mount.task(response)
    assert response.status_code == 200
    stamps = {"rev": 2, "updated_at": changed["updated_at"]}
    if field == "completed":
        stamps["completed_at"] = changed["updated_at"]
    assert changed == task | change[field] | stamps
    assert changed["updated_at"] > task["updated_at"]
    assert get(mount, alice, task["id"]) == changed


@each_mount
@table
@pytest.mark.parametrize("cleared", [None, ""])
def test_put_clears_the_text(mount: Mount, cleared: str | None, alice: Person) -> None:
    task = create(mount, alice, **{mount.text_field: "2 l"})
    response = alice.put(mount.path(rest=f"/{task['id']}"), {mount.text_field: cleared})
    assert mount.task(response)[mount.text_field] == cleared


@each_mount
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_whole_task_can_be_sent_back_as_it_came_and_nothing_changes(
    mount: Mount, method: str, alice: Person
) -> None:
    task = create(mount, alice, completed=True, **{mount.text_field: "2 l"})
    with nothing_written(mount, alice):
        response = alice.request(method, mount.path(rest=f"/{task['id']}"), json=task)
        assert (response.status_code, mount.task(response)) == (200, task)


@each_mount
@table
@pytest.mark.parametrize(
    "change",
    [{}, {"title": "Buy milk"}, {"title": " Buy milk\n"}, {"completed": False}, {"TEXT": None}],
    ids=str,
)
def test_a_put_that_changes_nothing_keeps_rev_and_updated_at(
    mount: Mount, change: dict[str, Any], alice: Person
) -> None:
    task = create(mount, alice)
    body = {mount.text_field if name == "TEXT" else name: value for name, value in change.items()}
    with nothing_written(mount, alice):
        response = alice.put(mount.path(rest=f"/{task['id']}"), body)
        assert (response.status_code, mount.task(response)) == (200, task)


@each_mount
def test_completion_without_a_body_flips(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    done, undone = complete(mount, alice, task["id"]), complete(mount, alice, task["id"])
    assert (done.status_code, undone.status_code) == (200, 200)
    now = mount.task(done)["updated_at"]
    changed = {"completed": True, "completed_at": now, "rev": 2, "updated_at": now}
    assert mount.task(done) == task | changed
    assert (mount.task(undone)["completed"], mount.task(undone)["rev"]) == (False, 3)
    assert get(mount, alice, task["id"]) == mount.task(undone)


@each_complete
def test_completion_with_a_body_sets_and_a_second_time_writes_nothing(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    address = mount.path(rest=f"/{task['id']}/complete")
    for completed in (True, False):
        with nothing_written(mount, alice):
            assert mount.task(alice.patch(address, {"completed": not completed})) == task
        changed = mount.task(alice.patch(address, {"completed": completed}))
        stamp = {name: changed[name] for name in ("rev", "updated_at")}
        stamp["completed_at"] = changed["updated_at"] if completed else None
        assert changed == task | {"completed": completed} | stamp
        assert changed["rev"] > task["rev"]
        task = changed


@each_complete
def test_completion_with_an_empty_object_flips(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    address = mount.path(rest=f"/{task['id']}/complete")
    answers = [mount.task(alice.patch(address, {})) for _ in range(2)]
    assert [(answer["completed"], answer["rev"]) for answer in answers] == [(True, 2), (False, 3)]


@each_complete
def test_completion_with_a_content_type_and_no_body_flips(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    response = alice.patch(mount.path(rest=f"/{task['id']}/complete"), content_type="application/json")
    assert (response.status_code, mount.task(response)["completed"]) == (200, True)


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_a_body_sent_to_toggle_is_ignored(content_type: str | None, alice: Person) -> None:
    task = create(V1, alice)
    address = V1.path(rest=f"/{task['id']}/toggle")
    response = alice.post(address, data=b'{"completed": false', content_type=content_type)
    assert (response.status_code, V1.task(response)["completed"]) == (200, True)


@each_mount
def test_a_deleted_task_is_gone_and_the_second_time_too(mount: Mount, alice: Person) -> None:
    address = mount.path(rest=f"/{create(mount, alice)['id']}")
    first = alice.delete(address)
    assert (first.status_code, first.data) == (204, b"")
    for again in (alice.delete(address), alice.get(address)):
        expect_problem(again, 404, "not_found", NO_TASK, v1=mount.enveloped)
    assert mount.tasks(alice.get(mount.path())) == []


@each_mount
def test_each_write_adds_one_to_rev_and_what_is_refused_writes_nothing(mount: Mount, alice: Person) -> None:
    first, second = create(mount, alice), create(mount, alice)
    address = mount.path(rest=f"/{first['id']}")
    assert (first["rev"], second["rev"]) == (1, 2)
    assert mount.task(alice.put(address, {"title": "Buy tea"}))["rev"] == 3
    assert mount.task(complete(mount, alice, first["id"]))["rev"] == 4
    assert get(mount, alice, second["id"])["rev"] == 2
    assert alice.delete(address).status_code == 204
    with nothing_written(mount, alice):
        assert alice.put(address, {"title": ""}).status_code == mount.invalid
        assert alice.delete(address).status_code == 404
        assert complete(mount, alice, first["id"]).status_code == 404
    assert create(mount, alice)["rev"] > 5


@table
@MOUNT_PAIRS
def test_a_task_made_on_one_mount_is_the_same_on_another(
    made_on: Mount, seen_on: Mount, alice: Person
) -> None:
    made = create(made_on, alice, completed=True, **{made_on.text_field: "2 l"})
    seen = get(seen_on, alice, made["id"])
    shared = ("id", "title", "completed", "rev", "created_at", "updated_at")
    assert {name: seen[name] for name in shared} == {name: made[name] for name in shared}
    assert seen[seen_on.text_field] == "2 l"
    assert seen_on.tasks(alice.get(seen_on.path())) == [seen]


@table
@MOUNT_PAIRS
def test_a_task_deleted_on_one_mount_is_gone_on_another(
    made_on: Mount, seen_on: Mount, alice: Person
) -> None:
    made = create(made_on, alice)
    assert alice.delete(made_on.path(rest=f"/{made['id']}")).status_code == 204
    assert alice.get(seen_on.path(rest=f"/{made['id']}")).status_code == 404


def test_long_details_of_v1_are_shown_on_api_and_stay_when_the_put_there_leaves_them_out(
    alice: Person,
) -> None:
    task_id = create(V1, alice, details="d" * 2000)["id"]
    assert get(API, alice, task_id)["description"] == "d" * 2000
    response = alice.put(API.path(rest=f"/{task_id}"), {"title": "Buy tea"})
    assert response.status_code == 200
    assert (response.get_json()["title"], response.get_json()["description"]) == ("Buy tea", "d" * 2000)


def test_long_details_of_v1_that_are_sent_back_on_api_are_too_long_there(alice: Person) -> None:
    task_id = create(V1, alice, details="d" * 2000)["id"]
    response = alice.put(API.path(rest=f"/{task_id}"), get(API, alice, task_id))
    expect_invalid(response, API, "pointer", "description", "too_long", "must be at most 1000 characters.")


@each_mount
@table
@pytest.mark.parametrize(
    "user_id", ["auth0|5f", "a b", "ü@x", "tasks", "me", "100%", "a+b", "a?b#c", "a\\b", "x" * 255]
)
def test_a_user_id_of_any_characters_has_a_whole_life(
    mount: Mount, user_id: str, person: Callable[..., Person]
) -> None:
    user, path = person(user_id), mount.path(quote(user_id, safe=""))
    response = user.post(path, {"title": "Buy milk"})
    assert response.status_code == 201, response.text
    task = mount.task(response)
    assert task.get("user_id", user_id) == user_id
    one, (method, segment) = f"{path}/{task['id']}", mount.completion
    assert mount.task(user.get(response.headers["Location"])) == task
    assert mount.tasks(user.get(path)) == [task]
    assert mount.task(user.put(one, {"title": "Buy tea"}))["title"] == "Buy tea"
    assert mount.task(user.request(method, f"{one}/{segment}"))["completed"] is True
    assert user.delete(one).status_code == 204
    assert user.get("/api/me").get_json()["id"] == user_id


@pytest.mark.mounts(V1, API)
def test_a_user_id_with_a_slash_works_where_the_path_names_no_user(
    mount: Mount, person: Callable[..., Person]
) -> None:
    user = person("a/b")
    task = create(mount, user)
    assert task.get("user_id", "a/b") == "a/b"
    assert get(mount, user, task["id"]) == task
    assert user.delete(mount.path(rest=f"/{task['id']}")).status_code == 204


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "a%2fb"])
@pytest.mark.parametrize("rest", ["", "/01890a5d-ac96-774b-bcce-b302099a8057"])
def test_a_user_id_with_a_slash_cannot_be_named_in_a_path(
    name: str, rest: str, person: Callable[..., Person]
) -> None:
    assert person("a/b").get(f"/api/{name}/tasks{rest}").status_code == 404
