"""Lists: their order, filter and pages, and the queries that are refused."""

import base64
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from tests.contract.expect import NEVER_WAS, V1, create, each_mount, expect_invalid, expect_names, table
from tests.mounts import Mount
from tests.people import Person

NEXT = re.compile(r'<([^<>]*)>; rel="next"')
BAD_CURSOR = "is not the cursor of a list with these filters."


def next_of(response: TestResponse) -> str | None:
    """Where `Link` says that the list goes on."""
    assert response.status_code == 200, response.text
    link = NEXT.fullmatch(response.headers.get("Link", ""))
    return link and link[1]


def cursor_of(response: TestResponse) -> str:
    """The cursor in `Link`."""
    return parse_qs(urlsplit(next_of(response) or "").query)["cursor"][0]


def ids(tasks: list[dict[str, Any]]) -> list[str]:
    return [task["id"] for task in tasks]


@each_mount
def test_a_list_of_none_is_empty(mount: Mount, alice: Person) -> None:
    body = alice.get(mount.path()).get_json()
    assert body == ({"tasks": [], "next_cursor": None} if mount.enveloped else [])


@each_mount
def test_a_list_is_newest_first_and_holds_whole_tasks(mount: Mount, alice: Person) -> None:
    first, second, third = (create(mount, alice, title) for title in "abc")
    body = alice.get(mount.path()).get_json()
    tasks = [third, second, first]
    assert body == ({"tasks": tasks, "next_cursor": None} if mount.enveloped else tasks)


@each_mount
def test_a_changed_task_keeps_its_place_in_the_list(mount: Mount, alice: Person) -> None:
    first, second = create(mount, alice), create(mount, alice)
    assert alice.put(mount.path(rest=f"/{first['id']}"), {"title": "Buy tea"}).status_code == 200
    assert ids(mount.tasks(alice.get(mount.path()))) == [second["id"], first["id"]]


@each_mount
@table
@pytest.mark.parametrize(
    ("word", "wanted"), [("true", 1), ("TRUE", 1), ("tRuE", 1), ("false", 0), ("False", 0)]
)
def test_completed_filters_in_any_letter_case(mount: Mount, word: str, wanted: int, alice: Person) -> None:
    tasks = [create(mount, alice, completed=done) for done in (False, True)]
    assert mount.tasks(alice.get(mount.path(rest=f"?completed={word}"))) == [tasks[wanted]]


@pytest.mark.one_database
def test_a_list_has_100_tasks_unless_told_and_500_at_most(alice: Person) -> None:
    for _ in range(101):
        create(V1, alice)
    assert len(V1.tasks(alice.get("/v1/tasks"))) == 100
    assert len(V1.tasks(alice.get("/v1/tasks?limit=500"))) == 101


@each_mount
@table
@pytest.mark.parametrize("limit", range(1, 7))
def test_paging_visits_each_task_once_while_others_come_and_go(
    mount: Mount, limit: int, alice: Person
) -> None:
    made = [create(mount, alice)["id"] for _ in range(9)]
    passing, visited = {made[1], made[4], made[7]}, []
    doomed = sorted(passing)
    address: str | None = mount.path(rest=f"?limit={limit}")
    while address:
        response = alice.get(address)
        page = ids(mount.tasks(response))
        assert 0 < len(page) <= limit
        visited += page
        address = next_of(response)
        create(mount, alice, "came later")
        # What was seen last goes too: the cursor stands behind a task that is there no more.
        if doomed:
            gone = page[-1] if page[-1] in doomed else doomed[-1]
            doomed.remove(gone)
            assert alice.delete(mount.path(rest=f"/{gone}")).status_code == 204
    assert len(visited) == len(set(visited))
    assert [task_id for task_id in visited if task_id not in passing] == [
        task_id for task_id in reversed(made) if task_id not in passing
    ]


