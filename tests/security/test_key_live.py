"""A gunicorn with two workers takes its keys from a live key server."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen

import pytest
import requests

from tests.live import gunicorn
from tests.polling import wait_until
from tests.security.conftest import MakeServer
from tests.security.key_server import KeyServer, SigningKey, distinct_tokens, new_key, publishing

KEY, NEXT_KEY = new_key("EdDSA", "key-1"), new_key("ES256", "key-2")
Live = tuple[str, Popen[bytes], KeyServer]


@pytest.fixture
def live(migrated_sqlite: Path, key_server: MakeServer) -> Iterator[Live]:
    server = key_server(KEY)
    url = f"sqlite:///{migrated_sqlite}"
    settings = {"DATABASE_URL": url, "BETTER_AUTH_URL": server.address, "LOG_LEVEL": "ERROR"}
    with gunicorn(settings, "-w", "2") as (address, process):
        yield address, process, server


def tokens(server: KeyServer, count: int, key: SigningKey = KEY) -> list[str]:
    return list(distinct_tokens(key.source(iss=server.address, aud=server.address), count))


def status(address: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{address}/v1/tasks", headers=headers, timeout=30).status_code


def statuses(address: str, tokens: list[str]) -> set[int]:
    with ThreadPoolExecutor(len(tokens)) as pool:
        return set(pool.map(lambda token: status(address, token), tokens))


def test_two_workers_answer_40_first_requests_at_once_after_one_fetch_each(live: Live) -> None:
    address, _, server = live
    assert server.fetches == 0
    assert statuses(address, tokens(server, 40)) == {200}
    assert 1 <= server.fetches <= 2
    assert set(server.paths) == {"/api/auth/jwks"}


def test_a_reload_makes_a_removed_key_stop_at_once(live: Live) -> None:
    address, process, server = live
    token = tokens(server, 1)[0]
    assert statuses(address, [token] * 20) == {200}
    server.behaviour = publishing(NEXT_KEY)
    # Without the reload it goes on where it was used: the set is fresh there, and the token in the cache.
    assert 200 in statuses(address, [token] * 20)
    process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: statuses(address, [token] * 10) == {401}, 60)
    assert statuses(address, [token] * 20) == {401}
    assert statuses(address, tokens(server, 20, NEXT_KEY)) == {200}
