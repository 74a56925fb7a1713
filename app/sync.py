"""Sync tokens: the number that a client sends as `since`, up to which it knows the owner's changes.

As a rule a token is a rev, and expires when a deletion after it is purged. The pages of a first sync begin
with tasks older than deletions purged long ago, so between them a token is a rev and the count of purges, and
expires with the next purge.
"""

from typing import NamedTuple

# A token is a safe integer of JavaScript, so it has 53 bits:
#   bit 52            0: the rest is a rev; 1: in the middle of a first sync, and the rest is
#   bits 20 to 51     a rev, and
#   bits 0 to 19      the count of purges, modulo PURGES
PURGE_BITS = 20
REV_BITS = 32
PURGES = 1 << PURGE_BITS
FIRST_SYNC = 1 << (REV_BITS + PURGE_BITS)
MAX_SINCE = 2 * FIRST_SYNC - 1


class SyncToken(NamedTuple):
    """A rev up to which a client knows all changes; in a first sync, also the count of purges then."""

    rev: int
    purges: int | None = None

    @classmethod
    def decode(cls, since: int) -> "SyncToken":
        """The token that a client sends as `since`."""
        if since < FIRST_SYNC:
            return cls(since)
        bits = since - FIRST_SYNC
        return cls(rev=bits >> PURGE_BITS, purges=bits % PURGES)

    def encode(self) -> int:
        """The number that the client sends next."""
        if self.purges is None:
            return self.rev
        return FIRST_SYNC + (self.rev << PURGE_BITS) + self.purges

    def could_have_been_issued(self, owner_rev: int, purged_rev: int) -> bool:
        """Whether a response may have held it; one of a first sync always lies below the purged rev."""
        return self.rev <= owner_rev and (self.purges is None or 0 < self.rev < purged_rev)

    def is_expired(self, purged_rev: int, purge_count: int) -> bool:
        """Whether a deletion that the client has not seen may have been purged."""
        if self.purges is not None:
            return self.purges != purge_count % PURGES
        return 0 < self.rev < purged_rev

    def following(self, rev: int, purged_rev: int, purge_count: int) -> "SyncToken":
        """The token for all changes up to `rev`."""
        return SyncToken(rev, purge_count % PURGES if rev < purged_rev else None)
