"""The keys that verify tokens: one shared secret, or the key set of a key server."""

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jwt

from ..metrics import KEY_SET_FETCHES

log = logging.getLogger(__name__)

FETCH_SECONDS = 2
FRESH_SECONDS = 300
COOLDOWN_SECONDS = 5
MAX_KEY_SET_BYTES = 256 * 1024
# A key determines its algorithms (RFC 8725, section 3.1): (kty, crv) → algorithms.
ALGORITHMS = {
    ("OKP", "Ed25519"): ("EdDSA",),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-521"): ("ES512",),
    ("RSA", None): ("RS256", "PS256"),
}


class Key(NamedTuple):
    """A key, and the algorithms that a token signed with it may use."""

    key: Any
    algorithms: tuple[str, ...]


class KeysUnavailable(Exception):  # noqa: N818 - it is the key server's error
    """The key server does not supply the key that a token needs."""


class SharedSecret:
    """The only key in shared-secret mode."""

    def __init__(self, secret: str) -> None:
        self._key = Key(secret, ("HS256",))

    def find(self, _key_id: str | None) -> Key | None:
        """The secret; a key id makes no difference."""
        return self._key


class KeySet:
    """The keys of a key server (RFC 7517), fetched when a token needs them.

    A set is fresh for 5 minutes, and stays in use until the server supplies another one. Only one fetch runs
    at a time, and none starts within 5 s of the one before, no matter which key ids arrive.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._fetch = fetch or fetch_key_set
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}
        self._fetched_at = self._started_at = float("-inf")
        self._failed = False
        # Set while no fetch runs.
        self._idle = threading.Event()
        self._idle.set()

    def find(self, key_id: str | None) -> Key | None:
        """The key with that id, or None if the set has none. Raises KeysUnavailable."""
        if key_id is None:
            return None
        key = self._keys.get(key_id)
        if key and self._clock() - self._fetched_at < FRESH_SECONDS:
            return key
        server_failed = self._failed
        started = self._start_fetch()
        # While the server fails, only the request that starts a fetch waits for it.
        should_wait = started or not server_failed
        if should_wait:
            finished = self._idle.wait(FETCH_SECONDS + 0.5)
            if not finished:
                self._failed = True
        # Before the last lookup: a set that arrives in between must not count as the one that was searched.
        unavailable = self._failed or not self._idle.is_set()
        key = self._keys.get(key_id)
        if key is None and unavailable:
            raise KeysUnavailable
        return key

    def _start_fetch(self) -> bool:
        with self._lock:
            now = self._clock()
            if not self._idle.is_set() or now - self._started_at < COOLDOWN_SECONDS:
                return False
            self._started_at = now
            self._idle.clear()
        # In a thread, so that a name server that hangs delays a request no longer than the wait above.
        try:
            threading.Thread(target=self._refresh, args=(now,), daemon=True).start()
        except RuntimeError:  # the machine has no thread left
            self._failed = True
            self._idle.set()
        return True

    def _refresh(self, now: float) -> None:
        try:
            self._keys = read_key_set(self._fetch(self._url))
            self._fetched_at = now
            self._failed = False
            KEY_SET_FETCHES.labels("success").inc()
        except Exception as error:  # known keys stay valid, whatever the server does
            self._failed = True
            KEY_SET_FETCHES.labels("failure").inc()
            log.warning("cannot fetch the key set: %s", type(error).__name__)
        finally:
            self._idle.set()


def read_key_set(body: bytes) -> dict[str, Key]:
    """The usable keys of a JWK set by their ids. Raises ValueError if there are none."""
    document = json.loads(body)
    keys: dict[str, Key] = {}
    for jwk in document["keys"]:
        try:
            keys.setdefault(*read_key(jwk))
        except (jwt.PyJWTError, ValueError, TypeError, LookupError, AttributeError) as error:
            log.warning("skipped a key of the key set: %s", type(error).__name__)
    if not keys:
        raise ValueError("no usable key")
    return keys


def read_key(jwk: dict[str, Any]) -> tuple[str, Key]:
    """A JWK's id and key. Raises ValueError, LookupError or PyJWTError for an unusable one."""
    key_id = jwk["kid"]
    if not isinstance(key_id, str) or not key_id:
        raise ValueError("no key id")
    # RFC 7517, sections 4.2 and 4.3: a key for encryption must not verify signatures.
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise ValueError("not a key for signatures")
    algorithms = ALGORITHMS[jwk["kty"], jwk.get("crv")]
    if "alg" in jwk:
        algorithms = tuple(name for name in algorithms if name == jwk["alg"])
    # Do not trust a private key in a public set: whoever has read it can sign.
    if not algorithms or "d" in jwk:
        raise ValueError("not a key for an accepted algorithm")
    return key_id, Key(jwt.PyJWK(jwk, algorithms[0]).key, algorithms)


def fetch_key_set(url: str) -> bytes:
    """The body at `url`, within 2 s of connecting. Follows no redirect, which could lead to plain http."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=FETCH_SECONDS)
    connection.connect()
    # The socket's timeout covers one read: a server that sends a byte now and then would never reach it.
    watchdog = threading.Timer(FETCH_SECONDS, connection.sock.shutdown, [socket.SHUT_RDWR])
    watchdog.start()
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("GET", path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(MAX_KEY_SET_BYTES + 1)
        if response.status != http.HTTPStatus.OK or len(body) > MAX_KEY_SET_BYTES:
            raise ValueError(f"status {response.status} with {len(body)} bytes")
        return body
    finally:
        watchdog.cancel()
        connection.close()
