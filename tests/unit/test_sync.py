"""The number that a client sends as `since`: what it says comes back out of it, in JavaScript's integers."""

import pytest

from app.sync import FIRST_SYNC, MAX_SINCE, PURGES, SyncToken

REVS = [0, 1, 2, 1000, 2**31, 2**32 - 1]


@pytest.mark.parametrize("rev", REVS)
@pytest.mark.parametrize("purges", [None, 0, 1, 7, PURGES - 1])
def test_a_position_is_read_as_it_was_written(rev: int, purges: int | None) -> None:
    number = SyncToken(rev, purges).encode()
    assert SyncToken.decode(number) == (rev, purges)
    assert 0 <= number <= MAX_SINCE == 2**53 - 1


@pytest.mark.parametrize("rev", REVS)
def test_a_position_outside_a_first_sync_is_a_bare_rev(rev: int) -> None:
    assert SyncToken(rev).encode() == rev < FIRST_SYNC


@pytest.mark.parametrize(
    ("position", "purged_rev", "purge_count", "expired"),
    [
        (SyncToken(0), 0, 0, False),
        (SyncToken(0), 9, 2, False),
        (SyncToken(1), 0, 0, False),
        (SyncToken(8), 9, 2, True),
        (SyncToken(9), 9, 2, False),
        (SyncToken(10), 9, 2, False),
        (SyncToken(3, 2), 9, 2, False),
        (SyncToken(3, 2), 9, 3, True),
        (SyncToken(3, 2), PURGES + 9, 3, True),
    ],
)
def test_a_position_expires_with_a_deletion_it_has_not_seen(
    position: SyncToken, purged_rev: int, purge_count: int, expired: bool
) -> None:
    assert position.is_expired(purged_rev, purge_count) is expired


@pytest.mark.parametrize(
    ("position", "owner_rev", "purged_rev", "given"),
    [
        (SyncToken(0), 0, 0, True),
        (SyncToken(5), 5, 0, True),
        (SyncToken(6), 5, 0, False),
        (SyncToken(3, 1), 9, 4, True),
        (SyncToken(4, 1), 9, 4, False),
        (SyncToken(0, 1), 9, 4, False),
        (SyncToken(3, 1), 2, 4, False),
        (SyncToken(0, 0), 9, 0, False),
    ],
)
def test_a_position_that_no_answer_gave_is_told(
    position: SyncToken, owner_rev: int, purged_rev: int, given: bool
) -> None:
    assert position.could_have_been_issued(owner_rev, purged_rev) is given


@pytest.mark.parametrize(
    ("rev", "purged_rev", "purge_count", "following"),
    [
        (5, 0, 0, SyncToken(5)),
        (5, 5, 1, SyncToken(5)),
        (4, 5, 1, SyncToken(4, 1)),
        (4, 5, PURGES + 1, SyncToken(4, 1)),
        (0, 0, 0, SyncToken(0)),
    ],
)
@pytest.mark.parametrize("before", [SyncToken(0), SyncToken(1), SyncToken(1, 5)])
def test_only_below_what_was_purged_a_position_carries_the_purges(
    before: SyncToken, rev: int, purged_rev: int, purge_count: int, following: SyncToken
) -> None:
    assert before.following(rev, purged_rev, purge_count) == following
    assert not following.is_expired(purged_rev, purge_count)
