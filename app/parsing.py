"""The request's query and body, read and validated by a schema."""

import json
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from flask import request
from marshmallow import Schema, ValidationError, fields
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge

from .errors import Problem, field_error, validation_problem
from .limits import MAX_BODY

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


def parse_query(schema: Schema, status: int) -> dict[str, Any]:
    """The validated query. Raises Problem `status` for a parameter that is unknown, repeated or invalid."""
    return dict(_load_query(schema, status, tuple(request.args.items(multi=True))))


# Cached, because frontends send the same few queries again and again.
@lru_cache(maxsize=1024)
def _load_query(schema: Schema, status: int, parameters: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in parameters:
        values[name].append(value)
    lists = {name for name, field in schema.fields.items() if isinstance(field, fields.List)}
    repeated = [name for name, given in values.items() if len(given) > 1 and name not in lists]
    if repeated:
        errors = dict.fromkeys(repeated, field_error("repeated_parameter"))
        raise validation_problem(status, "parameter", errors)
    data = {name: given if name in lists else given[0] for name, given in values.items()}
    return _load(schema, data, status, "parameter")


def parse_body(
    schema: Schema,
    status: int,
    *,
    media_types: tuple[str, ...] = (JSON,),
    partial: bool = False,
    limit: int = MAX_BODY,
) -> dict[str, Any]:
    """The validated JSON object of the body, which has at most `limit` bytes.

    With `partial`, required fields may be missing. Raises Problem 400, 413, 415, or `status` if a field is
    invalid.
    """
    return validate(schema, _json_object(media_types, status, limit), status, partial=partial)


def validate(
    schema: Schema, body: Mapping[str, Any], status: int, *, partial: bool = False
) -> dict[str, Any]:
    """The validated object of a body. Raises Problem `status` if a field is invalid."""
    return _load(schema, body, status, "pointer", partial=partial)


def has_body() -> bool:
    """Whether the request has a body, with or without a Content-Length. Raises Problem 413."""
    return bool(_data(MAX_BODY))


def _data(limit: int) -> bytes:
    # werkzeug silently truncates a body of unknown length: one byte more shows that it is too long.
    request.max_content_length = limit + 1
    try:
        data = request.get_data()
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    except HTTPException:
        raise
    except Exception as error:  # gunicorn raises its own types for a body that is not as announced
        raise BadRequest from error
    if len(data) > limit:
        raise _too_large(limit)
    # A client that disconnects must not have half of its body taken for the whole.
    if request.content_length is not None and len(data) < request.content_length:
        raise BadRequest
    return data


def _too_large(limit: int) -> Problem:
    return Problem("payload_too_large", kib=limit // 1024)


def _json_object(media_types: tuple[str, ...], status: int, limit: int) -> dict[str, Any]:
    data = _data(limit)
    if request.mimetype not in media_types and (data or request.mimetype):
        headers = {"Accept-Patch": ", ".join(media_types)} if request.method == "PATCH" else None
        raise Problem("unsupported_media_type", headers=headers, media_types=" or ".join(media_types))
    try:
        # orjson refuses NaN, bad UTF-8, unpaired surrogates and endless nesting.
        body = orjson.loads(data)
        if _may_repeat_names(data, body):
            json.loads(data, object_pairs_hook=_refuse_repeated_names)
    except (ValueError, RecursionError):
        raise Problem("malformed_json") from None
    if not isinstance(body, dict):
        raise validation_problem(status, "pointer", {None: field_error("not_an_object")})
    return body


def _may_repeat_names(data: bytes, body: Any) -> bool:
    """Whether an object in the body may repeat a name, so that the slower parser has to check.

    Without escapes each string has two quotes of its own, and the parsed body lacks a repeated name.
    """
    return b"\\" in data or data.count(b'"') != 2 * _count_strings(body)


def _count_strings(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_strings, value.values()))
    if isinstance(value, list):
        return sum(map(_count_strings, value))
    return isinstance(value, str)


def _refuse_repeated_names(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name is repeated")


def _load(
    schema: Schema, data: Mapping[str, Any], status: int, place: str, *, partial: bool = False
) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(data, partial=partial)
    except ValidationError as error:
        messages: dict[str, Any] = error.messages  # type: ignore[assignment]
        raise validation_problem(status, place, messages) from None
    return loaded
