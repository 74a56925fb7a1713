"""What a body may hold: limits, types, names, media types and JSON itself."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.contract.expect import (
    NEVER_WAS,
    NO_JSON,
    V1,
    create,
    each_complete,
    each_mount,
    expect_invalid,
    expect_names,
    expect_problem,
    get,
    rev,
    table,
)
from tests.mounts import Mount
from tests.people import Person

KIB_64 = 64 * 1024
GARBAGE: tuple[Any, ...] = (None, 5, "garbage", True, [], {"a": 1}, "x" * 3000)
# Code points, not bytes, UTF-16 units or what a reader sees as one character.
CHARACTERS = {"ASCII": "x", "emoji": "😀", "combining": "e\u0301", "family": "👨\u200d👩\u200d👧"}
each_character = pytest.mark.parametrize("character", list(CHARACTERS.values()), ids=list(CHARACTERS))
each_writing = pytest.mark.parametrize("write", ["POST", "PUT"])


def text_of(character: str, length: int) -> str:
    """So many code points."""
    return (character * length)[:length]


def send(mount: Mount, alice: Person, write: str, **kwargs: Any) -> TestResponse:
    """POST to the list, or PUT to a task that is there."""
    rest = "" if write == "POST" else f"/{create(mount, alice)['id']}"
    return alice.request(write, mount.path(rest=rest), **kwargs)


def body_of(mount: Mount, **fields: Any) -> dict[str, Any]:
    """A body with a title; the field called TEXT goes by the mount's name."""
    return {"title": "Buy milk"} | {
        mount.text_field if n == "TEXT" else n: value for n, value in fields.items()
    }


@each_mount
@table
@each_writing
@each_character
def test_a_title_of_200_code_points_fits_and_one_more_does_not(
    mount: Mount, write: str, character: str, alice: Person
) -> None:
    title = text_of(character, 200)
    fits = send(mount, alice, write, json={"title": title})
    assert (fits.status_code, mount.task(fits)["title"]) == (201 if write == "POST" else 200, title)
    over = send(mount, alice, write, json={"title": text_of(character, 201)})
    expect_invalid(over, mount, "pointer", "title", "too_long", "must be at most 200 characters.")


@each_mount
@each_writing
@each_character
def test_a_text_of_the_mounts_limit_fits_and_one_more_does_not(
    mount: Mount, write: str, character: str, alice: Person
) -> None:
    text = text_of(character, mount.text_limit)
    fits = send(mount, alice, write, json=body_of(mount, TEXT=text))
    assert (fits.status_code, mount.task(fits)[mount.text_field]) == (201 if write == "POST" else 200, text)
    over = send(mount, alice, write, json=body_of(mount, TEXT=text_of(character, mount.text_limit + 1)))
    detail = f"must be at most {mount.text_limit} characters."
    expect_invalid(over, mount, "pointer", mount.text_field, "too_long", detail)


@each_mount
@each_writing
def test_a_title_is_trimmed_before_it_is_measured(mount: Mount, write: str, alice: Person) -> None:
    response = send(mount, alice, write, json={"title": " \t\r\n" + "x" * 200 + "\u00a0\u3000 "})
    assert mount.task(response)["title"] == "x" * 200


@each_mount
@table
@each_writing
@pytest.mark.parametrize("title", ["", " ", "\t\r\n ", "\u3000"])
def test_a_title_must_not_be_empty(mount: Mount, write: str, title: str, alice: Person) -> None:
    response = send(mount, alice, write, json={"title": title})
    expect_invalid(response, mount, "pointer", "title", "required", "must not be empty.")


@each_mount
@table
@pytest.mark.parametrize("text", ["", " ", " a\n ", "\r\n\t", "e\u0301", "<b>'; --"])
def test_a_text_is_kept_as_sent(mount: Mount, text: str, alice: Person) -> None:
    task = create(mount, alice, **{mount.text_field: text})
    assert get(mount, alice, task["id"])[mount.text_field] == text


@each_mount
@pytest.mark.parametrize("body", [{}, {"completed": True}])
def test_a_title_is_required_on_create(mount: Mount, body: dict[str, Any], alice: Person) -> None:
    expect_invalid(alice.post(mount.path(), body), mount, "pointer", "title", "required", "is required.")


@each_mount
@table
@each_writing
@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], {}, ["Buy milk"]], ids=repr)
def test_a_title_is_a_string(mount: Mount, write: str, value: Any, alice: Person) -> None:
    response = send(mount, alice, write, json={"title": value})
    expect_invalid(response, mount, "pointer", "title", "invalid_type", "must be a string.")


