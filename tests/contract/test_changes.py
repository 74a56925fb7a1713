"""The change feed: each task once, as it now is, and no page that leaves anything out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.maintenance.purge import purge
from tests.contract.expect import (
    V1,
    complete,
    create,
    each_mount,
    expect_invalid,
    expect_names,
    expect_problem,
    table,
)
from tests.mounts import Mount
from tests.people import Person

FROM_THE_FUTURE = "must be a rev that an answer gave."
EXPIRED = "Deletions since then were purged; start again from 0."


def changes(mount: Mount, user: Person, query: str = "") -> dict[str, Any]:
    response = user.get(mount.path(user.id, f"/changes{query}"))
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    return body


def delete(mount: Mount, user: Person, task: dict[str, Any]) -> None:
    assert user.delete(mount.path(user.id, f"/{task['id']}")).status_code == 204


def empty_trash(app: Flask) -> None:
    with app.app_context():
        assert purge(datetime.now(UTC) + timedelta(minutes=1)).tasks > 0


def expect_expired(response: TestResponse, mount: Mount) -> None:
    expect_problem(response, 410, "sync_expired", EXPIRED, v1=mount.enveloped)
    assert response.headers["Cache-Control"] == "no-store"


@each_mount
@table
@pytest.mark.parametrize("query", ["", "?since=0", "?since=00", "?limit=1000"])
def test_of_a_user_who_never_wrote_there_are_no_changes(mount: Mount, query: str, alice: Person) -> None:
    assert changes(mount, alice, query) == {"tasks": [], "deleted": [], "rev": 0, "more": False}


@each_mount
def test_each_task_comes_once_as_it_now_is_oldest_change_first(
    mount: Mount, alice: Person, bob: Person
) -> None:
    first, second, third = (create(mount, alice, title) for title in "abc")
    create(mount, bob)
    first = mount.task(alice.put(mount.path(rest=f"/{first['id']}"), {"title": "A"}))
    first = mount.task(complete(mount, alice, first["id"]))
    delete(mount, alice, second)
    gone = [{"id": second["id"], "rev": 6}]
    for since in ("", "?since=0", "?since=1"):
        body = changes(mount, alice, since)
        assert body == {"tasks": [third, first], "deleted": gone, "rev": 6, "more": False}
    assert changes(mount, alice, "?since=3") == {"tasks": [first], "deleted": gone, "rev": 6, "more": False}
    assert changes(mount, alice, "?since=5") == {"tasks": [], "deleted": gone, "rev": 6, "more": False}
    assert changes(mount, alice, "?since=6") == {"tasks": [], "deleted": [], "rev": 6, "more": False}


@each_mount
def test_a_restored_task_is_a_task_again(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    delete(mount, alice, task)
    restored = mount.task(alice.post(mount.path(rest=f"/{task['id']}/restore")))
    for since in (0, 1, 2):
        body = changes(mount, alice, f"?since={since}")
        assert body == {"tasks": [restored], "deleted": [], "rev": 3, "more": False}


@each_mount
@table
@pytest.mark.parametrize("limit", range(1, 9))
def test_pages_of_any_size_hold_everything_once(mount: Mount, limit: int, alice: Person) -> None:
    made = [create(mount, alice, f"task {n}") for n in range(7)]
    for n in (1, 4, 6):
        delete(mount, alice, made[n])
    since, tasks, deleted = 0, [], []
    for _ in range(9):
        body = changes(mount, alice, f"?since={since}&limit={limit}")
        page = body["tasks"] + body["deleted"]
        assert len(page) == limit if body["more"] else len(page) <= limit
        assert all(entry["rev"] > since for entry in page)
        tasks += body["tasks"]
        deleted += body["deleted"]
        since = body["rev"]
        if not body["more"]:
            break
    assert tasks == [made[n] for n in (0, 2, 3, 5)]
    assert deleted == [{"id": made[n]["id"], "rev": rev} for n, rev in ((1, 8), (4, 9), (6, 10))]
    assert since == 10


@pytest.mark.one_database
def test_a_page_has_500_changes_unless_told_and_1000_at_most(alice: Person) -> None:
    for _ in range(501):
        create(V1, alice)
    body = changes(V1, alice)
    assert (len(body["tasks"]), body["rev"], body["more"]) == (500, 500, True)
    body = changes(V1, alice, "?limit=1000")
    assert (len(body["tasks"]), body["rev"], body["more"]) == (501, 501, False)


@each_mount
@table
@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "1.5", "+1", "\uff11", "9" * 30])
def test_a_limit_that_is_not_from_1_to_1000_is_refused(mount: Mount, limit: str, alice: Person) -> None:
    response = alice.get(mount.path(rest="/changes"), query_string={"limit": limit})
    expect_invalid(
        response, mount, "parameter", "limit", "out_of_range", "must be a whole number from 1 to 1000."
    )


@each_mount
@table
@pytest.mark.parametrize(
    "since", ["-1", "x", "", "1.0", "0x1", " 1", "null", "\uff11", "9007199254740992", "9" * 18, "9" * 400]
)
def test_a_since_that_is_no_rev_is_refused(mount: Mount, since: str, alice: Person) -> None:
    create(mount, alice)
    response = alice.get(mount.path(rest="/changes"), query_string={"since": since})
    expect_names(response, mount, "parameter", "since")


@each_mount
@table
@pytest.mark.parametrize("since", [2, 3, 2**31, 2**52 - 1, 2**52, 2**52 + 1, 2**52 + 2**20, 2**53 - 1])
def test_a_since_from_the_future_is_refused(mount: Mount, since: int, alice: Person) -> None:
    create(mount, alice)
    response = alice.get(mount.path(rest=f"/changes?since={since}"))
    expect_invalid(response, mount, "parameter", "since", "out_of_range", FROM_THE_FUTURE)


@each_mount
@table
@pytest.mark.parametrize("name", ["cursor", "deleted", "x"])
def test_an_unknown_parameter_is_refused(mount: Mount, name: str, alice: Person) -> None:
    response = alice.get(mount.path(rest=f"/changes?{name}=true"))
    expect_invalid(
        response, mount, "parameter", name, "unknown_parameter", "is not a parameter of this address."
    )


@each_mount
@table
@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "POST"])
def test_changes_is_no_task(mount: Mount, method: str, alice: Person) -> None:
    response = alice.request(method, mount.path(rest="/changes"))
    expect_problem(
        response,
        405,
        "method_not_allowed",
        "This address does not answer to this method.",
        v1=mount.enveloped,
    )
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@each_mount
def test_a_since_below_what_was_purged_is_gone(mount: Mount, app: Flask, alice: Person) -> None:
    kept, gone, later = (create(mount, alice) for _ in range(3))
    delete(mount, alice, gone)
    kept = mount.task(alice.put(mount.path(rest=f"/{kept['id']}"), {"title": "Buy tea"}))
    empty_trash(app)
    for since in (1, 2, 3):
        expect_expired(alice.get(mount.path(rest=f"/changes?since={since}")), mount)
    assert changes(mount, alice, "?since=4") == {"tasks": [kept], "deleted": [], "rev": 5, "more": False}
    assert changes(mount, alice) == {"tasks": [later, kept], "deleted": [], "rev": 5, "more": False}


@each_mount
def test_a_purge_of_one_user_is_nothing_to_another(
    mount: Mount, app: Flask, alice: Person, bob: Person
) -> None:
    tasks = [create(mount, bob), create(mount, bob)]
    delete(mount, alice, create(mount, alice))
    empty_trash(app)
    assert changes(mount, bob, "?since=1")["tasks"] == tasks[1:]


@each_mount
@table
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
def test_a_first_sync_in_pages_ends_though_old_deletions_were_purged(
    mount: Mount, limit: int, app: Flask, alice: Person
) -> None:
    old = [create(mount, alice, f"old {n}") for n in range(4)]
    delete(mount, alice, create(mount, alice))
    empty_trash(app)
    new = create(mount, alice, "new")
    since, seen = 0, []
    for _ in range(6):
        body = changes(mount, alice, f"?since={since}&limit={limit}")
        seen += body["tasks"]
        since = body["rev"]
        assert since <= 2**53 - 1
        if not body["more"]:
            break
    assert seen == [*old, new]
    assert since == 7


@each_mount
@pytest.mark.parametrize("purged_before", [True, False])
def test_a_purge_between_the_pages_of_a_first_sync_makes_it_start_again(
    mount: Mount, purged_before: bool, app: Flask, alice: Person
) -> None:
    old = [create(mount, alice, f"old {n}") for n in range(4)]
    if purged_before:
        delete(mount, alice, create(mount, alice))
        empty_trash(app)
    since = changes(mount, alice, "?limit=2")["rev"]
    # The client holds this one, and its tombstone goes before the next page.
    delete(mount, alice, old[0])
    empty_trash(app)
    expect_expired(alice.get(mount.path(rest=f"/changes?since={since}&limit=2")), mount)
    assert changes(mount, alice)["tasks"] == old[1:]


@each_mount
def test_writes_between_the_pages_of_a_first_sync_are_in_it(mount: Mount, app: Flask, alice: Person) -> None:
    old = [create(mount, alice, f"old {n}") for n in range(4)]
    delete(mount, alice, create(mount, alice))
    empty_trash(app)
    body = changes(mount, alice, "?limit=2")
    changed = mount.task(complete(mount, alice, old[0]["id"]))
    delete(mount, alice, old[2])
    body = changes(mount, alice, f"?limit=2&since={body['rev']}")
    assert (body["tasks"], body["more"]) == ([old[3], changed], True)
    body = changes(mount, alice, f"?limit=2&since={body['rev']}")
    assert body == {"tasks": [], "deleted": [{"id": old[2]["id"], "rev": 8}], "rev": 8, "more": False}


@each_mount
def test_after_being_forgotten_an_old_since_is_gone_and_the_rev_goes_on(mount: Mount, alice: Person) -> None:
    create(mount, alice)
    create(mount, alice)
    assert alice.delete("/api/me").status_code == 204
    for since in (1, 2):
        expect_expired(alice.get(mount.path(rest=f"/changes?since={since}")), mount)
    assert changes(mount, alice) == {"tasks": [], "deleted": [], "rev": 3, "more": False}
    assert changes(mount, alice, "?since=3") == {"tasks": [], "deleted": [], "rev": 3, "more": False}
    task = create(mount, alice)
    assert task["rev"] == 4
    expect_expired(alice.get(mount.path(rest="/changes?since=2")), mount)
    for since in (0, 3):
        body = changes(mount, alice, f"?since={since}")
        assert body == {"tasks": [task], "deleted": [], "rev": 4, "more": False}
