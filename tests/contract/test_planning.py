"""Due dates, priorities, tags, positions and times of completion: what they hold, and what clears them."""

from typing import Any

import pytest

from tests.contract.expect import complete, create, each_mount, expect_invalid, get, rev, table
from tests.mounts import Mount
from tests.people import Person

each_writing = pytest.mark.parametrize("write", ["POST", "PUT", "PATCH"])
PLAN: dict[str, Any] = {
    "priority": "urgent",
    "due_date": "2026-12-01",
    "tags": ["home", "garden"],
    "position": "a0",
}
UNPLANNED: dict[str, Any] = {"priority": "medium", "due_date": None, "tags": [], "position": None}
NOT_A_DATE = "must be a date or a date-time, as in 2026-02-05T09:00:00Z."
NO_SUCH_DATE = "must be a day of the calendar."
YEAR = "must be in the years 1 to 9999."
CHOICES = "must be one of low, medium, high, urgent."


def send(mount: Mount, person: Person, write: str, **fields: Any) -> Any:
    """Create a task with these fields, or change one to them."""
    if write == "POST":
        return person.post(mount.path(), {"title": "Call", **fields})
    task = create(mount, person, "Call")
    return person.request(write, mount.path(rest=f"/{task['id']}"), json=fields)


def plan(task: dict[str, Any]) -> dict[str, Any]:
    return {name: task[name] for name in UNPLANNED}


@each_mount
@each_writing
def test_a_plan_is_stored_and_shown_wherever_the_task_is(mount: Mount, write: str, alice: Person) -> None:
    task = mount.task(send(mount, alice, write, **PLAN))
    assert plan(task) == PLAN
    assert get(mount, alice, task["id"]) == task
    assert mount.tasks(alice.get(mount.path())) == [task]
    assert alice.get(mount.path(rest="/changes")).get_json()["tasks"] == [task]
    alice.delete(mount.path(rest=f"/{task['id']}"))
    assert plan(mount.tasks(alice.get(mount.path(rest="?deleted=true")))[0]) == PLAN


@each_mount
@pytest.mark.parametrize("fields", [{}, dict.fromkeys(UNPLANNED)], ids=["left out", "null"])
def test_a_task_without_a_plan_has_the_defaults(mount: Mount, fields: Any, alice: Person) -> None:
    assert plan(create(mount, alice, **fields)) == UNPLANNED


@each_mount
@table
@pytest.mark.parametrize("write", ["PUT", "PATCH"])
@pytest.mark.parametrize("name", UNPLANNED)
def test_null_clears_one_field_and_what_is_not_sent_stays(
    mount: Mount, write: str, name: str, alice: Person
) -> None:
    task = create(mount, alice, **PLAN)
    address = mount.path(rest=f"/{task['id']}")
    changed = mount.task(alice.request(write, address, json={"title": "Call Bob"}))
    assert plan(changed) == PLAN
    cleared = mount.task(alice.request(write, address, json={name: None}))
    assert plan(cleared) == PLAN | {name: UNPLANNED[name]}
    assert cleared["rev"] == task["rev"] + 2


@each_mount
@table
@pytest.mark.parametrize(
    "same",
    [
        PLAN,
        {"due_date": "2026-12-01", "position": "a0"},
        {"tags": [" home ", "garden", "home"]},
        {"priority": "urgent"},
    ],
    ids=str,
)
@pytest.mark.parametrize("write", ["PUT", "PATCH"])
def test_a_plan_that_is_so_already_changes_nothing(
    mount: Mount, write: str, same: dict[str, Any], alice: Person
) -> None:
    task = create(mount, alice, **PLAN)
    response = alice.request(write, mount.path(rest=f"/{task['id']}"), json=same)
    assert (response.status_code, mount.task(response)) == (200, task)
    assert alice.get(mount.path(rest=f"/changes?since={task['rev']}")).get_json()["tasks"] == []


