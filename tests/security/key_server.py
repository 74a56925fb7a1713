"""A key server on loopback that can be made to fail, and the keys that it publishes."""

import contextlib
import json
import select
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

from tests.live import reserve_port
from tests.security.corpus import Source, now, unb64

Jwk = dict[str, Any]


class ClaimSource(Source):
    """A source whose tokens carry an issuer and an audience, so that nothing is refused for lack of them."""

    def token(self, *, header: Mapping[str, Any] | None = None, without: str = "", **claims: Any) -> str:
        return super().token(header=header, without=without, **{**self._claims, **claims})

    def raw(self, payload: str | bytes) -> str:
        data = payload.encode() if isinstance(payload, str) else payload
        if data.startswith(b"{"):
            data = b"{" + json.dumps(self._claims).encode()[1:-1] + b"," + data[1:]
        return super().raw(data)

    _claims: Mapping[str, Any] = {}

    @classmethod
    def of(cls, source: Source, **claims: Any) -> "ClaimSource":
        made = cls(source.alg, source.signature, source.header, source.known)
        object.__setattr__(made, "_claims", claims)
        return made


@dataclass(frozen=True)
class SigningKey:
    """A private key with its id and its algorithm."""

    kid: str
    alg: str
    private: Any

    @property
    def pem(self) -> bytes:
        """The public key as everybody may know it."""
        found: bytes = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return found

    def jwk(self, **members: Any) -> Jwk:
        """The public key as a member of a set."""
        made = get_default_algorithms()[self.alg].to_jwk(self.private.public_key(), as_dict=True)
        for name in ("key_ops", "use"):
            made.pop(name, None)
        return {**made, "kid": self.kid, "alg": self.alg, "use": "sig", **members}

    def private_jwk(self, **members: Any) -> Jwk:
        """The private key as a member of a set, where none belongs."""
        made = get_default_algorithms()[self.alg].to_jwk(self.private, as_dict=True)
        made.pop("key_ops", None)
        return {**made, "kid": self.kid, "alg": self.alg, "use": "sig", **members}

    def sign(self, data: bytes) -> bytes:
        return get_default_algorithms()[self.alg].sign(data, self.private)

    def source(self, **claims: Any) -> ClaimSource:
        """Who signs with this key, for an issuer and an audience."""
        return ClaimSource.of(Source(self.alg, self.sign, {"kid": self.kid}, self.pem), **claims)


