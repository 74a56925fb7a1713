"""Lists that are filtered, searched and sorted: what they show, in which order, and what they refuse."""

import base64
import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.expect import API, create, each_mount, expect_invalid, table
from tests.contract.test_lists import BAD_CURSOR, cursor_of, next_of
from tests.mounts import Mount
from tests.people import Person

SORTS = ("created_at", "updated_at", "due_date", "priority", "title", "position", "completed_at")


def titles(mount: Mount, person: Person, query: str) -> str:
    """The titles of a list, one letter each."""
    response = person.get(mount.path(rest=f"?{query}"))
    assert response.status_code == 200, response.text
    return "".join(task["title"] for task in mount.tasks(response))


def all_pages(mount: Mount, person: Person, address: str | None) -> list[dict[str, Any]]:
    """The tasks of a list, page by page, none of which is empty."""
    found: list[dict[str, Any]] = []
    while address:
        response = person.get(address)
        page = mount.tasks(response)
        assert page
        found += page
        address = next_of(response)
    return found


def fill(mount: Mount, alice: Person) -> None:
    """Four tasks, from a to d."""
    create(mount, alice, "a", priority="low", due_date="2026-02-05T00:00:00Z", tags=["home"], position="a1")
    create(mount, alice, "b", priority="urgent", due_date="2026-02-05", tags=["home", "x"], position="a0V")
    create(mount, alice, "c", completed=True, due_date="2026-02-05T00:00:00", **{mount.text_field: "Ö 100%"})
    create(mount, alice, "d", position="Zz")


FOUND = {
    "status=all": "dcba",
    "status=pending": "dba",
    "status=active": "dba",
    "status=completed": "c",
    "priority=medium": "dc",
    "priority=urgent": "b",
    "priority=high": "",
    "tag=home": "ba",
    "tag=x&tag=home": "b",
    "tag=Home": "",
    "tag=%20home%20": "ba",
    "tag=hom": "",
    "due_before=2026-02-05": "",
    "due_after=2026-02-05": "cba",
    "due_before=2026-02-05T00:00": "b",
    "due_after=2026-02-05T00:00": "ca",
    "due_after=2026-02-05T00:00Z": "a",
    "due_after=2026-02-05T01:00%2B01:00": "a",
    "due_after=2026-02-05&due_before=2026-02-06": "cba",
    "due_after=2026-02-06&due_before=2026-02-05": "",
    "search=B": "b",
    "search=": "dcba",
    "search=%20%09": "dcba",
    "search=%25": "c",
    "search=_": "",
    "search=/": "",
    "search=%C3%B6%20100%25": "c",
    "status=pending&priority=urgent&tag=home&due_before=2027-01-01&search=B&sort=title": "b",
    "completed=false&tag=home&order=asc": "ab",
    "deleted=false&status=completed": "c",
}


@each_mount
def test_filters_choose_what_a_list_shows(mount: Mount, alice: Person) -> None:
    fill(mount, alice)
    assert {query: titles(mount, alice, query) for query in FOUND} == FOUND


SORTED = {
    "sort=created_at": "dcba",
    "sort=created&order=asc": "abcd",
    "sort=createdAt": "dcba",
    "order=asc": "abcd",
    "sort_by=updated": "dcba",
    "sortBy=updatedAt&sortOrder=asc": "abcd",
    "sort=due_date": "bcad",
    "sort=dueDate&order=desc": "acbd",
    "sort=priority": "bdca",
    "sort=priority&sort_order=asc": "acdb",
    "sort=title": "abcd",
    "sort=title&order=desc": "dcba",
    "sort=position": "dbac",
    "sort=position&order=desc": "abdc",
    "sort=completed_at": "cdba",
    "sort=completedAt&order=asc": "cabd",
}


@each_mount
def test_lists_are_sorted_and_what_has_no_value_comes_last(mount: Mount, alice: Person) -> None:
    fill(mount, alice)
    assert {query: titles(mount, alice, query) for query in SORTED} == SORTED
    for query, found in SORTED.items():
        paged = all_pages(mount, alice, mount.path(rest=f"?{query}&limit=1"))
        assert "".join(task["title"] for task in paged) == found


@each_mount
@table
@pytest.mark.parametrize(
    ("stored", "search"),
    [
        ("Straße", "STRASSE"),
        ("STRASSE", "straße"),
        ("ΟΔΥΣΣΕΎΣ", "οδυσσεύς"),
        ("İstanbul", "i̇STANBUL"),
        ("ﬁne", "FINE"),
        ("ПРИВЕТ", "привет"),
        ("ᏣᎳᎩ", "ꮳꮃꭹ"),
        ("50% /off_now\\", "% /OFF_NOW\\"),
        ("😀 O'Neil\n", "😀 o'neil\n"),
    ],
)
def test_search_ignores_the_case_of_all_of_unicode(
    mount: Mount, stored: str, search: str, alice: Person
) -> None:
    in_text = create(mount, alice, "other", **{mount.text_field: f"<{stored}>"})
    in_title = create(mount, alice, f"<{stored}>")
    create(mount, alice, "50x off now", **{mount.text_field: "stra"})
    found = mount.tasks(alice.get(mount.path(rest=f"?search={quote(search)}")))
    assert [task["id"] for task in found] == [in_title["id"], in_text["id"]]


