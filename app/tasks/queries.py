"""The queries of lists and changes, as marshmallow schemas."""

import re
from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from ..due_dates import DueDate
from ..errors import field_error
from ..limits import DEFAULT_CHANGES, DEFAULT_PAGE, MAX_CHANGES, MAX_PAGE, MAX_SEARCH, MAX_TAGS
from ..sync import MAX_SINCE
from ..validation import BoundedInteger, Choice, Length, QueryBoolean, QuerySchema, Text, TextList, refuse_nul
from .fields import NO_NUL, RANKS, tag_field
from .lists import SORTS, Cursor, Filters

CURSOR = "The `next_cursor` of the previous page, or the `cursor` of its `Link`; send the same filters."
STATUSES = {"all": None, "pending": False, "active": False, "completed": True}
SPELLINGS = {name: name for name in SORTS} | {
    "created": "created_at",
    "createdAt": "created_at",
    "updated": "updated_at",
    "updatedAt": "updated_at",
    "dueDate": "due_date",
    "completedAt": "completed_at",
}
DIRECTIONS = {"asc": False, "desc": True}
SORT = (
    "By default `created_at`. Tasks without a value come last, equal ones are sorted by `id`; `title` "
    "ignores the case of letters."
)
ORDER = (
    "By default newest first for `created_at`, `updated_at` and `completed_at`, urgent first for `priority`, "
    "ascending for the others."
)
# The other names of a parameter.
ALIASES = {"sort": ("sort_by", "sortBy"), "order": ("sort_order", "sortOrder")}
# All that the trash takes.
TRASH_PARAMETERS = {"deleted", "completed", "limit", "cursor"}


class ListQuery(QuerySchema):
    """The query of a list."""

    completed = QueryBoolean("Only tasks that are completed, or only those that are not.", allow_none=False)
    status = Choice(STATUSES, "The same as `completed`, in words; `active` is `pending`.")
    priority = Choice(RANKS, "Only tasks of this priority.")
    tag = TextList(tag_field(), MAX_TAGS, "Only tasks with this tag; repeat it for tasks with several.")
    due_after = DueDate("Only tasks that are due at this time or later, such as `2026-12-01`.")
    due_before = DueDate("Only tasks that are due earlier than this time, such as `2026-12-01T09:00:00Z`.")
    search = Text(
        validate=[Length(max=MAX_SEARCH), refuse_nul],
        metadata={
            "pattern": NO_NUL,
            "description": "Only tasks with this in the title or the long text, in any case of letters.",
        },
    )
    sort = Choice(SPELLINGS, SORT)
    sort_by = Choice(SPELLINGS, "The same as `sort`.")
    sortBy = Choice(SPELLINGS, "The same as `sort`.")  # noqa: N815 - the name of the parameter
    order = Choice(DIRECTIONS, ORDER)
    sort_order = Choice(DIRECTIONS, "The same as `order`.")
    sortOrder = Choice(DIRECTIONS, "The same as `order`.")  # noqa: N815
    deleted = QueryBoolean(
        "The trash instead, latest deletion first; with `completed`, `limit` and `cursor` alone.",
        load_default=False,
    )
    limit = BoundedInteger(1, MAX_PAGE, "The maximum number of tasks.", load_default=DEFAULT_PAGE)
    cursor = Text(metadata={"description": CURSOR})

    @validates_schema
    def check_combinations(self, query: dict[str, Any], **_kwargs: Any) -> None:
        """Refuse parameters that exclude each other."""
        errors: dict[str, Any] = {}
        if "status" in query and "completed" in query:
            errors["status"] = field_error("excluded", other="completed")
        for name, aliases in ALIASES.items():
            first, *others = [one for one in (name, *aliases) if one in query] or [name]
            errors |= {other: field_error("excluded", other=first) for other in others}
        if query["deleted"]:
            refused = sorted(query.keys() - TRASH_PARAMETERS)
            errors |= dict.fromkeys(refused, field_error("excluded", other="deleted=true"))
        if errors:
            raise ValidationError(errors)

    @post_load
    def build(self, query: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """The filters, the limit and the cursor."""
        sort, order = (
            next((query[one] for one in (name, *aliases) if one in query), None)
            for name, aliases in ALIASES.items()
        )
        sort = sort or "created_at"
        search = query.get("search", "")
        filters = Filters(
            trash=query["deleted"],
            sort=sort,
            descending=SORTS[sort].descending if order is None else order,
            completed=query.get("completed", query.get("status")),
            priority=query.get("priority"),
            tags=tuple(sorted(query.get("tag", ()))) or None,
            due_after=query.get("due_after"),
            due_before=query.get("due_before"),
            search=containing(search.casefold()) if search.strip() else None,
        )
        try:
            cursor = Cursor.decode(query["cursor"], filters) if "cursor" in query else None
        except ValueError:
            raise ValidationError({"cursor": field_error("bad_cursor")}) from None
        return {"filters": filters, "limit": query["limit"], "cursor": cursor}


def containing(text: str) -> str:
    """The pattern of LIKE, with `/` as its escape character, for what contains the text."""
    escaped = re.sub("[/%_]", r"/\g<0>", text)
    return f"%{escaped}%"


class ChangesQuery(QuerySchema):
    """The query of the changes feed."""

    since = BoundedInteger(
        0, MAX_SINCE, "The `rev` of the previous response; 0 for everything.", load_default=0
    )
    limit = BoundedInteger(1, MAX_CHANGES, "The maximum number of changes.", load_default=DEFAULT_CHANGES)
