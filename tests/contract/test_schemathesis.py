"""Schemathesis asks the application all that the document allows, and much that it does not."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
import schemathesis
from flask import Flask
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.python import wsgi
from werkzeug.test import Client, TestResponse

from tests.people import token

CHECKS = {
    "allow_header_conformance",
    "content_type_conformance",
    "ensure_resource_availability",
    "ignored_auth",
    "negative_data_rejection",
    "not_a_server_error",
    "positive_data_acceptance",
    "response_headers_conformance",
    "response_schema_conformance",
    "status_code_conformance",
    "unsupported_method",
    "use_after_free",
}
# What a valid request may meet all the same, by what the database holds.
EXPECTED = ["2xx", 302, 304, 404, 409, 410, 412]
OTHER_MOUNTS = r"^/api/(tasks|\{user_id\})"
TRASH = {"deleted", "completed", "limit", "cursor"}
SYNONYMS = ({"sort", "sort_by", "sortBy"}, {"order", "sort_order", "sortOrder"})


class InProcess(Client):
    """The client of the application; the checks that ask again hand it the network's settings too."""

    statuses: ClassVar[Counter[int]] = Counter()

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        for name in ("max_redirects", "verify", "cert", "timeout"):
            kwargs.pop(name, None)
        response = super().open(*args, **kwargs)
        self.statuses[response.status_code] += 1
        return response


def is_ruled_out_by_prose_alone(case: Any) -> bool:
    """Whether no schema can rule the request out, but the descriptions do.

    It holds a cursor or a rev that only a response can give, parameters that exclude each other, or a date
    that does not exist.
    """
    query = case.query
    body = case.body if isinstance(case.body, dict) else {}
    tasks = [body, *(operation.get("task", {}) for operation in body.get("operations", ()))]
    dates = [query.get("due_after"), query.get("due_before"), *(task.get("due_date") for task in tasks)]
    return (
        "cursor" in query
        or int(query.get("since") or 0) > 0
        or (query.get("deleted") not in (None, "false") and not query.keys() <= TRASH)
        or {"status", "completed"} <= query.keys()
        or any(len(names & query.keys()) > 1 for names in SYNONYMS)
        or not all(is_real(date) for date in dates if isinstance(date, str))
    )


def is_answered_in_a_result(name: str, case: Any) -> bool:
    """Whether the request is a batch, in which an invalid task is refused by itself."""
    return name == "negative_data_rejection" and case.path.endswith("/batch")


def is_real(date: str) -> bool:
    """Whether the date exists, in UTC too."""
    try:
        datetime.fromisoformat(date.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


@pytest.mark.one_database
def test_the_document_is_what_the_service_does(
    app: Flask, secret: str, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setattr(wsgi, "get_client", InProcess)
    monkeypatch.setattr(InProcess, "statuses", Counter())
    full = pytestconfig.getoption("full_matrix")
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "continue-on-failure": True,
            "base-url": "http://localhost",
            "headers": {"Authorization": f"Bearer {token(secret, 'alice', minutes=60)}"},
            # Schemathesis makes header values of letters and digits, which are no entity tags.
            "parameters": {"path.user_id": "alice", "header.If-Match": "*"},
            "generation": {"deterministic": True, "max-examples": 10 if full else 4, "database": "none"},
            "checks": {"positive_data_acceptance": {"expected-statuses": EXPECTED}},
        }
    )
    whole = schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)
    # The mounts share their code.
    schema = whole if full else whole.exclude(path_regex=OTHER_MOUNTS)
    failures, errors, checked, operations = [], [], set(), set()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            errors.append(event)
        if not isinstance(event, events.ScenarioFinished):
            continue
        recorder = event.recorder
        operations.add(recorder.label)
        for case_id, checks in recorder.checks.items():
            case = recorder.cases[case_id].value
            for check in checks:
                checked.add(check.name)
                if check.status.name == "SUCCESS":
                    continue
                if check.name == "positive_data_acceptance" and is_ruled_out_by_prose_alone(case):
                    continue
                if is_answered_in_a_result(check.name, case):
                    continue
                failures.append((check.name, case.method, case.formatted_path, case.query, case.body))
    assert not errors
    assert not failures, failures[:50]
    assert checked >= CHECKS, CHECKS - checked
    assert len(operations) >= (34 if full else 15)
    assert sum(InProcess.statuses.values()) > 1000
    assert not [status for status in InProcess.statuses if status >= 500]
