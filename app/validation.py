"""Strict marshmallow fields, whose errors come from the registry, and the query that has no parameter."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from .errors import field_error

# RFC 9562, section 4, in either letter case; no braces, no URN, no bare digits.
UUID = re.compile("-".join(f"[0-9a-fA-F]{{{n}}}" for n in (8, 4, 4, 4, 12)))
# Category Cc of Unicode.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse_uuid(text: str) -> str | None:
    """The UUID in lower case, or None if `text` is not one."""
    return text.lower() if UUID.fullmatch(text) else None


def refuse_nul(value: str) -> None:
    """Refuse a NUL character, which PostgreSQL's text cannot hold."""
    if "\0" in value:
        raise ValidationError(field_error("nul"))


def refuse_control(value: str) -> None:
    """Refuse control characters, which no input field shows."""
    if CONTROL.search(value):
        raise ValidationError(field_error("control"))


class Length(validate.Length):
    """marshmallow's Length, with errors from the registry."""

    def __call__(self, value: Any) -> Any:
        """Return `value`; raise ValidationError if it is too short or too long."""
        if self.min and len(value) < self.min:
            raise ValidationError(field_error("empty"))
        if self.max and len(value) > self.max:
            raise ValidationError(field_error("too_long", limit=self.max))
        return value


class Text(fields.String):
    """A string; null only where `allow_none` is set."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own way
        "required": field_error("required"),
        "null": field_error("not_a_string"),
        "invalid": field_error("not_a_string"),
    }


class TrimmedText(Text):
    """A string, without the white space around it."""

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        return super()._deserialize(*args, **kwargs).strip()


class Choice(Text):
    """One of some words; the value is what the word stands for."""

    def __init__(self, choices: Mapping[str, Any], about: str, **kwargs: Any) -> None:
        self.choices = choices
        enum = [*choices, *([None] if kwargs.get("allow_none") else [])]
        super().__init__(metadata={"description": about, "enum": enum}, **kwargs)

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        word = super()._deserialize(*args, **kwargs)
        if word not in self.choices:
            raise ValidationError(field_error("not_a_choice", choices=", ".join(self.choices)))
        return self.choices[word]


class BoundedList(fields.List[Any]):
    """A list of at most `limit` items."""

    default_error_messages = {  # noqa: RUF012
        "required": field_error("required"),
        "null": field_error("not_a_list"),
        "invalid": field_error("not_a_list"),
    }

    def __init__(self, item: fields.Field[Any], limit: int, about: str, **kwargs: Any) -> None:
        super().__init__(item, metadata={"description": about, "maxItems": limit}, **kwargs)
        self.limit = limit

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, list) and len(value) > self.limit:
            raise ValidationError(field_error("too_many", limit=self.limit))
        return super()._deserialize(value, *args, **kwargs)


class TextList(BoundedList):
    """A list of strings, each kept once."""

    default_error_messages = {"invalid": field_error("not_strings")}  # noqa: RUF012

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        return list(dict.fromkeys(super()._deserialize(*args, **kwargs)))


class JsonObject(fields.Field[Any]):
    """A JSON object, whose members are validated elsewhere."""

    default_error_messages = {  # noqa: RUF012
        "required": field_error("required"),
        "null": field_error("not_an_object"),
    }

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError(field_error("not_an_object"))
        return value


class StrictBoolean(fields.Boolean):
    """A JSON boolean; marshmallow's Boolean also accepts "yes" and 1."""

    default_error_messages = {  # noqa: RUF012
        "required": field_error("required"),
        "null": field_error("not_a_boolean"),
        "invalid": field_error("not_a_boolean"),
    }

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Uuid(fields.String):
    """A UUID as a string in lower case."""

    default_error_messages = {  # noqa: RUF012
        "null": field_error("not_a_uuid"),
        "invalid": field_error("not_a_uuid"),
    }

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        uuid = parse_uuid(super()._deserialize(*args, **kwargs))
        if uuid is None:
            raise self.make_error("invalid")
        return uuid


class QueryBoolean(fields.Boolean):
    """`true` or `false` in a query, in any letter case."""

    default_error_messages = {"invalid": field_error("not_a_boolean")}  # noqa: RUF012

    def __init__(self, about: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": about}, **kwargs)

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        try:
            return {"true": True, "false": False}[value.lower()]
        except KeyError:
            raise self.make_error("invalid") from None


class BoundedInteger(fields.Integer):
    """A whole number from `low` to `high` in ASCII digits, in a query; marshmallow also accepts 1.5."""

    def __init__(self, low: int, high: int, about: str, **kwargs: Any) -> None:
        super().__init__(
            metadata={"description": about, "minimum": low, "maximum": high},
            error_messages={"null": field_error("out_of_range", low=low, high=high)},
            **kwargs,
        )
        self.low, self.high = low, high

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        number = self._number(value)
        if number is None or not self.low <= number <= self.high:
            raise self.make_error("null")
        return number

    def _number(self, value: Any) -> int | None:
        return int(value) if re.fullmatch("[0-9]{1,18}", value) else None


class JsonInteger(BoundedInteger):
    """A whole number from `low` to `high` in a body, where 2.0 is one (JSON Schema, section 6.3)."""

    def _number(self, value: Any) -> int | None:
        return int(value) if type(value) in (int, float) and value == int(value) else None


class QuerySchema(Schema):
    """The query of an address that takes no parameter, and the base of the others."""

    class Meta:
        unknown = RAISE

    error_messages: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "unknown": field_error("unknown_parameter")[0]
    }


NO_QUERY = QuerySchema()
