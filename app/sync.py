"""Where a client stands in a user's changes: the number that it sends as `since`.

As a rule it is a rev, and expires when a deletion after it is purged. But the pages of a first sync begin
with tasks older than deletions that were purged long ago: between those pages the number says so.
"""

from typing import NamedTuple

# In JavaScript's safe integers: a bit for a first sync, 32 for the rev, 20 for what was purged when it began.
FIRST_SYNC = 1 << 52
PURGED = 1 << 20
MAX_SINCE = (1 << 53) - 1


class Position(NamedTuple):
    """A rev up to which a client knows all; in the midst of a first sync, also the purges known."""

    rev: int
    horizon: int | None = None

    @classmethod
    def decode(cls, since: int) -> "Position":
        """The position that a client sends."""
        if since < FIRST_SYNC:
            return cls(since)
        return cls(*divmod(since - FIRST_SYNC, PURGED))

    def encode(self) -> int:
        """The number to send for it."""
        return self.rev if self.horizon is None else FIRST_SYNC + self.rev * PURGED + self.horizon

    def is_expired(self, purged_rev: int) -> bool:
        """Whether a deletion that the client has not seen may have been purged."""
        if self.horizon is not None:
            return self.horizon != purged_rev % PURGED
        return 0 < self.rev < purged_rev

    def following(self, rev: int, purged_rev: int) -> "Position":
        """The position after all changes up to `rev`."""
        return Position(rev, purged_rev % PURGED if rev < purged_rev else None)