@each_mount
@table
@each_writing
@pytest.mark.parametrize("value", [1, 1.5, False, [], {}], ids=repr)
def test_a_text_is_a_string_or_null(mount: Mount, write: str, value: Any, alice: Person) -> None:
    response = send(mount, alice, write, json=body_of(mount, TEXT=value))
    expect_invalid(response, mount, "pointer", mount.text_field, "invalid_type", "must be a string.")


@each_mount
@table
@each_writing
@pytest.mark.parametrize("value", [None, 0, 1, "true", "", [], {}], ids=repr)
def test_completed_is_a_json_boolean(mount: Mount, write: str, value: Any, alice: Person) -> None:
    response = send(mount, alice, write, json=body_of(mount, completed=value))
    expect_invalid(response, mount, "pointer", "completed", "invalid_type", "must be true or false.")


@each_complete
@table
@pytest.mark.parametrize("value", [None, 0, 1, "true", "", [], {}], ids=repr)
def test_completion_is_set_by_a_json_boolean(mount: Mount, value: Any, alice: Person) -> None:
    task = create(mount, alice)
    response = alice.patch(mount.path(rest=f"/{task['id']}/complete"), {"completed": value})
    expect_invalid(response, mount, "pointer", "completed", "invalid_type", "must be true or false.")
    assert get(mount, alice, task["id"]) == task


@each_mount
@table
@pytest.mark.parametrize("value", [1, True, "", "nonsense", NEVER_WAS.replace("-", ""), [], {}], ids=repr)
def test_an_id_on_create_is_a_uuid(mount: Mount, value: Any, alice: Person) -> None:
    response = alice.post(mount.path(), {"title": "Buy milk", "id": value})
    expect_invalid(response, mount, "pointer", "id", "invalid", "must be a UUID.")


@each_mount
@table
@each_writing
@pytest.mark.parametrize("field", ["title", "TEXT"])
@pytest.mark.parametrize("value", ["\0", "a\0b"])
def test_a_nul_character_is_refused(mount: Mount, write: str, field: str, value: str, alice: Person) -> None:
    body = body_of(mount, **{field: value})
    response = send(mount, alice, write, json=body)
    name = mount.text_field if field == "TEXT" else field
    expect_invalid(response, mount, "pointer", name, "invalid_character", "must not contain a NUL character.")


@each_mount
@table
@each_writing
@pytest.mark.parametrize("data", [b"null", b"true", b"1", b'"title"', b"[]", b'[{"title": "a"}]'])
def test_a_body_that_is_no_object_is_invalid(mount: Mount, write: str, data: bytes, alice: Person) -> None:
    response = send(mount, alice, write, data=data, content_type="application/json")
    expect_invalid(response, mount, "pointer", "", "invalid_type", "must be a JSON object.")


@each_mount
@each_writing
def test_every_bad_field_is_named(mount: Mount, write: str, alice: Person) -> None:
    body = body_of(mount, title="", TEXT=1, completed="yes", colour="red")
    response = send(mount, alice, write, json=body)
    errors = response.get_json()["errors"]
    wanted = {"/title", f"/{mount.text_field}", "/completed", "/colour"}
    assert (response.status_code, {error["pointer"] for error in errors}) == (mount.invalid, wanted)


@each_mount
@table
@each_writing
@pytest.mark.parametrize(
    ("name", "pointer"),
    [
        ("colour", "/colour"),
        ("Title", "/Title"),
        ("deleted_at", "/deleted_at"),
        ("next_cursor", "/next_cursor"),
        ("_schema", "/_schema"),
        ("a/b", "/a~1b"),
        ("m~n", "/m~0n"),
        ("~1", "/~01"),
        ("ü", "/ü"),
        ("\0", "/\0"),
        ("", "/"),
    ],
)
def test_an_unknown_name_is_pointed_at_as_rfc_6901_escapes_it(
    mount: Mount, write: str, name: str, pointer: str, alice: Person
) -> None:
    response = send(mount, alice, write, json={"title": "Buy tea", name: 1})
    expect_names(response, mount, "pointer", pointer)
    assert response.get_json()["errors"][0]["code"] == "unknown_field"


@each_mount
@each_writing
def test_the_error_for_another_mounts_name_tells_the_name_here(
    mount: Mount, write: str, alice: Person
) -> None:
    other = "description" if mount.text_field == "details" else "details"
    response = send(mount, alice, write, json={"title": "Buy tea", other: "2 l"})
    detail = f"is called {mount.text_field} here."
    expect_invalid(response, mount, "pointer", other, "unknown_field", detail)