def new_key(alg: str, kid: str) -> SigningKey:
    """A key of its own."""
    makers: dict[str, Callable[[], Any]] = {
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
        "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    }
    makers["PS256"] = makers["RS256"]
    return SigningKey(kid, alg, makers[alg]())


class Handler(BaseHTTPRequestHandler):
    """Notes the path, and does what the server is told to do."""

    owner: "KeyServer"

    def do_GET(self) -> None:
        self.owner.paths.append(self.path)
        self.owner.behaviour(self)

    def log_message(self, *_: Any) -> None:
        pass


Behaviour = Callable[[Handler], None]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_port = True

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no error here."""


class KeyServer:
    """A live key server; `behaviour` may be changed at any time."""

    def __init__(self, *keys: SigningKey | Jwk) -> None:
        self.behaviour: Behaviour = publishing(*keys)
        self.paths: list[str] = []
        self.over = threading.Event()
        self._handler = type("OwnHandler", (Handler,), {"owner": self})
        self._reserved = reserve_port()
        self.port = self._reserved.getsockname()[1]
        self.live_again()

    @property
    def fetches(self) -> int:
        return len(self.paths)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def live_again(self) -> None:
        """Listen, on the same port as before."""
        self._server = Server(("127.0.0.1", self.port), self._handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def die(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def stop(self) -> None:
        self.over.set()
        self.die()
        self._reserved.close()


def answering(body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Behaviour:
    """Answer so."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def publishing(*keys: SigningKey | Jwk | Any) -> Behaviour:
    """Publish a set of these keys."""
    jwks = [key.jwk() if isinstance(key, SigningKey) else key for key in keys]
    return answering(json.dumps({"keys": jwks}).encode())


def stalling(handler: Handler) -> None:
    """Say nothing until the client hangs up."""
    while not handler.owner.over.is_set():
        if select.select([handler.connection], [], [], 0.02)[0] and not handler.connection.recv(1):
            return


def dripping(handler: Handler) -> None:
    """Send a good answer's head, and then a blank now and then for ever."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    with contextlib.suppress(OSError):
        while not handler.owner.over.wait(0.05):
            handler.wfile.write(b" ")


def silent(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def dripping_head(handler: Handler) -> None:
    """Send a header line now and then for ever, never a body."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    with contextlib.suppress(OSError):
        while not handler.owner.over.wait(0.05):
            handler.wfile.write(b"X: y")


def redirecting(url: str, status: int = 302) -> Behaviour:
    return answering(b"", status, Location=url)


def unreadable_keys(good: SigningKey) -> dict[str, Any]:
    """Members of a set that verify nothing, though most use the id of a good key."""
    kid = good.kid
    p384 = new_key("ES384", kid)
    small = SigningKey(kid, "RS256", rsa.generate_private_key(public_exponent=65537, key_size=1024))
    jwk = good.jwk()
    p256 = new_key("ES256", kid).jwk()
    cases: dict[str, Any] = {
        "a shared secret": {"kty": "oct", "kid": kid, "k": jwk["x"], "alg": "HS256"},
        "a private key": good.private_jwk(),
        "a private key of RSA": SigningKey(kid, "RS256", RSA).private_jwk(),
        "a key of X25519": {**jwk, "crv": "X25519", "alg": "ECDH-ES"},
        "a key of X25519 without alg": {"kty": "OKP", "crv": "X25519", "x": jwk["x"], "kid": kid},
        "a key of Ed448": {**jwk, "crv": "Ed448"},
        "a key of P-384": p384.jwk(),
        "a key of secp256k1": {**p256, "crv": "secp256k1", "alg": "ES256K"},
        "a key for encryption": good.jwk(use="enc"),
        "a key of no use": good.jwk(use=None),
        "a key to sign with": good.jwk(key_ops=["sign"]),
        "key_ops that are null": good.jwk(key_ops=None),
        "a key of another algorithm": good.jwk(alg="ES256"),
        "a key of no algorithm": good.jwk(alg="none"),
        "a key of an HMAC": good.jwk(alg="HS256"),
        "an alg that is a list": good.jwk(alg=["EdDSA"]),
        "an alg that is null": good.jwk(alg=None),
        "a kty that is a list": good.jwk(kty=["OKP"]),
        "a crv that is an object": good.jwk(crv={}),
        "an empty id": good.jwk(kid=""),
        "an id that is a number": good.jwk(kid=1),
        "an id that is null": good.jwk(kid=None),
        "an id that is a list": good.jwk(kid=[kid]),
        "no id": {name: value for name, value in jwk.items() if name != "kid"},
        "no x": {name: value for name, value in jwk.items() if name != "x"},
        "an x of 31 bytes": good.jwk(x=jwk["x"][:-2]),
        "an x that is no base64": good.jwk(x="!" * 43),
        "an x that is a number": good.jwk(x=1),
        "an x that is null": good.jwk(x=None),
        "a point that is not on its curve": {**p256, "x": p256["y"]},
        "a point of zeros": {**p256, "x": "A" * 43, "y": "A" * 43},
        "RSA with an e of zero": {**SigningKey(kid, "RS256", RSA).jwk(), "e": "AA"},
        "RSA with an e of two": {**SigningKey(kid, "RS256", RSA).jwk(), "e": "Ag"},
        "RSA with an e larger than n": {**SigningKey(kid, "RS256", RSA).jwk(), "e": "_" * 600},
        "RSA with an n of zero": {**SigningKey(kid, "RS256", RSA).jwk(), "n": "AA"},
        "RSA with an empty n": {**SigningKey(kid, "RS256", RSA).jwk(), "n": ""},
        "RSA with an n that is a list": {**SigningKey(kid, "RS256", RSA).jwk(), "n": []},
        "RSA of 1024 bits": small.jwk(),
        "nothing": {},
        "a string": "key",
        "a number": 1,
        "null": None,
        "a list": [jwk],
        "a list of nothing": [],
    }
    return cases


RSA: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def distinct_tokens(source: Source, count: int) -> Iterable[str]:
    """Good tokens that no cache has seen."""
    return [source.token(jti=f"{now()}-{n}-{time.perf_counter_ns()}") for n in range(count)]


def unb64_x(key: SigningKey) -> bytes:
    return unb64(key.jwk()["x"])


def unb64_n(key: SigningKey) -> bytes:
    return unb64(key.jwk()["n"])