@each_mount
def test_search_does_not_join_the_title_and_the_text(mount: Mount, alice: Person) -> None:
    create(mount, alice, "milk", **{mount.text_field: "two"})
    assert titles(mount, alice, "search=milktwo") == titles(mount, alice, f"search={quote('milk two')}") == ""


@each_mount
def test_search_finds_what_a_task_says_now(mount: Mount, alice: Person) -> None:
    task = create(mount, alice, "Milk", **{mount.text_field: "Two"})
    for change, gone, found in (
        ({"title": "Tea"}, "milk", "TEA"),
        ({mount.text_field: "Three"}, "two", "THREE"),
        ({mount.text_field: None}, "three", "tea"),
    ):
        assert alice.patch(mount.path(rest=f"/{task['id']}"), change).status_code == 200
        assert titles(mount, alice, f"search={gone}") == ""
        assert titles(mount, alice, f"search={found}") == "Tea"


@each_mount
def test_titles_sort_by_their_folded_code_points(mount: Mount, alice: Person) -> None:
    made = ["Äpfel", "apfel", "Z", "_", "straße", "STRASSE1", "😀", "\uffee", "zebra", "B"]
    for title in made:
        create(mount, alice, title)
    found = [task["title"] for task in mount.tasks(alice.get(mount.path(rest="?sort=title")))]
    assert found == sorted(made, key=str.casefold)


@each_mount
def test_the_longest_titles_of_the_longest_id_are_sorted_and_paged(mount: Mount, person: Any) -> None:
    # Each of these letters folds to three, of six bytes in all: the index has a limit for its rows.
    user = person("ü" * 255)
    made = [mount.task(user.post(mount.path(quote(user.id)), {"title": "ΐ" * 199 + x})) for x in "AbC"]
    assert all_pages(mount, user, mount.path(quote(user.id), "?sort=title&limit=1")) == made


@each_mount
@table
@pytest.mark.parametrize(
    ("query", "name", "code", "detail"),
    [
        ("status=done", "status", "invalid", "must be one of all, pending, active, completed."),
        ("status=Pending", "status", "invalid", "must be one of all, pending, active, completed."),
        ("status=pending&completed=false", "status", "invalid", "cannot be combined with completed."),
        ("status=all&completed=true", "status", "invalid", "cannot be combined with completed."),
        ("priority=1", "priority", "invalid", "must be one of low, medium, high, urgent."),
        ("priority=", "priority", "invalid", "must be one of low, medium, high, urgent."),
        ("tag=", "tag", "required", "must not be empty."),
        ("tag=home&tag=%09", "tag", "required", "must not be empty."),
        (f"tag={'x' * 51}", "tag", "too_long", "must be at most 50 characters."),
        ("tag=a%00", "tag", "invalid_character", "must not contain a control character."),
        ("&".join(f"tag={n}" for n in range(21)), "tag", "too_long", "must be at most 20 items."),
        (
            "due_after=today",
            "due_after",
            "invalid",
            "must be a date or a date-time, as in 2026-02-05T09:00:00Z.",
        ),
        ("due_before=2026-02-30", "due_before", "invalid", "must be a day of the calendar."),
        ("due_before=0000-01-01", "due_before", "out_of_range", "must be in the years 1 to 9999."),
        (
            "due_after=2026-02-05T09:00+01:00",
            "due_after",
            "invalid",
            "must be a date or a date-time, as in 2026-02-05T09:00:00Z.",
        ),
        (f"search={'x' * 201}", "search", "too_long", "must be at most 200 characters."),
        ("search=%00", "search", "invalid_character", "must not contain a NUL character."),
        ("order=up", "order", "invalid", "must be one of asc, desc."),
        ("order=ASC", "order", "invalid", "must be one of asc, desc."),
        ("sort=title&sort_by=title", "sort_by", "invalid", "cannot be combined with sort."),
        ("sortBy=title&sort_by=title", "sortBy", "invalid", "cannot be combined with sort_by."),
        ("order=asc&sortOrder=asc", "sortOrder", "invalid", "cannot be combined with order."),
        ("sort=title&sort=title", "sort", "repeated_parameter", "must be given once."),
        ("priority=low&priority=high", "priority", "repeated_parameter", "must be given once."),
        ("tags=home", "tags", "unknown_parameter", "is not a parameter of this address."),
    ],
)
def test_a_bad_parameter_is_named(
    mount: Mount, query: str, name: str, code: str, detail: str, alice: Person
) -> None:
    expect_invalid(alice.get(mount.path(rest=f"?{query}")), mount, "parameter", name, code, detail)