@each_mount
@table
@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda value: repr(value)[:9])
def test_read_only_names_are_ignored_on_create_whatever_they_hold(
    mount: Mount, garbage: Any, alice: Person
) -> None:
    task = create(mount, alice, user_id=garbage, rev=garbage, created_at=garbage, updated_at=garbage)
    assert (task["rev"], task["created_at"]) == (1, task["updated_at"])
    assert get(mount, alice, task["id"]) == task
    assert task.get("user_id", "alice") == "alice"


@each_mount
@table
@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda value: repr(value)[:9])
def test_read_only_names_are_ignored_on_put_whatever_they_hold(
    mount: Mount, garbage: Any, alice: Person
) -> None:
    task = create(mount, alice)
    body = dict.fromkeys(("id", "user_id", "rev", "created_at", "updated_at"), garbage)
    response = alice.put(mount.path(rest=f"/{task['id']}"), body)
    assert (response.status_code, mount.task(response)) == (200, task)


@each_complete
def test_read_only_names_are_ignored_on_completion(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    body = {"completed": True, "id": 1, "user_id": "bob", "rev": "x", "created_at": [], "updated_at": None}
    response = alice.patch(mount.path(rest=f"/{task['id']}/complete"), body)
    assert (response.status_code, mount.task(response)["completed"]) == (200, True)


@each_mount
def test_a_user_id_in_the_body_does_not_make_a_task_of_anothers(
    mount: Mount, alice: Person, bob: Person
) -> None:
    task = create(mount, alice, user_id="bob")
    assert mount.tasks(bob.get(mount.path("bob"))) == []
    assert mount.tasks(alice.get(mount.path())) == [task]


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  ",
    "open": b'{"title": "a"',
    "words": b"title=Buy",
    "quotes": b"{'title': 'a'}",
    "comma": b'{"title": "a",}',
    "comment": b'{"title": "a"} // b',
    "two": b'{"title": "a"}{"title": "b"}',
    "control": b'{"title": "a\nb"}',
    "NaN": b'{"title": NaN}',
    "NaN in an unknown field": b'{"title": "a", "colour": NaN}',
    "Infinity": b'{"title": "a", "completed": Infinity}',
    "-Infinity": b'{"title": -Infinity}',
    "Latin-1": '{"title": "ü"}'.encode("latin-1"),
    "UTF-16": '{"title": "a"}'.encode("utf-16"),
    "cut UTF-8": b'{"title": "\xf0\x9f\x98"}',
    "overlong UTF-8": b'{"title": "\xc0\xaf"}',
    "BOM": b'\xef\xbb\xbf{"title": "a"}',
    "escaped high surrogate": b'{"title": "\\ud83d"}',
    "escaped low surrogate": b'{"title": "a", "rev": "\\ude00"}',
    "surrogate in a name": b'{"title": "a", "\\ud83d": 1}',
    "raw surrogate": b'{"title": "\xed\xa0\xbd"}',
    "deep arrays": b"[" * 30_000 + b"]" * 30_000,
    "open deep arrays": b"[" * KIB_64,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep in an ignored field": b'{"title": "a", "rev": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "digits": b'{"title": ' + b"9" * 5000 + b"}",
    "digits in an ignored field": b'{"title": "a", "rev": -' + b"9" * 5000 + b"}",
    "repeated name": b'{"title": "a", "title": "a"}',
    "repeated name, escaped": b'{"title": "a", "\\u0074itle": "b"}',
    "repeated name inside": b'{"title": "a", "rev": [{"b": 1, "b": 1}]}',
}


@each_mount
@table
@pytest.mark.parametrize("data", list(MALFORMED.values()), ids=list(MALFORMED))
def test_malformed_json_is_400_on_every_mount(mount: Mount, data: bytes, alice: Person) -> None:
    for write in ("POST", "PUT"):
        response = send(mount, alice, write, data=data, content_type="application/json")
        expect_problem(response, 400, "malformed_json", NO_JSON, v1=mount.enveloped)
    # PUT has created its task.
    assert rev(alice) == 1


@each_complete
@table
@pytest.mark.parametrize(
    "data", [b" ", b"{", b'{"completed": NaN}', b'{"completed": true, "completed": true}']
)
def test_malformed_json_is_400_on_completion_too(mount: Mount, data: bytes, alice: Person) -> None:
    task = create(mount, alice)
    address = mount.path(rest=f"/{task['id']}/complete")
    response = alice.patch(address, data=data, content_type="application/json")
    expect_problem(response, 400, "malformed_json", NO_JSON, v1=False)


@each_mount
@table
@pytest.mark.parametrize("number", [b"1e400", b"1" + b"0" * 400, b"1e-400", b"18446744073709551616", b"-0"])
def test_a_number_of_any_size_is_never_a_500(mount: Mount, number: bytes, alice: Person) -> None:
    response = alice.post(mount.path(), data=b'{"title": ' + number + b"}", content_type="application/json")
    assert (response.status_code, response.get_json()["code"]) in (
        (400, "malformed_json"),
        (mount.invalid, "validation_error"),
    )


