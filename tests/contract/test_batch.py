"""A batch: the results of single requests, in one transaction."""

import uuid
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from werkzeug.test import TestResponse

from tests.contract.expect import (
    API,
    NEVER_WAS,
    NO_TASK,
    create,
    each_mount,
    expect_problem,
    get,
    nothing_written,
    rev,
    table,
)
from tests.mounts import Mount
from tests.people import Person

MIB = 1024 * 1024
CHANGED = "The task was changed meanwhile; fetch it again."
UNKNOWN = "is not a field that can be sent here."
EMPTY_TITLE = [{"pointer": "/title", "code": "required", "detail": "must not be empty."}]


def send(mount: Mount, person: Person, *operations: Any, **more: Any) -> TestResponse:
    return person.post(mount.path(person.id, "/batch"), {"operations": operations, **more})


def results(mount: Mount, person: Person, *operations: Any) -> list[dict[str, Any]]:
    response = send(mount, person, *operations)
    assert response.status_code == 200, response.text
    assert response.headers["Cache-Control"] == "private, no-cache"
    body = response.get_json()
    assert body.keys() == {"results", "rev"}
    assert body["rev"] == rev(person)
    found: list[dict[str, Any]] = body["results"]
    return found


@each_mount
def test_each_operation_has_the_result_of_its_own_request(mount: Mount, alice: Person) -> None:
    bought = create(mount, alice, "Bread")
    task_id = str(uuid.uuid4())
    made, changed, refused, deleted, restored, missing, invalid = results(
        mount,
        alice,
        {"op": "create", "task": {"id": task_id, "title": "Buy milk"}},
        {"op": "update", "id": bought["id"], "rev": bought["rev"], "task": {"completed": True}},
        {"op": "update", "id": bought["id"], "rev": bought["rev"], "task": {"title": "Stale"}},
        {"op": "delete", "id": task_id.upper()},
        {"op": "restore", "id": task_id},
        {"op": "delete", "id": "no-uuid"},
        {"op": "create", "task": {"title": " "}},
    )
    assert (made["status"], made["task"]["title"]) == (201, "Buy milk")
    assert changed == {"status": 200, "task": get(mount, alice, bought["id"])}
    assert changed["task"]["completed"] is True
    assert deleted == {"status": 204}
    assert restored == {"status": 200, "task": get(mount, alice, task_id)}
    assert restored["task"] == made["task"] | {key: restored["task"][key] for key in ("rev", "updated_at")}
    for result, status, code, detail, errors in (
        (refused, 412, "precondition_failed", CHANGED, None),
        (missing, 404, "not_found", NO_TASK, None),
        (invalid, mount.invalid, "validation_error", "title: must not be empty.", EMPTY_TITLE),
    ):
        problem = result["problem"]
        assert result == {"status": status, "problem": problem}
        assert (problem["status"], problem["code"], problem["detail"]) == (status, code, detail)
        assert problem.get("errors") == errors
        assert ("error" in problem) == mount.enveloped


