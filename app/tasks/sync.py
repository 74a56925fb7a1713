"""Where a client stands in a user's changes: the number that it sends as `since`.

As a rule it is a rev, and expires when a deletion after it is purged. But the pages of a first sync begin
with tasks older than deletions that were purged long ago: between those pages the number says so.
"""

from typing import NamedTuple

# In JavaScript's safe integers: a bit for a first sync, 32 for the rev, 20 for the count of purges.
FIRST_SYNC = 1 << 52
PURGES = 1 << 20
MAX_SINCE = (1 << 53) - 1


class SyncToken(NamedTuple):
    """A rev up to which a client knows all; in the midst of a first sync, also the purges before."""

    rev: int
    purges: int | None = None

    @classmethod
    def decode(cls, since: int) -> "SyncToken":
        """The position that a client sends."""
        if since < FIRST_SYNC:
            return cls(since)
        return cls(*divmod(since - FIRST_SYNC, PURGES))

    def encode(self) -> int:
        """The number to send for it."""
        return self.rev if self.purges is None else FIRST_SYNC + self.rev * PURGES + self.purges

    def could_have_been_issued(self, owner_rev: int, purged_rev: int) -> bool:
        """Whether an answer may have held it; one in the midst of a first sync lies below what was purged."""
        return self.rev <= owner_rev and (self.purges is None or 0 < self.rev < purged_rev)

    def is_expired(self, purged_rev: int, purge_count: int) -> bool:
        """Whether a deletion that the client has not seen may have been purged."""
        if self.purges is not None:
            return self.purges != purge_count % PURGES
        return 0 < self.rev < purged_rev

    def following(self, rev: int, purged_rev: int, purge_count: int) -> "SyncToken":
        """The position after all changes up to `rev`."""
        return SyncToken(rev, purge_count % PURGES if rev < purged_rev else None)