@each_mount
def test_a_page_keeps_its_filter_and_its_limit_may_change(mount: Mount, alice: Person) -> None:
    tasks = [create(mount, alice, completed=n % 2 == 0) for n in range(8)]
    wanted = [task["id"] for task in reversed(tasks) if task["completed"]]
    first = alice.get(mount.path(rest="?completed=true&limit=1"))
    rest = alice.get(mount.path(rest=f"?limit=9&completed=TRUE&cursor={cursor_of(first)}"))
    assert ids(mount.tasks(first)) + ids(mount.tasks(rest)) == wanted
    following = alice.get(next_of(first) or "")
    assert ids(mount.tasks(following)) == wanted[1:2]


@each_mount
def test_only_a_list_that_goes_on_has_a_link(mount: Mount, alice: Person) -> None:
    for _ in range(2):
        create(mount, alice)
    partial, whole = alice.get(mount.path(rest="?limit=1")), alice.get(mount.path(rest="?limit=2"))
    assert urlsplit(next_of(partial) or "").path == mount.path()
    assert "Link" not in whole.headers
    if mount.enveloped:
        assert partial.get_json()["next_cursor"] == cursor_of(partial)
        assert whole.get_json()["next_cursor"] is None


def test_the_link_of_a_user_with_an_odd_id_leads_on(person: Callable[..., Person]) -> None:
    user, path = person("ü@x |"), "/api/%C3%BC%40x%20%7C/tasks"
    made = [user.post(path, {"title": title}).get_json()["id"] for title in "ab"]
    first = user.get(f"{path}?limit=1")
    second = user.get(next_of(first) or "")
    assert ids(first.get_json()) + ids(second.get_json()) == made[::-1]


@each_mount
@table
@pytest.mark.parametrize(
    ("made_with", "sent_with"),
    [
        ("", "&completed=true"),
        ("", "&completed=false"),
        ("&completed=false", ""),
        ("&completed=false", "&completed=true"),
    ],
)
def test_a_cursor_is_refused_with_another_filter(
    mount: Mount, made_with: str, sent_with: str, alice: Person
) -> None:
    for _ in range(2):
        create(mount, alice)
    cursor = cursor_of(alice.get(mount.path(rest=f"?limit=1{made_with}")))
    response = alice.get(mount.path(rest=f"?cursor={cursor}{sent_with}"))
    expect_invalid(response, mount, "parameter", "cursor", "invalid", BAD_CURSOR)


def _flipped(cursor: str, byte: int) -> str:
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=="))
    raw[byte] ^= 0x7F
    return base64.urlsafe_b64encode(raw).decode()


TAMPERINGS: dict[str, Callable[[str], str]] = {
    "shortened": lambda cursor: cursor[:-4],
    "lengthened": lambda cursor: cursor + "AAAA",
    "first byte": lambda cursor: _flipped(cursor, 0),
    "last byte": lambda cursor: _flipped(cursor, -1),
    "odd character": lambda cursor: "!" + cursor[1:],
    "NUL": lambda cursor: "%00" + cursor[1:],
    "no ASCII": lambda cursor: "%C3%BC" + cursor[1:],
    "no UTF-8": lambda cursor: "%FF" + cursor[1:],
    "nothing left": lambda _: "",
    "a number": lambda _: "1",
    "an id": lambda _: NEVER_WAS,
    "zeros": lambda _: "A" * 36,
    "ones": lambda _: "_" * 36,
}


@each_mount
@table
@pytest.mark.parametrize("tamper", list(TAMPERINGS.values()), ids=list(TAMPERINGS))
def test_a_tampered_cursor_is_refused(mount: Mount, tamper: Callable[[str], str], alice: Person) -> None:
    for _ in range(2):
        create(mount, alice)
    cursor = cursor_of(alice.get(mount.path(rest="?limit=1")))
    response = alice.get(mount.path(rest=f"?cursor={tamper(cursor)}"))
    expect_invalid(response, mount, "parameter", "cursor", "invalid", BAD_CURSOR)


