"""SQL types and functions that each database writes in its own way."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Boolean, DateTime, Dialect, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction


class List(TypeDecorator[list[Any]]):
    """A bound list: PostgreSQL's driver makes an array of it, SQLite gets it as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, _dialect: Any) -> str | None:
        """The list as JSON."""
        return None if value is None else json.dumps(value)


class UuidList(List):
    """A bound list of UUIDs, which SQLite stores without hyphens."""

    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, dialect: Any) -> str | None:
        """The list as JSON."""
        return super().process_bind_param(value and [uuid.replace("-", "") for uuid in value], dialect)


class TextList(List):
    """A column of strings: an array on PostgreSQL, JSON on SQLite."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """The type of the column."""
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[Any] | None, dialect: Any) -> Any:
        """The list as the column holds it."""
        return value if dialect.name == "postgresql" else super().process_bind_param(value, dialect)

    def process_result_value(self, value: Any, _dialect: Any) -> Any:
        """The list; psycopg2 makes it of an array."""
        return json.loads(value) if isinstance(value, str) else value


class utc(GenericFunction[datetime]):  # noqa: N801 - an SQL function
    """A stored time in UTC without a zone, whatever the time zone of the session."""

    type = DateTime()
    inherit_cache = True


class empty_list(GenericFunction[list[str]]):  # noqa: N801
    """The default of a `TextList`."""

    inherit_cache = True


class has_all(GenericFunction[bool]):  # noqa: N801
    """Whether a `TextList` has each string of another."""

    type = Boolean()
    inherit_cache = True


class any_of(GenericFunction[bool]):  # noqa: N801
    """Whether a value is in a bound `List`."""

    type = Boolean()
    inherit_cache = True


class any_uuid(GenericFunction[bool]):  # noqa: N801
    """Whether a UUID is in a bound `UuidList`."""

    type = Boolean()
    inherit_cache = True


def _spell(function: type[GenericFunction[Any]], **spellings: str) -> None:
    """Compile a function by a format string for each dialect, which takes the function's arguments."""

    def add(dialect: str, spelling: str) -> None:
        @compiles(function, dialect)
        def render(element: Any, compiler: Any, **kwargs: Any) -> str:
            return spelling.format(*(compiler.process(clause, **kwargs) for clause in element.clauses))

    for dialect, spelling in spellings.items():
        add(dialect, spelling)


_spell(utc, sqlite="{}", postgresql="timezone('UTC', {})")
_spell(empty_list, sqlite="'[]'", postgresql="'{{}}'")
_spell(
    has_all,
    sqlite="NOT EXISTS (SELECT value FROM json_each({1}) EXCEPT SELECT value FROM json_each({0}))",
    postgresql="{} @> {}",
)
_spell(any_of, sqlite="{} IN (SELECT value FROM json_each({}))", postgresql="{} = ANY({})")
_spell(
    any_uuid,
    sqlite="{} IN (SELECT value FROM json_each({}))",
    postgresql="{} = ANY(CAST({} AS uuid[]))",
)
