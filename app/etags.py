"""Entity tags of tasks and lists, and the conditional headers that name them (RFC 9110, section 13)."""

import hashlib
import re

from flask import request

from .errors import Problem
from .limits import MAX_IF_MATCH

ENTITY_TAG = re.compile(r'(W/)?"([!\x23-\x7e\x80-\xff]*)"')
# RFC 9110, section 5.6.3; Python's strip() alone would remove NEL and NBSP too.
SPACE = " \t"
# A rev as `task_etag` writes it, within the database's integers.
REV = re.compile("[1-9][0-9]{0,17}")
UNQUOTED = 'If-Match: holds no entity tag; send the ETag of a response with its quotes, as in "42".'


def task_etag(rev: int) -> str:
    """The strong entity tag of a task's version."""
    return f'"{rev}"'


def list_etag(*parts: object) -> str:
    """The entity tag of a list: a hash of its owner, the owner's version and the query."""
    return f'"{hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()}"'


def if_match_revs() -> frozenset[int] | None:
    """The revs that If-Match names, or None if it is absent or `*`.

    The comparison is strong: weak tags and what cannot be parsed match no version. Raises Problem 400 for a
    header without any entity tag, and for one with more than MAX_IF_MATCH.
    """
    header = request.headers.get("If-Match", "*").strip(SPACE)
    if header == "*":
        return None
    if header.count('"') > 2 * MAX_IF_MATCH:
        raise Problem("bad_request", f"If-Match: must name at most {MAX_IF_MATCH} entity tags.")
    tags = [match for part in header.split(",") if (match := ENTITY_TAG.fullmatch(part.strip(SPACE)))]
    if not tags:
        raise Problem("bad_request", UNQUOTED)
    return frozenset(
        int(tag) for weak, tag in (match.groups() for match in tags) if not weak and REV.fullmatch(tag)
    )


def if_none_match_matches(etag: str) -> bool:
    """Whether If-None-Match names that tag, by weak comparison, or is `*`."""
    header = request.headers.get("If-None-Match", "").strip(SPACE)
    return header == "*" or etag in (part.strip(SPACE).removeprefix("W/") for part in header.split(","))