@each_mount
@table
@each_writing
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=a",
        "application/merge-patch+json",
        "application/jsonx",
        "text/json",
        "json",
    ],
)
def test_a_body_of_another_media_type_is_415(
    mount: Mount, write: str, content_type: str | None, alice: Person
) -> None:
    response = send(mount, alice, write, data=b'{"title": "a"}', content_type=content_type)
    detail = "The body must be sent as application/json."
    expect_problem(response, 415, "unsupported_media_type", detail, v1=mount.enveloped)


@each_complete
@table
@pytest.mark.parametrize("content_type", [None, "text/plain"])
def test_a_completion_of_another_media_type_is_415(
    mount: Mount, content_type: str | None, alice: Person
) -> None:
    address = mount.path(rest=f"/{create(mount, alice)['id']}/complete")
    response = alice.patch(address, data=b'{"completed": true}', content_type=content_type)
    assert (response.status_code, response.get_json()["code"]) == (415, "unsupported_media_type")


@each_mount
@table
@each_writing
@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json ;a=b"]
)
def test_json_is_taken_with_parameters_and_in_any_letter_case(
    mount: Mount, write: str, content_type: str, alice: Person
) -> None:
    response = send(mount, alice, write, data=b'{"title": "a"}', content_type=content_type)
    assert mount.task(response)["title"] == "a"


@each_mount
@each_writing
def test_a_body_of_64_kib_fits_and_one_byte_more_does_not(mount: Mount, write: str, alice: Person) -> None:
    data = b'{"title": "a"}'.ljust(KIB_64)
    fits = send(mount, alice, write, data=data, content_type="application/json")
    assert fits.status_code == (201 if write == "POST" else 200)
    over = send(mount, alice, write, data=data + b" ", content_type="application/json")
    expect_problem(over, 413, "payload_too_large", "The body is larger than 64 KiB.", v1=mount.enveloped)


@each_mount
@each_writing
def test_a_body_of_more_than_64_kib_in_chunks_is_413_too(mount: Mount, write: str, alice: Person) -> None:
    # As gunicorn hands on a body of no stated length.
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    stream = BytesIO(b'{"title": "a"}'.ljust(KIB_64 + 1))
    response = send(
        mount, alice, write, input_stream=stream, content_type="application/json", environ_overrides=chunked
    )
    expect_problem(response, 413, "payload_too_large", "The body is larger than 64 KiB.", v1=mount.enveloped)


@each_complete
def test_a_completion_of_more_than_64_kib_is_413(mount: Mount, alice: Person) -> None:
    address = mount.path(rest=f"/{create(mount, alice)['id']}/complete")
    data = b'{"completed": true}'.ljust(KIB_64 + 1)
    response = alice.patch(address, data=data, content_type="application/json")
    expect_problem(response, 413, "payload_too_large", "The body is larger than 64 KiB.", v1=False)


@each_mount
@table
@pytest.mark.parametrize("body", [{"title": ""}, {"title": None}, {"colour": "red"}, []], ids=str)
def test_a_body_is_judged_before_its_task_is_looked_up(
    mount: Mount, body: Any, alice: Person, person: Callable[..., Person]
) -> None:
    mine, anothers = create(mount, alice)["id"], create(mount, person("bob"))["id"]
    answers = [
        alice.put(mount.path(rest=f"/{i}"), json=body) for i in (mine, anothers, NEVER_WAS, "nonsense")
    ]
    for answer in answers:
        assert (answer.status_code, answer.get_json()["code"]) == (mount.invalid, "validation_error")
        assert answer.get_json()["errors"] == answers[0].get_json()["errors"]


@each_mount
@table
@pytest.mark.parametrize(
    ("kwargs", "status"),
    [
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b" " * (KIB_64 + 1), "content_type": "application/json"}, 413),
        ({"data": b"{}", "content_type": "text/plain"}, 415),
    ],
    ids=["400", "413", "415"],
)
def test_a_body_that_cannot_be_read_is_told_before_its_task_is_looked_up(
    mount: Mount, kwargs: dict[str, Any], status: int, alice: Person
) -> None:
    assert alice.put(mount.path(rest=f"/{NEVER_WAS}"), **kwargs).status_code == status


def test_a_v1_error_repeats_the_errors_for_frontends_that_look_there(alice: Person) -> None:
    body = alice.post(V1.path(), {"title": "", "completed": 1}).get_json()
    assert body["error"] == {
        "code": "validation_error",
        "message": body["detail"],
        "details": body["errors"],
    }
