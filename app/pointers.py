"""The places of errors in a body or a query."""

from collections.abc import Iterator
from typing import Any

from .limits import MAX_SHOWN_NAME


def located(messages: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each error of nested marshmallow messages, with the names and indexes that lead to it."""
    if isinstance(messages, list):
        yield from ((path, error) for error in messages)
    else:
        for name, inner in sorted(messages.items(), key=_unknown_name):
            yield from located(inner, path if name is None else (*path, _shown(name)))


def json_pointer(path: tuple[Any, ...]) -> str:
    """The JSON pointer (RFC 6901, section 3) to a part of the body; an empty path is the whole."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _unknown_name(item: tuple[Any, Any]) -> str:
    """Sorts unknown names, which marshmallow lists in the order of a set, behind those of the schema."""
    name, inner = item
    return name if isinstance(inner, list) and inner[0].code.startswith("unknown") else ""


def _shown(name: Any) -> Any:
    # A client's own long name would make the response many times as large as the request.
    return name[:MAX_SHOWN_NAME] if isinstance(name, str) else name
