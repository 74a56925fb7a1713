"""The number that a client sends as `since`: what it says comes back out of it, in JavaScript's integers."""

import pytest

from app.sync import FIRST_SYNC, MAX_SINCE, PURGES, Position

REVS = [0, 1, 2, 1000, 2**31, 2**32 - 1]


@pytest.mark.parametrize("rev", REVS)
@pytest.mark.parametrize("purges", [None, 0, 1, 7, PURGES - 1])
def test_a_position_is_read_as_it_was_written(rev: int, purges: int | None) -> None:
    number = Position(rev, purges).encode()
    assert Position.decode(number) == (rev, purges)
    assert 0 <= number <= MAX_SINCE == 2**53 - 1


@pytest.mark.parametrize("rev", REVS)
def test_a_position_outside_a_first_sync_is_a_bare_rev(rev: int) -> None:
    assert Position(rev).encode() == rev < FIRST_SYNC


@pytest.mark.parametrize(
    ("position", "purged_rev", "purge_count", "expired"),
    [
        (Position(0), 0, 0, False),
        (Position(0), 9, 2, False),
        (Position(1), 0, 0, False),
        (Position(8), 9, 2, True),
        (Position(9), 9, 2, False),
        (Position(10), 9, 2, False),
        (Position(3, 2), 9, 2, False),
        (Position(3, 2), 9, 3, True),
        (Position(3, 2), PURGES + 9, 3, True),
    ],
)
def test_a_position_expires_with_a_deletion_it_has_not_seen(
    position: Position, purged_rev: int, purge_count: int, expired: bool
) -> None:
    assert position.is_expired(purged_rev, purge_count) is expired


@pytest.mark.parametrize(
    ("position", "owner_rev", "purged_rev", "given"),
    [
        (Position(0), 0, 0, True),
        (Position(5), 5, 0, True),
        (Position(6), 5, 0, False),
        (Position(3, 1), 9, 4, True),
        (Position(4, 1), 9, 4, False),
        (Position(0, 1), 9, 4, False),
        (Position(3, 1), 2, 4, False),
        (Position(0, 0), 9, 0, False),
    ],
)
def test_a_position_that_no_answer_gave_is_told(
    position: Position, owner_rev: int, purged_rev: int, given: bool
) -> None:
    assert position.was_given(owner_rev, purged_rev) is given


@pytest.mark.parametrize(
    ("rev", "purged_rev", "purge_count", "following"),
    [
        (5, 0, 0, Position(5)),
        (5, 5, 1, Position(5)),
        (4, 5, 1, Position(4, 1)),
        (4, 5, PURGES + 1, Position(4, 1)),
        (0, 0, 0, Position(0)),
    ],
)
@pytest.mark.parametrize("before", [Position(0), Position(1), Position(1, 5)])
def test_only_below_what_was_purged_a_position_carries_the_purges(
    before: Position, rev: int, purged_rev: int, purge_count: int, following: Position
) -> None:
    assert before.following(rev, purged_rev, purge_count) == following
    assert not following.is_expired(purged_rev, purge_count)
