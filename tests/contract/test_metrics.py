"""`/metrics`: what is counted, who may read it, and that no client decides how many series there are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from app import create_app
from app.extensions import db
from tests.contract.expect import NOTHING, V1, create, expect_problem
from tests.live import SERVERS
from tests.people import Person, token

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def samples(text: str) -> dict[tuple[str, str], float]:
    """Name and labels of each sample, with its value."""
    return {(name, labels or ""): float(value) for name, labels, value in SAMPLE.findall(text)}


def grown(app: Flask, before: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """What has grown since, and by how much."""
    now = samples(app.test_client().get("/metrics").text)
    return {key: value - before.get(key, 0) for key, value in now.items() if value > before.get(key, 0)}


@pytest.fixture
def before(app: Flask) -> dict[tuple[str, str], float]:
    return samples(app.test_client().get("/metrics").text)


def test_requests_are_counted_by_route_method_and_status(
    app: Flask, alice: Person, before: dict[tuple[str, str], float]
) -> None:
    task = create(V1, alice)
    alice.get(f"/v1/tasks/{task['id']}")
    alice.get("/nowhere")
    alice.get("/v1/tasks", headers={"Authorization": "Bearer x.y.z"})
    alice.get("/api/bob/tasks")
    found = grown(app, before)
    one = 'route="/v1/tasks/<task_id:id>"'
    assert found["http_requests_total", 'method="POST",route="/v1/tasks",status="201"'] == 1
    assert found["http_requests_total", f'method="GET",{one},status="200"'] == 1
    assert found["http_requests_total", 'method="GET",route="unknown",status="404"'] == 1
    assert found["http_requests_total", 'method="GET",route="/api/<user_id>/tasks",status="403"'] == 1
    assert found["http_request_duration_seconds_count", f'method="GET",{one}'] == 1
    assert found["tokens_refused_total", 'reason="malformed"'] == 1


def test_no_user_and_nothing_a_client_chose_is_in_a_label(
    app: Flask, person: Any, before: dict[tuple[str, str], float]
) -> None:
    mallory = person("mallory")
    create(V1, mallory)
    for number in range(50):
        mallory.get(f"/api/mallory/tasks/{number}")
        mallory.get(f"/nowhere-{number}")
        mallory.request(f"METHOD{number}", "/v1/tasks")
        mallory.get(
            "/v1/tasks", headers={"Authorization": f"Bearer {number}", "X-Request-ID": f"mine-{number}"}
        )
    text = app.test_client().get("/metrics").text
    for chosen in ("mallory", "nowhere", "METHOD", "mine"):
        assert chosen not in text
    ours = [name for name, _ in grown(app, before) if not name.startswith(("python_", "process_"))]
    assert len(ours) < 200


def test_in_flight_and_the_pool_return_to_where_they_were(
    app: Flask, alice: Person, before: dict[tuple[str, str], float]
) -> None:
    for _ in range(3):
        alice.get("/v1/tasks")
    found = samples(app.test_client().get("/metrics").text)
    for gauge in ("http_requests_in_flight", "database_connections_in_use"):
        assert found[gauge, ""] == before[gauge, ""]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("mode", "address", "headers", "served"),
    [
        ("local", "127.0.0.1", {}, True),
        ("local", "127.1.2.3", {}, True),
        ("local", "::1", {}, True),
        ("local", "10.0.0.7", {}, False),
        ("local", "", {}, False),
        ("local", "127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, False),
        ("local", "127.0.0.1", {"Forwarded": "for=127.0.0.1"}, False),
        ("local", "127.0.0.1", {"X-Real-IP": "127.0.0.1"}, False),
        ("on", "10.0.0.7", {"X-Forwarded-For": "1.2.3.4"}, True),
        ("off", "127.0.0.1", {}, False),
    ],
)
def test_by_default_only_this_machine_may_read_them(
    mode: str, address: str, headers: dict[str, str], served: bool, environ: dict[str, str], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'tasks.db'}"
    client = create_app(environ | {"DATABASE_URL": url, "METRICS": mode}).test_client()
    response = client.get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": address})
    if served:
        assert (response.status_code, response.mimetype) == (200, "text/plain")
    else:
        expect_problem(response, 404, "not_found", NOTHING, v1=False)


@pytest.fixture
def outage(tmp_path: Path, environ: dict[str, str]) -> Iterator[Flask]:
    """The application over a database without tables."""
    app = create_app(
        environ | {"DATABASE_URL": f"sqlite:///{tmp_path / 'empty.db'}", "LOG_LEVEL": "CRITICAL"}
    )
    yield app
    with app.app_context():
        db.engine.dispose()


def test_a_503_is_counted_by_its_cause(outage: Flask, secret: str) -> None:
    before = samples(outage.test_client().get("/metrics").text)
    assert Person(outage.test_client(), secret, "alice").get("/v1/tasks").status_code == 503
    assert outage.test_client().get("/ready").status_code == 503
    found = grown(outage, before)
    assert found["requests_unavailable_total", 'cause="database"'] == 1
    assert found["requests_unavailable_total", 'cause="not_ready"'] == 1


@pytest.mark.one_database
@pytest.mark.parametrize("server", SERVERS)
def test_all_workers_are_counted_together(
    server: str, app: Flask, environ: dict[str, str], secret: str
) -> None:
    headers = {"Authorization": f"Bearer {token(secret, 'alice')}"}
    with SERVERS[server](environ | {"WEB_CONCURRENCY": "2"}) as (address, _):
        for _ in range(20):
            assert requests.get(f"{address}/v1/tasks", headers=headers, timeout=30).status_code == 200
        text = requests.get(f"{address}/metrics", timeout=30).text
    assert samples(text)["http_requests_total", 'method="GET",route="/v1/tasks",status="200"'] == 20
