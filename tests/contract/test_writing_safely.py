"""Versions of tasks and lists, merge patches, retried creates, the trash: the same on each mount."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.maintenance.purge import purge
from tests.conftest import TOUCHES_TASKS
from tests.contract.expect import (
    NEVER_WAS,
    NO_TASK,
    UNQUOTED,
    complete,
    create,
    each_mount,
    expect_invalid,
    expect_names,
    expect_problem,
    get,
    nothing_written,
    rev,
    statements,
    table,
)
from tests.mounts import Mount
from tests.people import Person

OWN_ID = "0198c5a2-7b1e-4c3d-9f00-abcdefabcdef"
MOVED_ON = "The task was changed meanwhile; fetch it again."
IN_THE_TRASH = "A task with this id lies in the trash."
BAD_CURSOR = "is not the cursor of a list with these filters."
MERGE_PATCH = "application/merge-patch+json"

# What can be done to a task under If-Match, by name; each changes the task below.
WRITES = ("put", "patch", "delete", "completion", "restore")
each_write = pytest.mark.parametrize("name", WRITES)


def write(mount: Mount, user: Person, task_id: str, name: str, **headers: str) -> TestResponse:
    """One of WRITES, which changes a task that has the title "Buy milk" (or, to restore, is deleted)."""
    path = mount.path(user.id, f"/{task_id}")
    sent: dict[str, Any] = {"headers": {key.replace("_", "-"): value for key, value in headers.items()}}
    match name:
        case "put" | "patch":
            return user.request(name.upper(), path, json={"title": "Buy tea"}, **sent)
        case "delete":
            return user.delete(path, **sent)
        case "restore":
            return user.post(f"{path}/restore", **sent)
    method, segment = mount.completion
    return user.request(method, f"{path}/{segment}", **sent)


def some_task(mount: Mount, user: Person, name: str) -> dict[str, Any]:
    """A task that the write `name` will change, at rev 3 or later, so that lower revs are stale."""
    for _ in range(2):
        create(mount, user, "other")
    task = create(mount, user)
    if name == "restore":
        assert user.delete(mount.path(user.id, f"/{task['id']}")).status_code == 204
        return trash(mount, user)[0]
    return task


def trash(mount: Mount, user: Person, query: str = "") -> list[dict[str, Any]]:
    response = user.get(mount.path(user.id, f"?deleted=true{query}"))
    assert response.status_code == 200, response.text
    return mount.tasks(response)


def empty_trash(app: Flask) -> int:
    with app.app_context():
        return purge(datetime.now(UTC) + timedelta(minutes=1)).tasks


@each_mount
def test_every_answer_with_one_task_has_its_rev_as_etag(mount: Mount, alice: Person) -> None:
    path = mount.path(rest=f"/{OWN_ID}")
    answers = [
        alice.post(mount.path(), {"title": "Buy milk", "id": OWN_ID}),
        alice.post(mount.path(), {"title": "Buy milk", "id": OWN_ID}),
        alice.get(path),
        alice.request("HEAD", path),
        alice.put(path, {"title": "Buy tea"}),
        alice.patch(path, {"title": "Buy rum"}),
        alice.patch(path, {"title": "Buy rum"}),
        complete(mount, alice, OWN_ID),
        alice.post(f"{path}/restore"),
        alice.delete(path),
        alice.post(f"{path}/restore"),
    ]
    tags = [answer.headers.get("ETag") for answer in answers]
    revs = sorted({int(tag.strip('"')) for tag in tags if tag})
    versions = [tag and revs.index(int(tag.strip('"'))) for tag in tags]
    assert versions == [0, 0, 0, 0, 1, 2, 2, 3, 3, None, 4]
    for answer in answers:
        if answer.data:
            assert f'"{mount.task(answer)["rev"]}"' == answer.headers["ETag"]


@each_mount
def test_every_write_adds_one_to_the_rev_and_stamps_its_task(mount: Mount, alice: Person) -> None:
    one, two = create(mount, alice), create(mount, alice)
    assert (one["rev"], two["rev"]) == (1, 2)
    assert mount.task(write(mount, alice, one["id"], "patch"))["rev"] == 3
    assert get(mount, alice, two["id"])["rev"] == 2
    assert write(mount, alice, two["id"], "delete").status_code == 204
    assert trash(mount, alice)[0]["rev"] == rev(alice) == 4


@each_mount
@table
@each_write
@pytest.mark.parametrize(
    "template", ['"{}"', "*", '"1", "{}"', '"{}","9"', 'W/"1", x, , "{}"', ' "{}" ', '"a,b", "{}"']
)
def test_if_match_with_the_tasks_tag_lets_the_write_through(
    mount: Mount, name: str, template: str, alice: Person
) -> None:
    task = some_task(mount, alice, name)
    response = write(mount, alice, task["id"], name, If_Match=template.format(task["rev"]))
    assert response.status_code == (204 if name == "delete" else 200), response.text
    assert rev(alice) == task["rev"] + 1


STALE = [
    '"1"',
    '"1", "2"',
    'W/"{}"',
    '"1", W/"{}"',
    '{}, "1"',
    '"{}, W/"{}"',
    '"0{}"',
    '"+{}"',
    '"{}.0"',
    '"-{}"',
    '"{}\xb9"',
    '"*"',
    '*, "1"',
    '""',
    '"' + "9" * 18 + '"',
    '"' + "9" * 19 + '"',
    '"' + "9" * 400 + '"',
    '"18446744073709551619"',
    '"x\'OR(1=1)--"',
]
UNREADABLE = [
    "{}",
    "'{}'",
    '"{}',
    '{}"',
    '" {}"',
    '"{}"\xa0',
    '\x85"{}"',
    "\xa0*",
    "*\x85",
    "**",
    'w/"{}"',
    "garbage",
    "",
    ",",
    '"x\' OR 1=1 --"',
]


@each_mount
@each_write
def test_a_write_under_a_stale_tag_is_412_and_changes_nothing(mount: Mount, name: str, alice: Person) -> None:
    task = some_task(mount, alice, name)
    with nothing_written(mount, alice):
        expect_412(write(mount, alice, task["id"], name, If_Match='"1"'), mount, task["rev"])


@each_mount
@table
@each_write
def test_if_match_without_the_tasks_tag_is_412_and_changes_nothing_however_spelled(
    mount: Mount, name: str, alice: Person, subtests: pytest.Subtests
) -> None:
    task = some_task(mount, alice, name)
    with nothing_written(mount, alice):
        for template in STALE:
            with subtests.test(template):
                header = template.replace("{}", str(task["rev"]))
                response = write(mount, alice, task["id"], name, If_Match=header)
                expect_412(response, mount, task["rev"])


@each_mount
@table
@each_write
def test_if_match_without_an_entity_tag_is_400_and_changes_nothing_however_spelled(
    mount: Mount, name: str, alice: Person, subtests: pytest.Subtests
) -> None:
    task = some_task(mount, alice, name)
    with nothing_written(mount, alice):
        for template in UNREADABLE:
            with subtests.test(template):
                header = template.replace("{}", str(task["rev"]))
                response = write(mount, alice, task["id"], name, If_Match=header)
                expect_problem(response, 400, "bad_request", UNQUOTED, v1=mount.enveloped)


@each_mount
@table
@each_write
def test_if_match_takes_a_hundred_entity_tags_and_no_more(mount: Mount, name: str, alice: Person) -> None:
    task = some_task(mount, alice, name)
    tags = [f'"{task["rev"] + n}"' for n in range(101)]
    with nothing_written(mount, alice):
        response = write(mount, alice, task["id"], name, If_Match=", ".join(tags))
        sentence = "If-Match: must name at most 100 entity tags."
        expect_problem(response, 400, "bad_request", sentence, v1=mount.enveloped)
    response = write(mount, alice, task["id"], name, If_Match=", ".join(tags[:100]))
    assert response.status_code == (204 if name == "delete" else 200)


def expect_412(response: TestResponse, mount: Mount, current: int) -> None:
    expect_problem(response, 412, "precondition_failed", MOVED_ON, v1=mount.enveloped)
    assert response.headers["ETag"] == f'"{current}"'


@each_mount
@each_write
def test_a_412_names_the_tag_with_which_the_write_succeeds(mount: Mount, name: str, alice: Person) -> None:
    task = some_task(mount, alice, name)
    refused = write(mount, alice, task["id"], name, If_Match='"1"')
    again = write(mount, alice, task["id"], name, If_Match=refused.headers["ETag"])
    assert again.status_code == (204 if name == "delete" else 200)


@each_mount
@table
@each_write
@pytest.mark.parametrize("what", ["another's", "never was", "no uuid", "deleted"])
def test_a_task_that_is_not_there_is_404_whatever_a_readable_header_says(
    mount: Mount, name: str, what: str, alice: Person, bob: Person
) -> None:
    task_id = {"never was": NEVER_WAS, "no uuid": "x"}.get(what)
    if what == "another's":
        task_id = some_task(mount, bob, name)["id"]
    elif what == "deleted":
        task_id = some_task(mount, alice, "restore")["id"]
        if name == "restore":
            # What can be restored is there; what was forgotten is not.
            assert alice.delete("/api/me").status_code == 204
    for tag in ('"1"', "*", 'W/"1", x'):
        with nothing_written(mount, alice):
            response = write(mount, alice, task_id or "", name, If_Match=tag)
            expect_problem(response, 404, "not_found", NO_TASK, v1=mount.enveloped)
            assert "ETag" not in response.headers
    response = write(mount, alice, task_id or "", name, If_Match="garbage")
    expect_problem(response, 400, "bad_request", UNQUOTED, v1=mount.enveloped)


@each_mount
@table
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("task_id", ["mine", NEVER_WAS, "x"])
def test_a_body_is_judged_before_the_tag_and_the_task(
    mount: Mount, method: str, task_id: str, alice: Person
) -> None:
    task_id = create(mount, alice)["id"] if task_id == "mine" else task_id
    path, stale = mount.path(rest=f"/{task_id}"), {"If-Match": '"7"'}
    response = alice.request(method, path, json={"title": ""}, headers=stale)
    expect_invalid(response, mount, "pointer", "title", "required", "must not be empty.")
    response = alice.request(method, path, data="{", content_type="application/json", headers=stale)
    assert response.status_code == 400
    assert response.get_json()["code"] == "malformed_json"


@each_mount
@pytest.mark.parametrize("name", ["put", "patch"])
def test_a_write_that_changes_nothing_obeys_if_match_as_well(mount: Mount, name: str, alice: Person) -> None:
    create(mount, alice, "other")
    task = create(mount, alice, "Buy tea")
    with nothing_written(mount, alice):
        assert mount.task(write(mount, alice, task["id"], name, If_Match='"2"')) == task
        expect_412(write(mount, alice, task["id"], name, If_Match='"1"'), mount, 2)


@each_mount
@pytest.mark.parametrize("header", ["If-Unmodified-Since", "If-None-Match"])
def test_other_preconditions_do_not_hinder_a_write(mount: Mount, header: str, alice: Person) -> None:
    task = create(mount, alice)
    value = '"1"' if header == "If-None-Match" else "Thu, 01 Jan 1970 00:00:00 GMT"
    path = mount.path(rest=f"/{task['id']}")
    assert alice.patch(path, {"title": "Buy tea"}, headers={header: value}).status_code == 200


KNOWN = ['"2"', 'W/"2"', "*", '"1", "2"', 'W/"1",W/"2"', ' "2" ', 'x, "2"']
UNKNOWN = ['"1"', "2", '"2', "garbage", "", '"22"', '"02"', 'w/"2"', '"' + "9" * 400 + '"']


@each_mount
@table
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("tags", KNOWN)
def test_a_task_that_is_known_is_304_without_a_body(
    mount: Mount, method: str, tags: str, alice: Person
) -> None:
    create(mount, alice)
    path = mount.path(rest=f"/{create(mount, alice)['id']}")
    response = alice.request(method, path, headers={"If-None-Match": tags})
    expect_304(response, '"2"')


@each_mount
@table
@pytest.mark.parametrize("tags", UNKNOWN)
def test_a_task_that_is_not_known_is_sent(mount: Mount, tags: str, alice: Person) -> None:
    create(mount, alice)
    task = create(mount, alice)
    response = alice.get(mount.path(rest=f"/{task['id']}"), headers={"If-None-Match": tags})
    assert response.status_code == 200
    assert mount.task(response) == task


@each_mount
def test_a_task_that_is_not_there_is_404_whatever_is_known(mount: Mount, alice: Person, bob: Person) -> None:
    hers = create(mount, bob)["id"]
    for task_id in (NEVER_WAS, hers):
        response = alice.get(mount.path(rest=f"/{task_id}"), headers={"If-None-Match": "*"})
        expect_problem(response, 404, "not_found", NO_TASK, v1=mount.enveloped)


def expect_304(response: TestResponse, etag: str) -> None:
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == etag
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["Vary"] == "Authorization"
    assert "Content-Type" not in response.headers


def list_tag(mount: Mount, user: Person, query: str = "") -> str:
    response = user.get(mount.path(user.id, query))
    assert response.status_code == 200, response.text
    return response.headers["ETag"]


@each_mount
@table
@pytest.mark.parametrize("query", ["", "?completed=false", "?limit=1", "?deleted=true"])
@pytest.mark.parametrize("written", [True, False], ids=["with tasks", "who never wrote"])
def test_a_list_that_is_known_is_304_and_touches_no_task(
    mount: Mount, query: str, written: bool, alice: Person
) -> None:
    if written:
        create(mount, alice)
        create(mount, alice)
    etag = list_tag(mount, alice, query)
    assert etag.startswith('"')
    for tags in (etag, f"W/{etag}", f'"1", {etag}', "*", f"x,W/{etag}"):
        with statements() as seen:
            response = alice.get(mount.path(rest=query), headers={"If-None-Match": tags})
        expect_304(response, etag)
        assert not [statement for statement in seen if TOUCHES_TASKS.search(statement)]
        assert len(seen) == 1


@each_mount
@table
@pytest.mark.parametrize("tags", ["", '"1"', "garbage", '"*"'])
def test_a_list_that_is_not_known_is_sent(mount: Mount, tags: str, alice: Person) -> None:
    task = create(mount, alice)
    response = alice.get(mount.path(), headers={"If-None-Match": tags})
    assert mount.tasks(response) == [task]


@each_mount
@table
@pytest.mark.parametrize("query", ["", "?deleted=true", "?completed=true&limit=3"])
def test_a_lists_tag_changes_with_every_kind_of_write(mount: Mount, query: str, alice: Person) -> None:
    def made() -> Iterator[str]:
        yield list_tag(mount, alice, query)
        yield list_tag_after(alice.post(mount.path(), {"title": "Buy milk", "id": OWN_ID}))
        for name in ("put", "completion", "delete", "restore"):
            yield list_tag_after(write(mount, alice, OWN_ID, name))
        path = mount.path(rest=f"/{OWN_ID}")
        yield list_tag_after(alice.patch(path, {"title": "Buy rum"}))
        yield list_tag_after(alice.delete("/api/me"))

    def list_tag_after(response: TestResponse) -> str:
        assert response.status_code < 300, response.text
        return list_tag(mount, alice, query)

    tags = list(made())
    assert len(set(tags)) == len(tags) == 8


@each_mount
def test_a_lists_tag_stays_with_reads_invalid_requests_and_the_writes_of_others(
    mount: Mount, alice: Person, bob: Person
) -> None:
    task = create(mount, alice)
    tag = list_tag(mount, alice)
    path = mount.path(rest=f"/{task['id']}")
    alice.get(path)
    alice.put(path, {"title": ""})
    alice.delete(path, headers={"If-Match": "garbage"})
    alice.delete(mount.path(rest="/x"))
    create(mount, bob)
    assert list_tag(mount, alice) == tag


@each_mount
def test_a_lists_tag_may_change_when_nothing_is_written_and_its_tasks_do_not(
    mount: Mount, alice: Person
) -> None:
    task = create(mount, alice)
    tag = list_tag(mount, alice)
    path = mount.path(rest=f"/{task['id']}")
    with nothing_written(mount, alice):
        statuses = [
            alice.patch(path, {"title": task["title"]}).status_code,
            alice.post(f"{path}/restore").status_code,
            alice.delete(path, headers={"If-Match": '"9"'}).status_code,
            alice.post(mount.path(), {"id": task["id"], "title": "again"}).status_code,
            alice.delete(mount.path(rest=f"/{NEVER_WAS}")).status_code,
        ]
        assert statuses == [200, 200, 412, 200, 404]
    response = alice.get(mount.path(), headers={"If-None-Match": tag})
    assert response.status_code == 304 or mount.tasks(response) == [task]


@each_mount
def test_a_lists_tag_differs_with_the_query(mount: Mount, alice: Person) -> None:
    for _ in range(3):
        create(mount, alice)
    following = alice.get(mount.path(rest="?limit=1")).headers["Link"]
    cursor = urlsplit(following[1 : following.index(">")]).query
    queries = [
        "",
        "?limit=1",
        "?limit=2",
        "?completed=true",
        "?completed=false",
        "?deleted=true",
        "?deleted=true&completed=true",
        f"?{cursor}",
    ]
    assert len({list_tag(mount, alice, query) for query in queries}) == len(queries)


@each_mount
def test_two_users_with_the_same_revs_share_no_list_tag(mount: Mount, alice: Person, bob: Person) -> None:
    assert list_tag(mount, alice) != list_tag(mount, bob)
    create(mount, alice)
    create(mount, bob)
    assert rev(alice) == rev(bob)
    tag = list_tag(mount, alice)
    assert tag != list_tag(mount, bob)
    response = bob.get(mount.path("bob"), headers={"If-None-Match": tag})
    assert response.status_code == 200


@each_mount
def test_the_trash_has_a_new_tag_after_a_purge(mount: Mount, app: Flask, alice: Person) -> None:
    some_task(mount, alice, "restore")
    tag = list_tag(mount, alice, "?deleted=true")
    assert empty_trash(app) == 1
    response = alice.get(mount.path(rest="?deleted=true"), headers={"If-None-Match": tag})
    assert response.status_code == 200
    assert mount.tasks(response) == []
    assert response.headers["ETag"] != tag


@each_mount
@table
@pytest.mark.parametrize(
    "content_type", ["application/json", MERGE_PATCH, f"{MERGE_PATCH}; charset=utf-8", MERGE_PATCH.upper()]
)
@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ({}, {}),
        ({"title": " Buy tea "}, {"title": "Buy tea"}),
        ({"TEXT": None}, {"TEXT": None}),
        ({"TEXT": ""}, {"TEXT": ""}),
        ({"TEXT": "green"}, {"TEXT": "green"}),
        ({"completed": True}, {"completed": True}),
        ({"title": "Buy tea", "TEXT": None, "completed": True},) * 2,
        ({"id": NEVER_WAS, "rev": 99, "user_id": "bob", "created_at": 1, "updated_at": None}, {}),
    ],
)
def test_a_patch_touches_what_it_names_and_null_clears(
    mount: Mount, content_type: str, patch: dict[str, Any], changed: dict[str, Any], alice: Person
) -> None:
    def named(fields: dict[str, Any]) -> dict[str, Any]:
        return {mount.text_field if name == "TEXT" else name: value for name, value in fields.items()}

    task = create(mount, alice, **{mount.text_field: "semi-skimmed"})
    path = mount.path(rest=f"/{task['id']}")
    response = alice.patch(path, named(patch), content_type=content_type)
    assert response.status_code == 200, response.text
    patched = mount.task(response)
    stamp = {"rev": 2, "updated_at": patched["updated_at"]} if changed else {}
    stamp |= {"completed_at": patched["updated_at"]} if "completed" in changed else {}
    assert patched == task | named(changed) | stamp == get(mount, alice, task["id"])
    assert (patched["updated_at"] > task["updated_at"]) is bool(changed)


@each_mount
@table
@pytest.mark.parametrize(
    ("body", "name", "code", "detail"),
    [
        ({"title": None}, "title", "invalid_type", "must be a string."),
        ({"title": 1}, "title", "invalid_type", "must be a string."),
        ({"title": " "}, "title", "required", "must not be empty."),
        ({"title": "x" * 201}, "title", "too_long", "must be at most 200 characters."),
        ({"completed": None}, "completed", "invalid_type", "must be true or false."),
        ({"due": None}, "due", "unknown_field", "is not a field that can be sent here."),
        ([{"op": "replace"}], "", "invalid_type", "must be a JSON object."),
        (None, "", "invalid_type", "must be a JSON object."),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", MERGE_PATCH])
def test_a_bad_patch_is_a_validation_error_and_changes_nothing(
    mount: Mount, content_type: str, body: Any, name: str, code: str, detail: str, alice: Person
) -> None:
    task = create(mount, alice)
    path = mount.path(rest=f"/{task['id']}")
    response = alice.request("PATCH", path, data=json.dumps(body), content_type=content_type)
    expect_invalid(response, mount, "pointer", name, code, detail)
    assert get(mount, alice, task["id"]) == task


@each_mount
@table
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/json-patch+json", "application/x-www-form-urlencoded", "", "*/*", "nonsense"],
)
@pytest.mark.parametrize("there", [True, False], ids=["a task", "no task"])
def test_a_patch_of_another_type_is_415_with_the_types_to_send(
    mount: Mount, content_type: str, there: bool, alice: Person
) -> None:
    task_id = create(mount, alice)["id"] if there else NEVER_WAS
    path = mount.path(rest=f"/{task_id}")
    response = alice.request("PATCH", path, data='{"title": "x"}', content_type=content_type)
    detail = "The body must be sent as application/merge-patch+json or application/json."
    expect_problem(response, 415, "unsupported_media_type", detail, v1=mount.enveloped)
    assert response.headers["Accept-Patch"] == "application/merge-patch+json, application/json"


@each_mount
def test_only_a_patch_takes_a_merge_patch(mount: Mount, alice: Person) -> None:
    path = mount.path(rest=f"/{create(mount, alice)['id']}")
    for method, address in (("PUT", path), ("POST", mount.path())):
        response = alice.request(method, address, data='{"title": "x"}', content_type=MERGE_PATCH)
        assert response.status_code == 415
        assert "Accept-Patch" not in response.headers


@each_mount
@table
@pytest.mark.parametrize("task_id", [OWN_ID, OWN_ID.upper(), "00000000-0000-0000-0000-000000000000"])
def test_a_create_with_an_id_may_be_sent_again(mount: Mount, task_id: str, alice: Person) -> None:
    body = {"id": task_id, "title": "Buy milk"}
    first = alice.post(mount.path(), body)
    assert first.status_code == 201, first.text
    task = mount.task(first)
    assert task["id"] == task_id.lower()
    assert first.headers["Location"] == mount.path(rest=f"/{task_id.lower()}")
    for again in (body, body | {"title": "other"}, body | {"id": task_id.lower(), "completed": True}):
        with nothing_written(mount, alice):
            second = alice.post(mount.path(), again)
            assert (second.status_code, mount.task(second)) == (200, task)
            assert "Location" not in second.headers
            assert second.headers["ETag"] == '"1"'


@each_mount
def test_a_create_sent_again_answers_the_task_as_it_now_stands(mount: Mount, alice: Person) -> None:
    body = {"id": OWN_ID, "title": "Buy milk"}
    alice.post(mount.path(), body)
    changed = mount.task(write(mount, alice, OWN_ID, "put"))
    with nothing_written(mount, alice):
        response = alice.post(mount.path(), body, headers={"If-None-Match": "*"})
        assert (response.status_code, mount.task(response)) == (200, changed)
    assert changed["rev"] == 2


@each_mount
@table
@pytest.mark.parametrize(
    "bad", ["x", "", None, 1, OWN_ID.replace("-", ""), f"{{{OWN_ID}}}", f"urn:uuid:{OWN_ID}"]
)
def test_an_id_that_is_no_uuid_is_refused(mount: Mount, bad: Any, alice: Person) -> None:
    response = alice.post(mount.path(), {"id": bad, "title": "Buy milk"})
    expect_names(response, mount, "pointer", "/id")
    assert rev(alice) == 0


@each_mount
@table
@pytest.mark.parametrize("task_id", [OWN_ID, OWN_ID.upper()])
def test_a_create_with_an_id_in_the_trash_is_a_conflict(mount: Mount, task_id: str, alice: Person) -> None:
    body = {"id": OWN_ID, "title": "Buy milk"}
    alice.post(mount.path(), body)
    write(mount, alice, OWN_ID, "delete")
    with nothing_written(mount, alice):
        response = alice.post(mount.path(), body | {"id": task_id})
        assert (response.status_code, response.get_json()["code"]) == (409, "conflict")
        assert response.get_json()["detail"] == IN_THE_TRASH


@each_mount
def test_a_purged_id_is_free_again(mount: Mount, app: Flask, alice: Person) -> None:
    body = {"id": OWN_ID, "title": "Buy milk"}
    alice.post(mount.path(), body)
    write(mount, alice, OWN_ID, "delete")
    assert empty_trash(app) == 1
    response = alice.post(mount.path(), body)
    assert (response.status_code, mount.task(response)["rev"]) == (201, 3)


@each_mount
def test_two_users_may_have_tasks_of_one_id(mount: Mount, alice: Person, bob: Person) -> None:
    body = {"id": OWN_ID, "title": "Buy milk"}
    assert alice.post(mount.path(), body).status_code == 201
    write(mount, alice, OWN_ID, "delete")
    response = bob.post(mount.path("bob"), body | {"title": "Bob's"})
    assert (response.status_code, mount.task(response)["title"]) == (201, "Bob's")
    assert write(mount, alice, OWN_ID, "restore").status_code == 200
    write(mount, alice, OWN_ID, "put")
    assert get(mount, alice, OWN_ID)["title"] == "Buy tea"
    assert get(mount, bob, OWN_ID) == mount.task(response)
    assert (rev(alice), rev(bob)) == (4, 1)


@each_mount
def test_deleted_tasks_lie_in_the_trash_latest_first(mount: Mount, alice: Person, bob: Person) -> None:
    made = [create(mount, alice, f"task {n}") for n in range(4)]
    create(mount, bob)
    for n in (2, 0, 3):
        assert write(mount, alice, made[n]["id"], "delete").status_code == 204
    found = trash(mount, alice)
    assert [task["title"] for task in found] == ["task 3", "task 0", "task 2"]
    assert [task["rev"] for task in found] == [7, 6, 5]
    assert found == [
        made[n] | {"rev": task["rev"], "updated_at": task["updated_at"]}
        for n, task in zip((3, 0, 2), found, strict=True)
    ]
    assert all(task["updated_at"] > task["created_at"] for task in found)
    assert mount.tasks(alice.get(mount.path())) == [made[1]]
    assert mount.tasks(alice.get(mount.path(rest="?deleted=FALSE"))) == [made[1]]
    assert trash(mount, bob) == []


@each_mount
@table
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize("completed", ["", "&completed=true"])
def test_paging_the_trash_visits_each_task_once(
    mount: Mount, limit: int, completed: str, alice: Person
) -> None:
    made = [create(mount, alice, completed=n != 1)["id"] for n in range(6)]
    for task_id in made:
        write(mount, alice, task_id, "delete")
    wanted = [task_id for task_id in reversed(made) if not completed or task_id != made[1]]
    address, visited = mount.path(rest=f"?deleted=true&limit={limit}{completed}"), []
    for _ in range(10):
        response = alice.get(address)
        page = [task["id"] for task in mount.tasks(response)]
        assert len(page) <= limit
        visited += page
        link = response.headers.get("Link")
        if link is None:
            break
        address = link[1 : link.index(">")]
    assert visited == wanted


@each_mount
def test_a_cursor_is_refused_with_other_filters(mount: Mount, alice: Person) -> None:
    for _ in range(4):
        create(mount, alice)
    for n in (0, 1):
        write(mount, alice, mount.tasks(alice.get(mount.path()))[n]["id"], "delete")
    filters = ["", "&completed=false", "&deleted=true", "&deleted=true&completed=false"]
    for own in filters:
        link = alice.get(mount.path(rest=f"?limit=1{own}")).headers["Link"]
        cursor = parse_qs(urlsplit(link[1 : link.index(">")]).query)["cursor"][0]
        for other in filters:
            response = alice.get(mount.path(rest=f"?limit=1&cursor={cursor}{other}"))
            if other == own:
                assert response.status_code == 200
            else:
                expect_invalid(response, mount, "parameter", "cursor", "invalid", BAD_CURSOR)


@each_mount
@table
@pytest.mark.parametrize("query", ["?deleted=1", "?deleted=", "?deleted=true&deleted=true", "?trash=true"])
def test_a_bad_query_for_the_trash_is_refused(mount: Mount, query: str, alice: Person) -> None:
    expect_names(alice.get(mount.path(rest=query)), mount, "parameter", query[1:].partition("=")[0])


@each_mount
def test_a_restored_task_is_as_it_was_and_in_its_old_place(mount: Mount, alice: Person) -> None:
    made = [create(mount, alice, completed=True, **{mount.text_field: "x"}) for _ in range(3)]
    write(mount, alice, made[1]["id"], "delete")
    response = write(mount, alice, made[1]["id"].upper(), "restore")
    assert response.status_code == 200
    task = mount.task(response)
    assert task == made[1] | {"rev": 5, "updated_at": task["updated_at"]}
    assert task["updated_at"] > made[1]["updated_at"]
    assert mount.tasks(alice.get(mount.path())) == [made[2], task, made[0]]
    assert trash(mount, alice) == []


@each_mount
@table
@pytest.mark.parametrize("headers", [{}, {"If_Match": "*"}, {"If_Match": '"1"'}])
def test_restoring_what_is_not_deleted_changes_nothing(
    mount: Mount, headers: dict[str, str], alice: Person
) -> None:
    task = create(mount, alice)
    with nothing_written(mount, alice):
        response = write(mount, alice, task["id"], "restore", **headers)
        assert (response.status_code, mount.task(response)) == (200, task)


@each_mount
def test_what_is_not_deleted_is_not_restored_past_a_stale_tag(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    with nothing_written(mount, alice):
        expect_412(write(mount, alice, task["id"], "restore", If_Match='"9"'), mount, 1)


@each_mount
@pytest.mark.parametrize("name", ["get", *WRITES[:-1]])
def test_a_task_in_the_trash_is_404_to_all_but_restore(mount: Mount, name: str, alice: Person) -> None:
    task = some_task(mount, alice, "restore")
    with nothing_written(mount, alice):
        if name == "get":
            response = alice.get(mount.path(rest=f"/{task['id']}"))
        else:
            response = write(mount, alice, task["id"], name)
        expect_problem(response, 404, "not_found", NO_TASK, v1=mount.enveloped)


@each_mount
@pytest.mark.parametrize("what", ["another's", "never was", "purged", "no uuid"])
def test_nothing_is_restored_that_is_not_in_the_own_trash(
    mount: Mount, what: str, app: Flask, alice: Person, bob: Person
) -> None:
    task_id = {"never was": NEVER_WAS, "no uuid": "x"}.get(what)
    if task_id is None:
        task_id = some_task(mount, bob if what == "another's" else alice, "restore")["id"]
    if what == "purged":
        empty_trash(app)
    response = write(mount, alice, task_id or "", "restore")
    expect_problem(response, 404, "not_found", NO_TASK, v1=mount.enveloped)


@each_mount
def test_restore_takes_no_query(mount: Mount, alice: Person) -> None:
    task = some_task(mount, alice, "restore")
    response = alice.post(mount.path(rest=f"/{task['id']}/restore?x=1"))
    expect_names(response, mount, "parameter", "x")
    assert trash(mount, alice) == [task]


@each_mount
def test_answers_with_tasks_are_kept_for_one_user_and_asked_for_again(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    path = mount.path(rest=f"/{task['id']}")
    answers = [
        alice.post(mount.path(), {"title": "x", "id": OWN_ID}),
        alice.post(mount.path(), {"title": "x", "id": OWN_ID}),
        alice.get(path),
        alice.get(mount.path()),
        alice.get(mount.path(rest="?deleted=true")),
        alice.get(mount.path(rest="/changes")),
        alice.put(path, {"title": "Buy tea"}),
        alice.patch(path, {"title": "Buy rum"}),
        complete(mount, alice, task["id"]),
        alice.post(f"{path}/restore"),
        alice.get(path, headers={"If-None-Match": "*"}),
        alice.get(mount.path(), headers={"If-None-Match": "*"}),
    ]
    for answer in answers:
        assert answer.status_code in (200, 201, 304)
        assert answer.headers.getlist("Cache-Control") == ["private, no-cache"]
        assert answer.headers.getlist("Vary") == ["Authorization"]


@each_mount
def test_all_else_is_not_stored(mount: Mount, app: Flask, alice: Person) -> None:
    task = create(mount, alice)
    path = mount.path(rest=f"/{task['id']}")
    answers = [
        alice.get(mount.path(rest=f"/{NEVER_WAS}")),
        alice.get(mount.path(rest="?x=1")),
        alice.put(path, {"title": ""}),
        alice.put(path, {"title": "x"}, headers={"If-Match": '"9"'}),
        alice.patch(path, {"title": "x"}, content_type="text/plain"),
        alice.get(mount.path(rest="/changes?since=9")),
        alice.request("BREW", path),
        app.test_client().get(path),
        alice.delete(path),
        alice.post(mount.path(), {"id": task["id"], "title": "x"}),
        alice.get("/api/me"),
        alice.get("/health"),
        alice.get("/nowhere"),
        alice.delete("/api/me"),
    ]
    statuses = [
        404,
        mount.invalid,
        mount.invalid,
        412,
        415,
        mount.invalid,
        405,
        401,
        204,
        409,
        200,
        200,
        404,
        204,
    ]
    assert [answer.status_code for answer in answers] == statuses
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