@each_mount
@pytest.mark.parametrize("change", [{"tags": ["garden", "home"]}, {"tags": ["Home", "garden"]}], ids=str)
def test_the_order_and_the_case_of_tags_matter(mount: Mount, change: dict[str, Any], alice: Person) -> None:
    task = create(mount, alice, **PLAN)
    changed = mount.task(alice.patch(mount.path(rest=f"/{task['id']}"), change))
    assert (changed["tags"], changed["rev"]) == (change["tags"], task["rev"] + 1)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-02-05", "2026-02-05"),
        ("2024-02-29", "2024-02-29"),
        ("0001-01-01", "0001-01-01"),
        ("9999-12-31", "9999-12-31"),
        ("2026-02-05T10:00", "2026-02-05T10:00:00"),
        ("2026-02-05t10:00:30", "2026-02-05T10:00:30"),
        ("2026-02-05T10:00:30.999", "2026-02-05T10:00:30"),
        ("2026-02-05T09:00Z", "2026-02-05T09:00:00Z"),
        ("2026-02-05T09:00:00.123456789z", "2026-02-05T09:00:00Z"),
        ("2026-02-05T00:30:00+01:00", "2026-02-04T23:30:00Z"),
        ("2026-12-31T23:30:00-05:30", "2027-01-01T05:00:00Z"),
        ("2026-02-05T09:00:00-00:00", "2026-02-05T09:00:00Z"),
        ("0001-01-01T01:00:00+01:00", "0001-01-01T00:00:00Z"),
        ("9999-12-31T22:59:59-01:00", "9999-12-31T23:59:59Z"),
    ],
)
@each_mount
@table
def test_a_due_date_is_a_day_a_local_time_or_an_instant(
    mount: Mount, sent: str, stored: str, alice: Person
) -> None:
    task = create(mount, alice, due_date=sent)
    assert task["due_date"] == stored
    for path in (mount.path(rest=f"/{task['id']}"), mount.path(rest="/changes"), mount.path()):
        assert f'"due_date":"{stored}"' in alice.get(path).text
    again = alice.patch(mount.path(rest=f"/{task['id']}"), {"due_date": sent})
    assert mount.task(again) == task


@pytest.mark.parametrize(
    ("due_date", "code", "detail"),
    [
        ("2026-02-30", "invalid", NO_SUCH_DATE),
        ("2025-02-29", "invalid", NO_SUCH_DATE),
        ("2026-04-31T10:00Z", "invalid", NO_SUCH_DATE),
        *(
            (text, "invalid", NOT_A_DATE)
            for text in (
                "",
                " 2026-02-05",
                "2026-02-05\n",
                "2026-2-5",
                "26-02-05",
                "12026-02-05",
                "-2026-02-05",
                "2026-13-01",
                "2026-00-01",
                "2026-01-00",
                "2026-W06-4",
                "20260205",
                "05.02.2026",
                "tomorrow",
                "10:00",
                "T10:00",
                "2026-02-05 10:00",
                "2026-02-05T",
                "2026-02-05T10",
                "2026-02-05T24:00",
                "2026-02-05T10:60",
                "2026-02-05T10:00:60Z",
                "2026-02-05T10:00.5",
                "2026-02-05Z",
                "2026-02-05T10:00+01",
                "2026-02-05T10:00+0100",
                "2026-02-05T10:00+24:00",
                "2026-02-05T10:00 Z",
                "٢٠٢٦-02-05",
                "2026-02-05\0",
                "9" * 5000,
            )
        ),
        ("0000-01-01", "out_of_range", YEAR),
        ("0001-01-01T00:00:00+00:01", "out_of_range", YEAR),
        ("9999-12-31T23:59:59-00:01", "out_of_range", YEAR),
    ],
)
@each_mount
@table
def test_a_due_date_that_is_none_is_refused(
    mount: Mount, due_date: str, code: str, detail: str, alice: Person
) -> None:
    for write in ("POST", "PUT", "PATCH"):
        response = send(mount, alice, write, due_date=due_date)
        expect_invalid(response, mount, "pointer", "due_date", code, detail)
    assert rev(alice) == 2


