"""Entity tags as RFC 9110 compares them."""

import pytest
from flask import Flask

from app.errors import Problem
from app.etags import if_match_revs, if_none_match_matches, list_etag, task_etag

app = Flask(__name__)
UNQUOTED = 'If-Match: holds no entity tag; send the ETag of a response with its quotes, as in "42".'


@pytest.mark.parametrize(
    ("header", "revs"),
    [
        (None, None),
        ("*", None),
        (" * ", None),
        ('"42"', [42]),
        ('"42","7"', [42, 7]),
        (' , "42" ,, "7" ', [42, 7]),
        ('W/"42"', []),
        ('W/"42", "7"', [7]),
        ('"042"', []),
        ('"0"', []),
        ('"-1"', []),
        ('"1e3"', []),
        ('" 42", "7"', [7]),
        ('"42""7", "1"', [1]),
        ('"42", "7", "42"', [42, 7]),
        (", ".join(f'"{rev}"' for rev in range(1, 101)), [*range(1, 101)]),
        ('"\xb2"', []),
        ('*, "7"', [7]),
        ('"' + "9" * 18 + '"', [10**18 - 1]),
        ('"' + "9" * 19 + '"', []),
        ('"' + "9" * 5000 + '"', []),
    ],
)
def test_if_match_names_revs_by_strong_tags_alone(header: str | None, revs: list[int] | None) -> None:
    with app.test_request_context(headers={} if header is None else {"If-Match": header}):
        assert if_match_revs() == (None if revs is None else set(revs))


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        *((header, UNQUOTED) for header in ("", "42", "42, 43", '"42', '"42""7"', '"4 2"', "'42'", "W/42")),
        (", ".join(['"42"'] * 101), "If-Match: must name at most 100 entity tags."),
    ],
)
def test_if_match_without_a_tag_or_with_too_many_is_refused(header: str, detail: str) -> None:
    with app.test_request_context(headers={"If-Match": header}), pytest.raises(Problem) as caught:
        if_match_revs()
    assert (caught.value.code, caught.value.problem_code, caught.value.description) == (
        400,
        "bad_request",
        detail,
    )


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (None, False),
        ("", False),
        ("*", True),
        ('"42"', True),
        ('W/"42"', True),
        ('w/"42"', False),
        ('"41", W/"42"', True),
        ('"41", W/"43"', False),
        ("42", False),
        ('"*"', False),
        ('x, "42"', True),
    ],
)
def test_if_none_match_compares_weakly(header: str | None, known: bool) -> None:
    with app.test_request_context(headers={} if header is None else {"If-None-Match": header}):
        assert if_none_match_matches('"42"') is known


def test_a_tasks_tag_is_its_rev() -> None:
    assert task_etag(42) == '"42"'


def test_a_lists_tag_tells_its_parts_apart() -> None:
    parts = [("a", 1), ("a", 11), ("a1", 1), ("a", "1"), ("b", 1), ("a", 1, None), ("a,1",), ("a', 1, '", 1)]
    tags = {list_etag(*part) for part in parts}
    assert len(tags) == len(parts)
    assert list_etag("a", 1) == list_etag("a", 1)
    assert all(tag.isascii() and tag[0] == tag[-1] == '"' and '"' not in tag[1:-1] for tag in tags)