@each_mount
def test_with_atomic_the_first_refused_operation_undoes_all(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    with nothing_written(mount, alice):
        response = send(
            mount,
            alice,
            {"op": "create", "task": {"title": "Bread"}},
            {"op": "update", "id": task["id"], "rev": task["rev"], "task": {"title": "Oat milk"}},
            {"op": "delete", "id": task["id"], "rev": task["rev"]},
            {"op": "create", "task": {"title": ""}},
            atomic=True,
        )
    assert response.headers["ETag"] == f'"{task["rev"] + 3}"'
    body = response.get_json()
    assert body.pop("index") == 2
    response.data = alice.client.application.json.dumps(body).encode()
    expect_problem(response, 412, "precondition_failed", CHANGED, v1=mount.enveloped)


@each_mount
def test_with_atomic_a_batch_of_which_nothing_is_refused_is_done(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    operations = [{"op": "delete", "id": task["id"]}, {"op": "create", "task": {"title": "Bread"}}]
    assert send(mount, alice, *operations, atomic=True).status_code == 200
    assert [task["title"] for task in mount.tasks(alice.get(mount.path(alice.id)))] == ["Bread"]


@each_mount
def test_a_batch_that_is_sent_again_does_no_harm(mount: Mount, alice: Person) -> None:
    operations = [{"op": "create", "task": {"id": str(uuid.uuid4()), "title": title}} for title in "abc"]
    first = results(mount, alice, *operations)
    with nothing_written(mount, alice):
        again = results(mount, alice, *operations)
    assert [result["status"] for result in first] == [201, 201, 201]
    assert again == [{"status": 200, "task": result["task"]} for result in first]


@each_mount
def test_one_task_may_be_written_several_times_in_a_batch(mount: Mount, alice: Person) -> None:
    task_id = str(uuid.uuid4())
    done = results(
        mount,
        alice,
        {"op": "create", "task": {"id": task_id, "title": "a"}},
        {"op": "create", "task": {"title": "between"}},
        *({"op": "update", "id": task_id, "task": {"title": title}} for title in "bcc"),
        {"op": "delete", "id": task_id},
        {"op": "create", "task": {"id": task_id, "title": "d"}},
    )
    assert [result["status"] for result in done] == [201, 201, 200, 200, 200, 204, 409]
    assert [result["task"]["title"] for result in done[:5]] == ["a", "between", "b", "c", "c"]
    revs = [result["task"]["rev"] for result in done[:5]]
    assert revs[:4] == sorted(set(revs))
    assert revs[4] == revs[3]


@each_mount
def test_of_a_user_who_never_wrote_a_batch_of_changes_stores_nothing(mount: Mount, alice: Person) -> None:
    done = results(
        mount,
        alice,
        {"op": "update", "id": NEVER_WAS, "task": {"title": "a"}},
        {"op": "delete", "id": NEVER_WAS},
        {"op": "create", "task": {"title": ""}},
    )
    assert [result["status"] for result in done] == [404, 404, mount.invalid]
    assert alice.get("/api/me").get_json()["created_at"] is None


def test_the_id_of_a_forgotten_task_can_be_used_at_once(app: Flask, alice: Person) -> None:
    task = create(API, alice)
    assert alice.delete("/api/me").status_code == 204
    (made,) = results(API, alice, {"op": "create", "task": {"id": task["id"], "title": "Bread"}})
    assert (made["status"], made["task"]["title"]) == (201, "Bread")
    assert made["task"]["rev"] > task["rev"]


@each_mount
def test_a_batch_reaches_no_task_of_another_user(mount: Mount, alice: Person, bob: Person) -> None:
    task = create(mount, alice)
    with nothing_written(mount, alice):
        done = results(
            mount,
            bob,
            {"op": "update", "id": task["id"], "task": {"title": "Mine"}},
            {"op": "delete", "id": task["id"], "rev": task["rev"]},
            {"op": "create", "task": {"id": task["id"], "title": "Bread"}},
            {"op": "delete", "id": task["id"]},
            {"op": "restore", "id": task["id"]},
        )
    assert [result["status"] for result in done] == [404, 404, 201, 204, 200]


INVALID: list[tuple[Any, str, str, str]] = [
    ({"op": "upsert"}, "/op", "invalid", "must be one of create, update, delete, restore."),
    ({"op": ["create"]}, "/op", "invalid_type", "must be a string."),
    ({"id": NEVER_WAS}, "/op", "required", "is required."),
    ({"op": "create"}, "/task", "required", "is required."),
    ({"op": "create", "task": ["title"]}, "/task", "invalid_type", "must be a JSON object."),
    ({"op": "create", "task": None}, "/task", "invalid_type", "must be a JSON object."),
    (
        {"op": "create", "task": {}, "rev": 1},
        "/rev",
        "unknown_field",
        "is not a field that can be sent here.",
    ),
    ({"op": "update", "id": NEVER_WAS}, "/task", "required", "is required."),
    ({"op": "update", "task": {}}, "/id", "required", "is required."),
    ({"op": "delete", "id": 7}, "/id", "invalid_type", "must be a string."),
    ({"op": "delete", "id": None}, "/id", "invalid_type", "must be a string."),
    ({"op": "restore"}, "/id", "required", "is required."),
    *(
        (
            {"op": "delete", "id": NEVER_WAS, "rev": rev},
            "/rev",
            "out_of_range",
            "must be a whole number from 1 to 9007199254740991.",
        )
        for rev in (0, -1, 1.5, "1", True, None, 2**53, 1e300)
    ),
    ("create", "", "invalid_type", "must be a JSON object."),
    (None, "", "invalid_type", "must be a JSON object."),
]


@each_mount
@table
@pytest.mark.parametrize(("operation", "place", "code", "detail"), INVALID)
def test_an_invalid_operation_is_pointed_to_and_nothing_is_done(
    mount: Mount, operation: Any, place: str, code: str, detail: str, alice: Person
) -> None:
    with nothing_written(mount, alice):
        response = send(mount, alice, {"op": "create", "task": {"title": "Bread"}}, operation)
    pointer = f"/operations/1{place}"
    errors = [{"pointer": pointer, "code": code, "detail": detail}]
    sentence = f"{pointer[1:]}: {detail}"
    expect_problem(response, mount.invalid, "validation_error", sentence, errors, v1=mount.enveloped)


@each_mount
@table
@pytest.mark.parametrize(
    ("body", "pointer", "code", "detail"),
    [
        ({}, "/operations", "required", "is required."),
        ({"operations": []}, "/operations", "required", "must not be empty."),
        ({"operations": None}, "/operations", "invalid_type", "must be an array."),
        ({"operations": {}}, "/operations", "invalid_type", "must be an array."),
        ({"operations": [None] * 101}, "/operations", "too_long", "must be at most 100 items."),
        (
            {"operations": [{"op": "delete", "id": NEVER_WAS}], "atomic": "yes"},
            "/atomic",
            "invalid_type",
            "must be true or false.",
        ),
        (
            {"operations": [{"op": "delete", "id": NEVER_WAS}], "atomics": True},
            "/atomics",
            "unknown_field",
            UNKNOWN,
        ),
    ],
)
def test_an_invalid_batch_is_refused_as_a_whole(
    mount: Mount, body: Any, pointer: str, code: str, detail: str, alice: Person
) -> None:
    response = alice.post(mount.path(alice.id, "/batch"), body)
    errors = [{"pointer": pointer, "code": code, "detail": detail}]
    sentence = f"{pointer[1:]}: {detail}"
    expect_problem(response, mount.invalid, "validation_error", sentence, errors, v1=mount.enveloped)


@each_mount
def test_a_batch_holds_a_hundred_of_the_longest_tasks(mount: Mount, alice: Person) -> None:
    task = {
        "title": "😀" * 200,
        mount.text_field: "😀" * mount.text_limit,
        "position": "a" * 100,
    }
    done = results(mount, alice, *[{"op": "create", "task": task}] * 100)
    assert [result["status"] for result in done] == [201] * 100


@each_mount
def test_a_batch_of_more_than_a_mebibyte_is_413(mount: Mount, alice: Person) -> None:
    body = b'{"operations": [{"op": "create", "task": {"title": "a"}}]}'
    path = mount.path(alice.id, "/batch")
    for padding, status in ((MIB - len(body), 200), (MIB - len(body) + 1, 413)):
        response = alice.request("POST", path, data=body + b" " * padding, content_type="application/json")
        assert response.status_code == status
    expect_problem(
        response, 413, "payload_too_large", "The body is larger than 1024 KiB.", v1=mount.enveloped
    )


@each_mount
def test_the_operations_have_a_metric_of_their_own(mount: Mount, alice: Person) -> None:
    def counted(operation: str, status: int) -> float:
        labels = {"operation": operation, "status": str(status)}
        return REGISTRY.get_sample_value("batch_operations_total", labels) or 0

    before = counted("create", 201), counted("delete", 404)
    assert send(
        mount,
        alice,
        {"op": "create", "task": {"title": "a"}},
        {"op": "create", "task": {"title": "b"}},
        {"op": "delete", "id": NEVER_WAS},
    )
    assert (counted("create", 201), counted("delete", 404)) == (before[0] + 2, before[1] + 1)


IDS = [str(uuid.UUID(int=n + 1)) for n in range(4)]
tasks = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["milk", "tea", " "]),
        "completed": st.booleans(),
        "tags": st.sampled_from([[], ["home"]]),
    },
)
any_operation = st.one_of(
    st.fixed_dictionaries({"op": st.just("create"), "task": tasks, "id": st.sampled_from(IDS)}),
    st.fixed_dictionaries(
        {"op": st.sampled_from(["update", "delete", "restore"]), "task": tasks, "id": st.sampled_from(IDS)},
        # How far behind the task's own rev.
        optional={"behind": st.integers(0, 1)},
    ),
)


