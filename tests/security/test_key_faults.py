"""Whatever the key server does, known keys go on working, and what cannot be told is a 503 that says when."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.auth.keys import FRESH_SECONDS, MAX_KEY_SET_BYTES, Key, KeySet, KeysUnavailable
from app.auth.tokens import TokenCache
from tests.polling import wait_until
from tests.security.conftest import HASTY, PATIENT, Clock, Fetches, MakeApp, MakeServer, SetLimit
from tests.security.corpus import USER, bearer
from tests.security.key_server import (
    Behaviour,
    KeyServer,
    SigningKey,
    answering,
    distinct_tokens,
    dripping,
    dripping_head,
    new_key,
    publishing,
    redirecting,
    silent,
    stalling,
    unreadable_keys,
)
from tests.security.test_tokens import ask, assert_refused, owner

KEY = new_key("EdDSA", "key-1")
NEXT_KEY = new_key("ES256", "key-2")
NAMES = {"iss": "https://auth.example.com", "aud": "https://tasks.example.com"}
GOOD, NEXT = KEY.source(**NAMES), NEXT_KEY.source(**NAMES)
FORGED = new_key("EdDSA", "key-1").source(**NAMES)
CACHED = TokenCache.SECONDS

Break = Callable[[KeyServer], None]


def behaves(behaviour: Callable[..., None]) -> Break:
    def change(server: KeyServer) -> None:
        server.behaviour = behaviour

    return change


# These end with the limit of a fetch, all others at once.
HANGS = {"stalls": stalling, "drips a body": dripping, "drips a head": dripping_head}
FAULTS: dict[str, Break] = {
    "is down": KeyServer.die,
    **{name: behaves(behaviour) for name, behaviour in HANGS.items()},
    "hangs up": behaves(silent),
    "answers a page": behaves(answering(b"<!doctype html><title>Sign in</title>", kind="text/html")),
    "answers 500": behaves(answering(b'{"error": "oops"}', 500)),
    "answers 404": behaves(answering(b'{"keys": []}', 404)),
    "answers 204": behaves(answering(b"", 204)),
    "answers nothing": behaves(answering(b"")),
    "answers null": behaves(answering(b"null")),
    "answers a list": behaves(answering(b"[]")),
    "answers no keys": behaves(answering(b"{}")),
    "answers keys that are null": behaves(answering(b'{"keys": null}')),
    "answers keys that are a number": behaves(answering(b'{"keys": 1}')),
    "answers keys that are an object": behaves(answering(b'{"keys": {"key-1": {}}}')),
    "answers no UTF-8": behaves(answering(b'{"keys": ["\xff"]}')),
    "answers half a set": behaves(answering(b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid"')),
    "answers brackets without end": behaves(answering(b"[" * 200_000)),
    "answers a good set and too much": behaves(answering(b'{"keys": []}' + b" " * (MAX_KEY_SET_BYTES + 1))),
    "answers 50 MB": behaves(answering(b" " * 50_000_000)),
    "answers an empty set": behaves(publishing()),
    "answers unreadable keys alone": behaves(
        publishing(*(jwk for name, jwk in unreadable_keys(KEY).items() if "1024" not in name))
    ),
}


@pytest.fixture
def server(key_server: MakeServer) -> KeyServer:
    return key_server(KEY)


@pytest.fixture
def app(clock: Clock, key_set_app: MakeApp, server: KeyServer) -> Flask:
    """An application whose key set goes by the clock."""
    return make_app(key_set_app, server)


def make_app(make: MakeApp, server: KeyServer) -> Flask:
    url = f"{server.address}/keys"
    return make(JWT_JWKS_URL=url, JWT_ISSUER=NAMES["iss"], JWT_AUDIENCE=NAMES["aud"])


def assert_unavailable(response: TestResponse) -> None:
    assert response.status_code == 503, response.text
    assert response.content_type == "application/problem+json"
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    body = response.get_json()
    assert (body["status"], body["code"]) == (503, "service_unavailable")
    assert body["detail"].endswith(".")
    assert "127.0.0.1" not in response.text


@pytest.mark.parametrize("fault", FAULTS)
def test_a_key_server_that_fails_is_a_503_at_first_and_no_harm_later(
    app: Flask, server: KeyServer, clock: Clock, limit: SetLimit, fault: str
) -> None:
    def fail() -> None:
        limit(HASTY if fault in HANGS else PATIENT)
        FAULTS[fault](server)

    def recover(behaviour: Behaviour, token: str) -> None:
        if fault == "is down":
            server.live_again()
        server.behaviour = behaviour
        limit(PATIENT)
        clock.go(5)
        # The last fetch that failed may still be ending.
        assert wait_until(lambda: ask(app, bearer(token)).status_code == 200)

    good = server.behaviour
    fail()
    # Nothing is known yet: neither a good token nor a forged one can be told.
    for token in (GOOD.token(), GOOD.token(), NEXT.token(), FORGED.token()):
        assert_unavailable(ask(app, bearer(token)))
    recover(good, GOOD.token())
    # Known once, the key goes on working, for long and without the cache of tokens.
    fail()
    for seconds in (FRESH_SECONDS + 1, 3600, 86400):
        clock.go(seconds)
        for token in distinct_tokens(GOOD, 3):
            assert owner(app, bearer(token)) == USER
        assert_refused(ask(app, bearer(FORGED.token())), "invalid_token")
        assert_unavailable(ask(app, bearer(NEXT.token())))
    recover(publishing(NEXT_KEY), NEXT.token())
    assert_refused(ask(app, bearer(GOOD.token())), "invalid_token")


def test_an_unreadable_key_neither_verifies_nor_hides_the_others(
    app: Flask, server: KeyServer, clock: Clock, subtests: pytest.Subtests
) -> None:
    for name, unreadable in unreadable_keys(KEY).items():
        clock.go(FRESH_SECONDS)
        server.behaviour = publishing(unreadable, NEXT_KEY, unreadable)
        with subtests.test(name):
            before = server.fetches
            (token,) = distinct_tokens(NEXT, 1)
            assert owner(app, bearer(token)) == USER
            assert_refused(ask(app, bearer(GOOD.token())), "invalid_token")
            assert server.fetches == before + 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    app: Flask, server: KeyServer, key_server: MakeServer, status: int
) -> None:
    attacker = key_server(SigningKey("key-1", "EdDSA", new_key("EdDSA", "x").private))
    server.behaviour = redirecting(f"{attacker.address}/keys", status)
    assert_unavailable(ask(app, bearer(GOOD.token())))
    assert (server.fetches, attacker.fetches) == (1, 0)


def test_a_server_that_speaks_no_tls_is_not_believed_under_https(
    key_set_app: MakeApp, server: KeyServer, limit: SetLimit
) -> None:
    limit(HASTY)
    url = server.address.replace("http://", "https://")
    app = key_set_app(JWT_JWKS_URL=url, JWT_ISSUER=NAMES["iss"], JWT_AUDIENCE=NAMES["aud"])
    assert_unavailable(ask(app, bearer(GOOD.token())))
    assert server.fetches == 0


def test_a_new_key_is_taken_5_seconds_after_the_last_fetch(
    app: Flask, server: KeyServer, clock: Clock
) -> None:
    assert owner(app, bearer(GOOD.token())) == USER
    server.behaviour = publishing(KEY, NEXT_KEY)
    clock.go(4.9)
    assert_refused(ask(app, bearer(NEXT.token())), "invalid_token")
    assert server.fetches == 1
    clock.go(0.1)
    assert owner(app, bearer(NEXT.token())) == USER
    assert owner(app, bearer(GOOD.token())) == USER
    assert server.fetches == 2


def test_a_new_key_is_taken_at_once_when_the_last_fetch_is_older(
    app: Flask, server: KeyServer, clock: Clock
) -> None:
    assert owner(app, bearer(GOOD.token())) == USER
    clock.go(6)
    server.behaviour = publishing(NEXT_KEY)
    assert owner(app, bearer(NEXT.token())) == USER


def test_a_new_key_is_taken_by_the_clock_on_the_wall(
    key_set_app: MakeApp, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.auth.keys.COOLDOWN_SECONDS", 0.5)
    app = make_app(key_set_app, server)
    assert owner(app, bearer(GOOD.token())) == USER
    server.behaviour = publishing(NEXT_KEY)
    assert wait_until(lambda: ask(app, bearer(NEXT.token())).status_code == 200, 60)
    assert server.fetches == 2


def test_a_key_that_left_the_set_stops_working(app: Flask, server: KeyServer, clock: Clock) -> None:
    token = GOOD.token(exp=int(time.time()) + 86400)
    assert owner(app, bearer(token)) == USER
    server.behaviour = publishing(NEXT_KEY)
    clock.go(FRESH_SECONDS - 1)
    # The last moment at which it may still be verified, and so come into the cache.
    assert owner(app, bearer(token)) == USER
    clock.go(CACHED - 1)
    assert ask(app, bearer(GOOD.token())).status_code == 401
    clock.go(1)
    assert_refused(ask(app, bearer(token)), "invalid_token")
    assert owner(app, bearer(NEXT.token())) == USER


def test_a_key_that_left_the_set_stops_working_after_a_quiet_day(
    app: Flask, server: KeyServer, clock: Clock
) -> None:
    """The first request after it must not be answered from the old set."""
    assert owner(app, bearer(GOOD.token())) == USER
    server.behaviour = publishing(NEXT_KEY)
    clock.go(86400)
    assert_refused(ask(app, bearer(GOOD.token())), "invalid_token")


def test_a_key_replaced_under_its_id_stops_working(app: Flask, server: KeyServer, clock: Clock) -> None:
    assert owner(app, bearer(GOOD.token())) == USER
    server.behaviour = publishing(SigningKey("key-1", "ES256", NEXT_KEY.private))
    clock.go(FRESH_SECONDS + CACHED)
    assert_refused(ask(app, bearer(GOOD.token())), "invalid_token")


def statuses(app: Flask, tokens: list[str], threads: int = 50) -> list[int]:
    """The answers to requests that begin at the same moment."""
    barrier = threading.Barrier(threads)

    def run(n: int) -> list[int]:
        barrier.wait(60)
        return [ask(app, bearer(token)).status_code for token in tokens[n::threads]]

    with ThreadPoolExecutor(threads) as pool:
        return [status for found in pool.map(run, range(threads)) for status in found]


def forged(count: int) -> list[str]:
    return [GOOD.token(header={"kid": f"forged-{n}"}) for n in range(count)]


def test_forged_key_ids_in_50_threads_make_one_fetch(app: Flask, fetches: Fetches, clock: Clock) -> None:
    for begun in (1, 2, 3):
        assert set(statuses(app, forged(150))) == {401}
        assert (fetches.begun, fetches.most_at_once) == (begun, 1)
        clock.go(4.99)
        assert set(statuses(app, forged(50))) == {401}
        assert fetches.begun == begun
        clock.go(0.02)
    assert owner(app, bearer(GOOD.token())) == USER


@pytest.mark.parametrize("fault", ["is down", "stalls", "drips a body", "answers 500"])
def test_forged_key_ids_make_one_fetch_while_the_server_fails(
    app: Flask, server: KeyServer, clock: Clock, fetches: Fetches, limit: SetLimit, fault: str
) -> None:
    def all_are_503() -> bool:
        return set(statuses(app, forged(100))) == {503}

    limit(HASTY if fault in HANGS else PATIENT)
    FAULTS[fault](server)
    assert all_are_503()
    assert wait_until(lambda: fetches.begun == 1 and fetches.at_once == 0)
    clock.go(4.9)
    assert all_are_503()
    assert fetches.begun == 1
    clock.go(0.2)
    assert wait_until(lambda: all_are_503() and fetches.begun == 2)
    assert fetches.most_at_once == 1


def test_forged_key_ids_do_not_keep_a_good_key_out_that_comes_later(
    app: Flask, server: KeyServer, clock: Clock
) -> None:
    server.behaviour = publishing(NEXT_KEY)
    assert set(statuses(app, forged(50))) == {401}
    server.behaviour = publishing(KEY)
    clock.go(5)
    assert set(statuses(app, [*forged(49), GOOD.token()])) == {401, 200}


def test_50_first_requests_at_once_are_all_answered_after_one_fetch(app: Flask, fetches: Fetches) -> None:
    assert set(statuses(app, list(distinct_tokens(GOOD, 100)))) == {200}
    assert (fetches.begun, fetches.most_at_once) == (1, 1)


class Gate:
    """A fetch that hangs until it is let go, whatever time its caller gives it."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.calls = 0

    def __call__(self, _url: str) -> bytes:
        self.calls += 1
        self.open.wait(60)
        raise OSError


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is shut, and opened at the end so that nothing hangs longer."""
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def stalled(clock: Clock, limit: SetLimit, server: KeyServer, gate: Gate) -> KeySet:
    """A key set that knows its server's key, needs another fetch, and will not get it."""
    keys = KeySet(f"{server.address}/keys", clock=clock)
    assert keys.find("key-1")
    keys._fetch = gate
    clock.go(FRESH_SECONDS + 1)
    limit(HASTY)
    return keys


