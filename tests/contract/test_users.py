"""What is kept of a user: `/api/me`."""

from collections.abc import Callable
from typing import Any

import pytest

from app.db import database
from tests.contract.expect import API, V1, create, each_mount, expect_problem, rev, table
from tests.mounts import MOUNTS, Mount
from tests.people import Person

# 64 + 1 + 63 + 1 + 63 + 1 + 59 + 1 + 2 = 255 characters.
LONGEST_EMAIL = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 59}.io"
STRANGER = {"id": "alice", "email": None, "name": None, "rev": 0, "created_at": None}


def me(user: Person) -> dict[str, Any]:
    response = user.get("/api/me")
    assert response.status_code == 200
    body: dict[str, Any] = response.get_json()
    return body


def test_a_user_who_never_wrote_is_who_the_token_says(person: Callable[..., Person]) -> None:
    alice = person("alice", email="alice@example.com", name="Alice")
    assert me(alice) == STRANGER | {"email": "alice@example.com", "name": "Alice"}
    assert me(person("alice")) == STRANGER


@each_mount
def test_a_write_keeps_the_tokens_email_and_name(mount: Mount, person: Callable[..., Person]) -> None:
    task = create(mount, person("alice", email="alice@example.com", name="Alice"))
    assert me(person("alice")) == {
        "id": "alice",
        "email": "alice@example.com",
        "name": "Alice",
        "rev": 1,
        "created_at": task["created_at"],
    }


def test_a_later_write_brings_a_new_name_and_leaves_what_its_token_does_not_say(
    person: Callable[..., Person],
) -> None:
    task = create(API, person("alice", email="alice@example.com", name="Alice"))
    create(API, person("alice", name="Alice B."))
    assert me(person("alice")) == {
        "id": "alice",
        "email": "alice@example.com",
        "name": "Alice B.",
        "rev": 2,
        "created_at": task["created_at"],
    }


@table
@pytest.mark.parametrize("email", [LONGEST_EMAIL, "a@b.io", "o'hara+tasks@mail.example.com"])
@pytest.mark.parametrize("name", ["A", "x" * 100, "😀" * 100, "Zoë O'Hara"])
def test_an_email_and_a_name_within_limits_are_kept(
    email: str, name: str, person: Callable[..., Person]
) -> None:
    assert len(LONGEST_EMAIL) == 255
    create(API, person("alice", email=email, name=name))
    assert (me(person("alice"))["email"], me(person("alice"))["name"]) == (email, name)


@table
@pytest.mark.parametrize(
    "claims",
    [
        {"email": "nonsense"},
        {"email": "a@"},
        {"email": "a" + LONGEST_EMAIL},
        {"email": ""},
        {"email": 5},
        {"email": ["alice@example.com"]},
        {"email": "alice@example.com\n"},
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 101},
        {"name": 5},
        {"name": True},
        {"name": {"first": "Alice"}},
        {"name": "A\0lice"},
        {"email": None, "name": None},
    ],
    ids=lambda claims: str(claims)[:30],
)
def test_a_claim_that_is_no_email_or_no_name_is_left_out_and_the_request_goes_on(
    claims: dict[str, Any], person: Callable[..., Person]
) -> None:
    alice = person("alice", **claims)
    assert me(alice) == STRANGER
    task = create(API, alice)
    assert me(alice) == STRANGER | {"rev": 1, "created_at": task["created_at"]}


@pytest.mark.parametrize("claims", [{"email": "nonsense", "name": "Alice"}, {"email": "a@b.io", "name": ""}])
def test_a_bad_claim_takes_nothing_from_the_good_one(
    claims: dict[str, Any], person: Callable[..., Person]
) -> None:
    create(API, person("alice", **claims))
    kept = me(person("alice"))
    assert [kept["email"], kept["name"]].count(None) == 1
    assert {kept["email"], kept["name"]} & set(claims.values())


def test_deleting_oneself_twice_is_204_and_takes_every_task_and_all_that_was_known(
    person: Callable[..., Person],
) -> None:
    alice = person("alice", email="alice@example.com", name="Alice")
    kept, trashed = create(API, alice)["id"], create(API, alice)["id"]
    assert alice.delete(f"/api/tasks/{trashed}").status_code == 204
    before = rev(alice)
    for _ in range(2):
        response = alice.delete("/api/me")
        assert (response.status_code, response.data) == (204, b"")
    after = me(person("alice"))
    assert (after["email"], after["name"], after["created_at"]) == (None, None, None)
    assert after["rev"] >= before
    for mount in MOUNTS:
        assert mount.tasks(alice.get(mount.path())) == []
        assert alice.get(mount.path(rest=f"/{kept}")).status_code == 404


@pytest.mark.databases("postgresql")
def test_a_first_write_beside_a_deletion_of_oneself_comes_after_it_whole(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has one writer at a time, so nothing comes between there."""
    written: list[dict[str, Any]] = []
    send = database.send

    def send_and_write(cursor: Any, statement: str, params: Any) -> None:
        send(cursor, statement, params)
        if "UPDATE users" in statement and not written:
            written.append({})
            written[0] = create(API, alice)

    monkeypatch.setattr(database, "send", send_and_write)
    assert alice.delete("/api/me").status_code == 204
    assert alice.get("/api/tasks").get_json() == written
    assert me(alice)["rev"] == written[0]["rev"] == 1


def test_the_rev_of_one_who_comes_back_goes_on(person: Callable[..., Person]) -> None:
    alice = person("alice", name="Alice")
    for _ in range(3):
        create(V1, alice)
    assert alice.delete("/api/me").status_code == 204
    left = rev(alice)
    task = create(V1, alice)
    assert 3 <= left < task["rev"]
    assert me(alice) == {
        "id": "alice",
        "email": None,
        "name": "Alice",
        "rev": task["rev"],
        "created_at": task["created_at"],
    }


def test_deleting_one_who_never_wrote_is_204_and_writes_nothing(alice: Person) -> None:
    assert [alice.delete("/api/me").status_code for _ in range(2)] == [204, 204]
    assert me(alice) == STRANGER


def test_deleting_oneself_leaves_everybody_else_as_they_were(
    alice: Person, person: Callable[..., Person]
) -> None:
    bob = person("bob", name="Bob")
    task = create(API, bob)
    before = me(bob)
    create(API, alice)
    assert alice.delete("/api/me").status_code == 204
    assert me(bob) == before
    assert bob.get("/api/tasks").get_json() == [task]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_user_cannot_be_written(method: str, alice: Person) -> None:
    response = alice.request(method, "/api/me", json={"name": "Alice"})
    sentence = "This address does not answer to this method."
    expect_problem(response, 405, "method_not_allowed", sentence, v1=False)
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "DELETE", "OPTIONS"}