@each_mount
@table
@pytest.mark.parametrize("sort", ["", "id", "Title", "user_id", "deleted_at", "title,id", "rev"])
def test_an_unknown_sort_is_refused(mount: Mount, sort: str, alice: Person) -> None:
    body = alice.get(mount.path(rest=f"?sort={sort}")).get_json()
    assert (body["status"], body["errors"][0]["parameter"]) == (mount.invalid, "sort")
    assert set(SORTS) <= set(re.findall(r"\w+", body["detail"]))


@each_mount
@table
@pytest.mark.parametrize(
    "query",
    [
        "status=all",
        "priority=low",
        "tag=home",
        "due_after=2026-01-01",
        "due_before=2026-01-01",
        "search=x",
        "sort=title",
        "sortBy=created_at",
        "order=desc",
        "sort_order=desc",
    ],
)
def test_the_trash_keeps_its_own_order_and_takes_no_other_filter(
    mount: Mount, query: str, alice: Person
) -> None:
    response = alice.get(mount.path(rest=f"?deleted=true&completed=false&limit=1&{query}"))
    detail = "cannot be combined with deleted=true."
    expect_invalid(response, mount, "parameter", query.partition("=")[0], "invalid", detail)


LISTS = (
    "",
    "completed=true",
    "completed=false",
    "status=all&sort=title",
    "sort=title&order=desc",
    "sort=due_date",
    "sort=position",
    "order=asc",
    "priority=medium",
    "priority=low",
    "tag=home",
    "tag=home&tag=x",
    "due_after=2026-01-01",
    "due_before=2027-01-01",
    "search=x",
    "deleted=true",
)


@each_mount
def test_a_cursor_goes_with_its_own_filters_and_order_alone(mount: Mount, alice: Person) -> None:
    for n in range(8):
        one = create(mount, alice, "x", completed=n % 2 == 0, tags=["home", "x"], due_date="2026-06-01")
        if n % 4 < 2:
            alice.patch(mount.path(rest=f"/{one['id']}"), {"priority": "low"})
        if n > 5:
            alice.delete(mount.path(rest=f"/{one['id']}"))
    for n in (0, 1):
        create(mount, alice, "x", completed=n == 0)
    cursors = {query: cursor_of(alice.get(mount.path(rest=f"?limit=1&{query}"))) for query in LISTS}
    for made_with, cursor in cursors.items():
        for sent_with in LISTS:
            response = alice.get(mount.path(rest=f"?limit=9&{sent_with}&cursor={cursor}"))
            if sent_with == made_with:
                assert response.status_code == 200, sent_with
            else:
                expect_invalid(response, mount, "parameter", "cursor", "invalid", BAD_CURSOR)


FORGED = (b"[]", b"{}", b"true", b"1.5", b"-1", b"9" * 30, b'"\\u0000"', b'["a"]', b'"x', b"", b"NaN")


@table
@pytest.mark.parametrize("sort", SORTS)
def test_a_forged_sort_key_is_refused(sort: str, alice: Person, subtests: pytest.Subtests) -> None:
    for _ in range(2):
        alice.post(
            "/api/tasks", {"title": "x", "due_date": "2026-02-05", "position": "a0", "completed": True}
        )
    packed = base64.urlsafe_b64decode(cursor_of(alice.get(f"/api/tasks?sort={sort}&limit=1")) + "==")
    for key in FORGED:
        with subtests.test(key=key):
            forged = base64.urlsafe_b64encode(key + packed[-24:]).decode()
            response = alice.get(f"/api/tasks?sort={sort}&cursor={forged}")
            expect_invalid(response, API, "parameter", "cursor", "invalid", BAD_CURSOR)


def test_other_words_for_the_same_list_take_its_cursor(alice: Person) -> None:
    for _ in range(3):
        alice.post("/api/tasks", {"title": "x"})
    cursor = cursor_of(alice.get("/api/tasks?status=pending&sort=created&limit=1"))
    same = alice.get(f"/api/tasks?completed=FALSE&sortBy=created_at&order=desc&search=%20&cursor={cursor}")
    assert len(same.get_json()) == 2


def test_the_link_keeps_each_tag_and_each_filter(alice: Person) -> None:
    for _ in range(2):
        alice.post("/api/tasks", {"title": "Call ü", "tags": ["a b", "c&d"]})
    first = alice.get("/api/tasks?tag=a%20b&tag=c%26d&search=%C3%9C&sort=priority&limit=1")
    link = next_of(first) or ""
    assert link.startswith("/api/tasks?tag=a+b&tag=c%26d&search=%C3%9C&sort=priority&limit=1&cursor=")
    assert len(alice.get(link).get_json()) == 1


@each_mount
def test_filters_a_search_and_a_sort_combine_page_by_page(mount: Mount, alice: Person) -> None:
    body = {"title": "Call", "priority": "high", "due_date": "2026-12-01", "tags": ["home"]}
    wanted = [mount.task(alice.post(mount.path(), body))["id"] for _ in range(3)]
    create(mount, alice, "Call", completed=True, tags=["home"])
    create(mount, alice, "Mail", tags=["home"])
    query = "?status=pending&sort=due_date&tag=home&search=CALL&limit=1"
    assert [task["id"] for task in all_pages(mount, alice, mount.path(rest=query))] == wanted
