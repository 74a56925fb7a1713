"""Due dates: a day, a local time or an instant, as text that sorts as they compare."""

import re
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError

from .errors import field_error
from .validation import Text

DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
# RFC 3339, section 5.6, where the seconds and the offset may be left out; also a pattern of ECMA-262.
DUE_DATE = rf"^{DAY}([Tt]{TIME}(:[0-5][0-9](\.[0-9]+)?)?([Zz]|[+-]{TIME})?)?$"
ABOUT = (
    "A day, `2026-02-05`; a local time, `2026-02-05T10:00:00`, stored as it is; or an instant, "
    "`2026-02-05T09:00:00Z`, stored in UTC."
)


class DueDate(Text):
    """A due date, in the one form that is stored."""

    def __init__(self, about: str = ABOUT, **kwargs: Any) -> None:
        super().__init__(metadata={"description": about, "pattern": DUE_DATE}, **kwargs)

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(*args, **kwargs).upper()
        if not re.fullmatch(DUE_DATE, text):
            raise ValidationError(field_error("not_a_date"))
        if text.startswith("0000"):
            raise ValidationError(field_error("year_out_of_range"))
        try:
            due = datetime.fromisoformat(text).replace(microsecond=0)
            if due.tzinfo:
                due = due.astimezone(UTC).replace(tzinfo=None)
                return f"{due.isoformat()}Z"
        except ValueError:
            raise ValidationError(field_error("no_such_date")) from None
        except OverflowError:
            raise ValidationError(field_error("year_out_of_range")) from None
        return due.isoformat() if "T" in text else text