def test_requests_of_known_keys_are_answered_while_a_stall_lasts(stalled: KeySet, gate: Gate) -> None:
    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(lambda _: stalled.find("key-1"), range(200)))
    assert wait_until(lambda: gate.calls == 1)


def test_no_fetch_begins_while_one_hangs_however_long(clock: Clock, limit: SetLimit, gate: Gate) -> None:
    limit(HASTY)
    keys = KeySet("http://127.0.0.1/keys", gate, clock)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            keys.find("key-1")
        clock.go(3600)
    assert wait_until(lambda: gate.calls == 1)


def test_a_stall_that_outlasts_the_wait_holds_up_no_request_after_the_first(
    stalled: KeySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a name server does that does not answer, which no timeout of a socket ends."""
    waits: list[float] = []
    wait = stalled._idle.wait

    def count(seconds: float) -> bool:
        waits.append(seconds)
        return wait(seconds)

    monkeypatch.setattr(stalled._idle, "wait", count)
    assert all(stalled.find("key-1") for _ in range(10))
    with pytest.raises(KeysUnavailable):
        stalled.find("key-2")
    assert len(waits) == 1


def test_a_thread_that_cannot_start_is_a_503_and_the_next_fetch_goes_on(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("app.auth.keys.threading.Thread.start", fail)
        assert_unavailable(ask(app, bearer(GOOD.token())))
    clock.go(5)
    assert owner(app, bearer(GOOD.token())) == USER


def test_a_key_that_arrives_between_two_looks_is_not_taken_for_unknown(
    clock: Clock, server: KeyServer
) -> None:
    """The server comes back while a request looks, and finds nothing: that is a 503, never a 401."""
    keys = KeySet(f"{server.address}/keys", clock=clock)
    good = server.behaviour
    server.behaviour = silent
    with pytest.raises(KeysUnavailable):
        keys.find("key-1")
    server.behaviour = good
    clock.go(5)

    class Late(dict[str, Key]):
        """Another request's fetch ends just after this one has looked."""

        looks = 0

        def get(self, name: str, default: Key | None = None) -> Key | None:  # type: ignore[override]
            Late.looks += 1
            if Late.looks == 2:
                keys._refresh(clock())
            return default

    keys._keys = Late()
    keys._started_at = clock()
    try:
        found = keys.find("key-1")
    except KeysUnavailable:
        found = keys.find("key-1")
    assert found is not None
    assert Late.looks == 2