@each_mount
def test_another_users_cursor_shows_nothing_of_theirs(mount: Mount, alice: Person, bob: Person) -> None:
    for _ in range(3):
        create(mount, alice)
    cursor = cursor_of(alice.get(mount.path(rest="?limit=1")))
    assert mount.tasks(bob.get(mount.path("bob", f"?cursor={cursor}"))) == []


@each_mount
@table
@pytest.mark.parametrize(
    "limit",
    ["0", "501", "-1", "%2B1", "1.0", "1e2", "", "%201", "ten", "1_0", "%D9%A1", "9" * 5000, "%FF", "null"],
)
def test_a_limit_that_is_no_number_from_1_to_500_is_refused(mount: Mount, limit: str, alice: Person) -> None:
    response = alice.get(mount.path(rest=f"?limit={limit}"))
    detail = "must be a whole number from 1 to 500."
    expect_invalid(response, mount, "parameter", "limit", "out_of_range", detail)


@each_mount
@table
@pytest.mark.parametrize("word", ["", "1", "0", "yes", "null", "true%20", "%C5%A5rue", "%00", "%FF"])
def test_completed_that_is_neither_true_nor_false_is_refused(mount: Mount, word: str, alice: Person) -> None:
    response = alice.get(mount.path(rest=f"?completed={word}"))
    expect_invalid(response, mount, "parameter", "completed", "invalid_type", "must be true or false.")


@each_mount
@table
@pytest.mark.parametrize("query", ["page=2", "Limit=1", "user_id=bob", "title", "offset="])
def test_an_unknown_parameter_is_named(mount: Mount, query: str, alice: Person) -> None:
    response = alice.get(mount.path(rest=f"?{query}"))
    name = query.partition("=")[0]
    expect_invalid(
        response, mount, "parameter", name, "unknown_parameter", "is not a parameter of this address."
    )


@each_mount
@table
@pytest.mark.parametrize(
    "query", ["limit=1&limit=1", "completed=true&completed=false", "cursor=&cursor=", "x=1&x=1"]
)
def test_a_repeated_parameter_is_named(mount: Mount, query: str, alice: Person) -> None:
    response = alice.get(mount.path(rest=f"?{query}"))
    name = query.partition("=")[0]
    expect_invalid(response, mount, "parameter", name, "repeated_parameter", "must be given once.")


@each_mount
def test_every_bad_parameter_is_named(mount: Mount, alice: Person) -> None:
    response = alice.get(mount.path(rest="?limit=0&completed=x&page=2"))
    named = {error["parameter"] for error in response.get_json()["errors"]}
    assert (response.status_code, named) == (mount.invalid, {"limit", "completed", "page"})


@each_mount
@table
@pytest.mark.parametrize("call", ["create", "get", "put", "delete", "complete"])
@pytest.mark.parametrize("query", ["limit=1", "completed=true", "x=1&x=2"])
def test_routes_of_one_task_take_no_query(mount: Mount, call: str, query: str, alice: Person) -> None:
    task = create(mount, alice)
    one, (method, segment) = f"/{task['id']}", mount.completion
    send: dict[str, tuple[str, str, Any]] = {
        "create": ("POST", "", {"title": "Buy tea"}),
        "get": ("GET", one, None),
        "put": ("PUT", one, {"title": "Buy tea"}),
        "delete": ("DELETE", one, None),
        "complete": (method, f"{one}/{segment}", None),
    }
    verb, rest, body = send[call]
    response = alice.request(verb, mount.path(rest=f"{rest}?{query}"), **({"json": body} if body else {}))
    expect_names(response, mount, "parameter", query.partition("=")[0])
    assert mount.tasks(alice.get(mount.path())) == [task]


@each_mount
def test_the_query_is_judged_before_the_task_is_looked_up(mount: Mount, alice: Person) -> None:
    response = alice.get(mount.path(rest=f"/{NEVER_WAS}?x=1"))
    expect_names(response, mount, "parameter", "x")
