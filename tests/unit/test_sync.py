"""The number that a client sends as `since`: what it says comes back out of it, in JavaScript's integers."""

import pytest

from app.sync import FIRST_SYNC, MAX_SINCE, PURGED, Position

REVS = [0, 1, 2, 1000, 2**31, 2**32 - 1]


@pytest.mark.parametrize("rev", REVS)
@pytest.mark.parametrize("horizon", [None, 0, 1, 7, PURGED - 1])
def test_a_position_is_read_as_it_was_written(rev: int, horizon: int | None) -> None:
    number = Position(rev, horizon).encode()
    assert Position.decode(number) == (rev, horizon)
    assert 0 <= number <= MAX_SINCE == 2**53 - 1


@pytest.mark.parametrize("rev", REVS)
def test_a_position_outside_a_first_sync_is_a_bare_rev(rev: int) -> None:
    assert Position(rev).encode() == rev < FIRST_SYNC


@pytest.mark.parametrize(
    ("position", "purged", "expired"),
    [
        (Position(0), 0, False),
        (Position(0), 9, False),
        (Position(1), 0, False),
        (Position(8), 9, True),
        (Position(9), 9, False),
        (Position(10), 9, False),
        (Position(3, 9), 9, False),
        (Position(3, 9), 10, True),
        (Position(3, 9), PURGED + 9, False),
        (Position(3, 9), PURGED + 10, True),
    ],
)
def test_a_position_expires_with_a_deletion_it_has_not_seen(
    position: Position, purged: int, expired: bool
) -> None:
    assert position.is_expired(purged) is expired


@pytest.mark.parametrize(
    ("rev", "purged", "following"),
    [
        (5, 0, Position(5)),
        (5, 5, Position(5)),
        (4, 5, Position(4, 5)),
        (4, PURGED + 5, Position(4, 5)),
        (0, 0, Position(0)),
    ],
)
@pytest.mark.parametrize("before", [Position(0), Position(1), Position(1, 5)])
def test_only_below_the_horizon_a_position_carries_it(
    before: Position, rev: int, purged: int, following: Position
) -> None:
    assert before.following(rev, purged) == following
    assert not following.is_expired(purged)