@each_mount
@table
@pytest.mark.parametrize(
    ("name", "value", "code", "detail"),
    [
        ("priority", "High", "invalid", CHOICES),
        ("priority", "", "invalid", CHOICES),
        ("priority", 2, "invalid_type", "must be a string."),
        ("due_date", 20260205, "invalid_type", "must be a string."),
        ("due_date", {}, "invalid_type", "must be a string."),
        ("position", 1, "invalid_type", "must be a string."),
        ("position", "", "required", "must not be empty."),
        ("position", "a" * 101, "too_long", "must be at most 100 characters."),
        ("position", "ü", "invalid_character", "must be printable ASCII characters."),
        ("position", "a\n", "invalid_character", "must be printable ASCII characters."),
        ("position", "\x7f", "invalid_character", "must be printable ASCII characters."),
        ("position", "\0", "invalid_character", "must be printable ASCII characters."),
        ("tags", "home", "invalid_type", "must be an array of strings."),
        ("tags", {"0": "home"}, "invalid_type", "must be an array of strings."),
        ("tags", [str(n) for n in range(21)], "too_long", "must be at most 20 items."),
        ("tags/0", [""], "required", "must not be empty."),
        ("tags/1", ["home", " \t\n"], "required", "must not be empty."),
        ("tags/3", ["a", "b", "c", "d" * 51], "too_long", "must be at most 50 characters."),
        ("tags/0", ["a\0b"], "invalid_character", "must not contain a control character."),
        ("tags/0", ["a\nb"], "invalid_character", "must not contain a control character."),
        ("tags/0", ["a\u0085b"], "invalid_character", "must not contain a control character."),
        ("tags/2", ["a", "b", None], "invalid_type", "must be a string."),
        ("tags/0", [1], "invalid_type", "must be a string."),
        ("tags/0", [["home"]], "invalid_type", "must be a string."),
    ],
)
def test_bad_input_is_named_by_its_place(
    mount: Mount, name: str, value: Any, code: str, detail: str, alice: Person
) -> None:
    for write in ("POST", "PUT", "PATCH"):
        response = send(mount, alice, write, **{name.partition("/")[0]: value})
        expect_invalid(response, mount, "pointer", name, code, detail)


@each_mount
def test_every_bad_tag_is_named(mount: Mount, alice: Person) -> None:
    response = send(mount, alice, "POST", tags=["", "home", 7, "x" * 51], due_date="never")
    errors = response.get_json()["errors"]
    assert {error["pointer"] for error in errors} == {"/tags/0", "/tags/2", "/tags/3", "/due_date"}


@each_mount
def test_the_largest_plan_fits(mount: Mount, alice: Person) -> None:
    tags = [f"{'😀' * 49}{chr(0x41 + n)}" for n in range(20)]
    largest: dict[str, Any] = {
        "priority": "low",
        "due_date": "9999-12-31T23:59:59Z",
        "tags": tags,
        "position": " ~" * 50,
    }
    assert plan(create(mount, alice, **largest)) == largest


@each_mount
@table
@pytest.mark.parametrize(
    "tag", ['"', "\\", "'", "{a,b}", "NULL", "null", "[]", "%", ",", "a b", "ü😀", "\u200d"]
)
def test_a_tag_of_odd_characters_is_kept_and_found(mount: Mount, tag: str, alice: Person) -> None:
    create(mount, alice, tags=["other"])
    task = create(mount, alice, tags=[tag, "home"])
    assert task["tags"] == [tag, "home"]
    found = alice.get(mount.path(), query_string=[("tag", tag), ("tag", "home")])
    assert mount.tasks(found) == [task]


@each_mount
def test_completed_at_is_set_and_cleared_whichever_call_does_it(mount: Mount, alice: Person) -> None:
    made = create(mount, alice, completed=True)
    assert made["completed_at"] == made["created_at"]
    task = create(mount, alice)
    assert task["completed_at"] is None
    address = mount.path(rest=f"/{task['id']}")
    for write in ("PUT", "PATCH"):
        done = mount.task(alice.request(write, address, json={"completed": True}))
        assert done["completed_at"] == done["updated_at"] > task["updated_at"]
        renamed = mount.task(alice.request(write, address, json={"title": write, "completed": True}))
        assert renamed["completed_at"] == done["completed_at"] < renamed["updated_at"]
        undone = mount.task(alice.request(write, address, json={"completed": False}))
        assert undone["completed_at"] is None
    flipped = mount.task(complete(mount, alice, task["id"]))
    assert flipped["completed_at"] == flipped["updated_at"]
    assert mount.task(complete(mount, alice, task["id"]))["completed_at"] is None
    if mount.completion[1] == "complete":
        done = mount.task(alice.patch(f"{address}/complete", {"completed": True}))
        assert mount.task(alice.patch(f"{address}/complete", {"completed": True})) == done
        assert done["completed_at"] == done["updated_at"]


@each_mount
def test_completed_at_stays_in_the_trash_and_back(mount: Mount, alice: Person) -> None:
    task = create(mount, alice, completed=True)
    address = mount.path(rest=f"/{task['id']}")
    alice.delete(address)
    (trashed,) = mount.tasks(alice.get(mount.path(rest="?deleted=true")))
    restored = mount.task(alice.post(f"{address}/restore"))
    assert trashed["completed_at"] == restored["completed_at"] == task["completed_at"]


@each_mount
@each_writing
def test_completed_at_is_ignored_on_input(mount: Mount, write: str, alice: Person) -> None:
    response = send(mount, alice, write, completed_at="2020-01-01T00:00:00Z")
    assert mount.task(response)["completed_at"] is None