def single(mount: Mount, person: Person, operation: dict[str, Any]) -> TestResponse:
    """The request that an operation stands for."""
    path = mount.path(person.id, f"/{operation.get('id')}")
    headers = {"If-Match": f'"{operation["rev"]}"'} if "rev" in operation else {}
    if operation["op"] == "create":
        return person.post(mount.path(person.id), operation["task"])
    if operation["op"] == "update":
        return person.patch(path, operation["task"], headers=headers)
    if operation["op"] == "delete":
        return person.delete(path, headers=headers)
    return person.post(f"{path}/restore", headers=headers)


def comparable(value: Any) -> Any:
    """A body without what differs between two users and two moments."""
    if isinstance(value, dict):
        volatile = {"rev", "user_id", "request_id", "created_at", "updated_at", "completed_at"}
        return {key: comparable(item) for key, item in value.items() if key not in volatile}
    return value


def for_person(mount: Mount, person: Person, drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The operations of a batch, with revs relative to those that the person's tasks have before it."""
    operations = []
    for operation in drawn:
        op, task_id = operation["op"], operation["id"]
        if op == "create":
            operations.append({"op": op, "task": {**operation["task"], "id": task_id}})
            continue
        made = {"op": op, "id": task_id} | ({"task": operation["task"]} if op == "update" else {})
        found = person.get(mount.path(person.id, f"/{task_id}"))
        if "behind" in operation and found.status_code == 200:
            made["rev"] = mount.task(found)["rev"] - operation["behind"]
        operations.append(made)
    return operations


def everything(mount: Mount, person: Person) -> list[list[str]]:
    lists = [mount.tasks(person.get(mount.path(person.id, query))) for query in ("", "?deleted=true")]
    return [sorted(str(comparable(task)) for task in tasks) for tasks in lists]


@each_mount
def test_random_batches_do_what_single_requests_do(
    mount: Mount, person: Any, pytestconfig: pytest.Config
) -> None:
    @settings(
        max_examples=40 if pytestconfig.getoption("full_matrix") else 10,
        deadline=None,
        derandomize=not pytestconfig.getoption("full_matrix"),
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.lists(any_operation, min_size=1, max_size=8), min_size=1, max_size=3))
    def check(batches: list[list[dict[str, Any]]]) -> None:
        one, other = (person(f"{name}-{uuid.uuid4()}") for name in ("one", "other"))
        for user in (one, other):
            # So that each drawn task has a rev of at least 2.
            create(mount, user, id=NEVER_WAS)
        for drawn in batches:
            alone = for_person(mount, other, drawn)
            for operation, result in zip(
                alone, results(mount, one, *for_person(mount, one, drawn)), strict=True
            ):
                response = single(mount, other, operation)
                assert result["status"] == response.status_code
                if "task" in result:
                    assert comparable(result["task"]) == comparable(mount.task(response))
                elif "problem" in result:
                    assert comparable(result["problem"]) == comparable(response.get_json())
            assert everything(mount, one) == everything(mount, other)

    check()
