"""The attacks on the Authorization header, as data: each case makes a WSGI environment from a token source.

A source signs as the sign-in service does. `forgeries` need no key, `faults` are signed correctly and refused
all the same, `syntax` is no token at all; the rest belongs to one mode. A new mode is one more `Source`.
"""

import base64
import hashlib
import hmac
import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Environ = dict[str, str]
USER = "victim"
LEEWAY = 10


@dataclass(frozen=True)
class Source:
    """Who signs: an algorithm, how it signs bytes, and what its header says beside `alg` and `typ`."""

    alg: str
    signature: Callable[[bytes], bytes]
    header: Mapping[str, Any] = field(default_factory=dict)
    # What an attacker may know and try as an HMAC key: nothing here, the public key in key set mode.
    known: bytes = b""
    # The key of shared-secret mode.
    secret: bytes = b""

    def compact(self, header: bytes, payload: bytes) -> str:
        """A compact JWS over these very bytes."""
        signed = f"{b64(header)}.{b64(payload)}"
        return f"{signed}.{b64(self.signature(signed.encode()))}"

    def token(self, *, header: Mapping[str, Any] | None = None, without: str = "", **claims: Any) -> str:
        """A good token but for `header`, `claims` and the claim left out."""
        payload = {"sub": USER, "iat": now(), "exp": now() + 300, **claims}
        payload.pop(without, None)
        full = {"alg": self.alg, "typ": "JWT", **self.header, **(header or {})}
        return self.compact(json.dumps(full).encode(), json.dumps(payload).encode())

    def raw(self, payload: str | bytes) -> str:
        """A token over a payload that no JSON library would write; NOW and LATER become times."""
        data = payload.encode() if isinstance(payload, str) else payload
        data = data.replace(b"LATER", b"%d" % (now() + 300)).replace(b"NOW", b"%d" % now())
        return self.compact(json.dumps({"alg": self.alg, **self.header}).encode(), data)


@dataclass(frozen=True)
class Case:
    """One attack: its name, the WSGI environment that it makes, and the error code of its refusal."""

    name: str
    environ: Callable[[Source], Environ]
    code: str = "invalid_token"


def shared_secret(secret: str) -> Source:
    """The source of shared-secret mode."""
    key = secret.encode()
    return Source("HS256", hmac_signer(key, "sha256"), secret=key)


def now() -> int:
    return int(time.time())


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def bearer(token: str) -> Environ:
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def hmac_signer(key: bytes, digest: str) -> Callable[[bytes], bytes]:
    return lambda data: hmac.new(key, data, digest).digest()


def forgery(name: str, make: Callable[[Source], str]) -> Case:
    return Case(name, lambda source: bearer(make(source)))


def claims(name: str, make: Callable[[], dict[str, Any]], without: str = "") -> Case:
    """A correctly signed token whose claims must be refused; made late, as times go by."""
    return Case(name, lambda source: bearer(source.token(without=without, **make())))


def raw(name: str, payload: str | bytes) -> Case:
    return Case(name, lambda source: bearer(source.raw(payload)))


def changed(token: str, place: int, change: Callable[[str], str]) -> str:
    """The token with one of its three parts changed."""
    parts = token.split(".")
    parts[place] = change(parts[place])
    return ".".join(parts)


def with_header(source: Source, **members: Any) -> str:
    """A good token's payload and signature under a header that never was signed."""
    header = json.dumps({"alg": source.alg, "typ": "JWT", **source.header, **members}).encode()
    return changed(source.token(), 0, lambda _: b64(header))


def self_signed(alg: str, sign: Callable[[bytes], bytes], **header: Any) -> str:
    """A token that an attacker signs with a key of their own."""
    return Source(alg, sign).token(header=header)


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEYS = {"ES256": ec.generate_private_key(ec.SECP256R1()), "ES512": ec.generate_private_key(ec.SECP521R1())}
ED_KEY = ed25519.Ed25519PrivateKey.generate()
OWN_KEYS: dict[str, Any] = {
    "RS256": RSA_KEY,
    "RS512": RSA_KEY,
    "PS256": RSA_KEY,
    "ES256": EC_KEYS["ES256"],
    "ES512": EC_KEYS["ES512"],
    "EdDSA": ED_KEY,
}
ED_JWK = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA"} | {
    "x": b64(ED_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
}


def own_key(alg: str, **header: Any) -> str:
    """A token signed with the attacker's own private key."""
    payload = {"sub": USER, "iat": now(), "exp": now() + 300}
    return jwt.encode(payload, OWN_KEYS[alg], alg, headers=header or None)


def own_hmac(key: bytes, **header: Any) -> str:
    return self_signed("HS256", hmac_signer(key, "sha256"), **header)


KIDS: dict[str, Any] = {
    "a path to an empty file": "../../../../../../dev/null",
    "an absolute path": "/etc/passwd",
    "a file URL": "file:///dev/null",
    "SQL that names a key": "x' UNION SELECT '' -- ",
    "a shell command": "key; sleep 10 |",
    "4000 characters": "k" * 4000,
    "an object": {"a": "b"},
    "a list": ["a"],
    "a number": 1,
    "null": None,
    "true": True,
    "an empty string": "",
    "a NUL": "\0",
}
ALGS: dict[str, Any] = {
    "null": None,
    "a number": 256,
    "a list": ["HS256"],
    "an object": {"HS256": 1},
    "true": True,
    "an empty string": "",
    "in lower case": "hs256",
    "with a space before it": " HS256",
    "with a NUL after it": "HS256\0",
    "with a newline after it": "HS256\n",
    "unknown": "HS257",
    "the name of a Python attribute": "__class__",
    "10000 characters": "H" * 4000,
}
NONES = ("none", "None", "NONE", "nOnE", "noNe", "NonE", " none", "none ", "none\0", "none\n", "\ufeffnone")


def unsecured(alg: str, what: str, signature: bytes) -> Case:
    """An unsecured JWS (RFC 7519, section 6), or one that says so and is signed with nonsense."""
    header = b64(json.dumps({"alg": alg, "typ": "JWT"}).encode())
    return forgery(
        f"alg {alg!r} with {what} signature",
        lambda s: f"{header}.{s.token().split('.')[1]}.{b64(signature)}",
    )


def unsigned_alg(what: str, alg: Any) -> Case:
    return forgery(f"an unsigned header whose alg is {what}", lambda s: with_header(s, alg=alg))


def signed_alg(what: str, alg: Any) -> Case:
    return forgery(f"a signed header whose alg is {what}", lambda s: s.token(header={"alg": alg}))


def self_made(alg: str) -> Case:
    return forgery(f"{alg} with a key of the attacker's own", lambda _: own_key(alg))


def kid_of_empty_key(what: str, kid: Any) -> Case:
    return forgery(f"HS256 with an empty key and a kid that is {what}", lambda _: own_hmac(b"", kid=kid))


def other_digest(alg: str, digest: str) -> Case:
    """Signed with the right secret under an algorithm that the mode does not have."""
    return forgery(
        f"{alg} with the right secret", lambda s: Source(alg, hmac_signer(s.secret, digest)).token()
    )


forgeries = [
    *(unsecured(alg, *signature) for alg in NONES for signature in (("no", b""), ("a", b"x" * 32))),
    *(unsigned_alg(what, alg) for what, alg in ALGS.items()),
    forgery("a header without alg", lambda s: changed(s.token(), 0, lambda _: b64(b'{"typ":"JWT"}'))),
    *(self_made(alg) for alg in OWN_KEYS),
    forgery("EdDSA with its own jwk", lambda _: own_key("EdDSA", jwk=ED_JWK)),
    forgery(
        "EdDSA with a jku of the attacker's",
        lambda _: own_key("EdDSA", jku="http://127.0.0.1:9/jwks", kid="a"),
    ),
    forgery("RS256 with an x5u", lambda _: own_key("RS256", x5u="http://127.0.0.1:9/cert.pem")),
    forgery("RS256 with an x5c", lambda _: own_key("RS256", x5c=["MIIB", "MIIC"])),
    forgery("RS256 with an x5t", lambda _: own_key("RS256", x5t="AAAA")),
    forgery(
        "HS256 with the secret in its jwk",
        lambda _: own_hmac(b"a" * 32, jwk={"kty": "oct", "k": b64(b"a" * 32)}),
    ),
    forgery("HS256 with a jwk that is a list", lambda _: own_hmac(b"a" * 32, jwk=[])),
    forgery("HS256 with a jku that is a number", lambda _: own_hmac(b"a" * 32, jku=1)),
    *(kid_of_empty_key(what, kid) for what, kid in KIDS.items()),
    forgery("HS256 with an empty key", lambda _: own_hmac(b"")),
    forgery("HS256 with a NUL for a key", lambda _: own_hmac(b"\0" * 32)),
    forgery("HS256 with another secret", lambda _: own_hmac(b"another secret of thirty-two bytes")),
    forgery("HS256 with what is known as the key", lambda s: own_hmac(s.known)),
    forgery("HS256 with the word secret", lambda _: own_hmac(b"secret")),
    forgery("an empty signature", lambda s: changed(s.token(), 2, lambda _: "")),
    forgery("the signature and its dot taken away", lambda s: s.token().rpartition(".")[0]),
    forgery("a signature cut by one character", lambda s: s.token()[:-1]),
    forgery("a signature cut to half", lambda s: changed(s.token(), 2, lambda part: part[: len(part) // 2])),
    forgery("a signature with a byte more", lambda s: changed(s.token(), 2, lambda p: b64(unb64(p) + b"\0"))),
    forgery("a signature twice", lambda s: changed(s.token(), 2, lambda part: part * 2)),
    forgery("a signature of zeros", lambda s: changed(s.token(), 2, lambda p: b64(bytes(len(unb64(p)))))),
    forgery("a signature with its last unused bits set", lambda s: changed(s.token(), 2, stray_bits)),
    forgery("a signature with one bit turned", lambda s: changed(s.token(), 2, turned_bit)),
    forgery("a signature in hexadecimal", lambda s: changed(s.token(), 2, lambda p: unb64(p).hex())),
    forgery(
        "the signature of another payload",
        lambda s: changed(s.token(), 2, lambda _: s.token(sub="mallory").split(".")[2]),
    ),
    forgery(
        "another user's name under a good signature",
        lambda s: changed(s.token(sub="mallory"), 1, lambda p: b64(unb64(p).replace(b"mallory", b"victim"))),
    ),
    forgery("a payload cut by one character", lambda s: changed(s.token(), 1, lambda part: part[:-1])),
    forgery("an empty payload", lambda s: changed(s.token(), 1, lambda _: "")),
    forgery("an empty header", lambda s: changed(s.token(), 0, lambda _: "")),
    forgery("a header that is a list", lambda s: changed(s.token(), 0, lambda _: b64(b'["HS256"]'))),
    forgery("a header that is a string", lambda s: changed(s.token(), 0, lambda _: b64(b'"HS256"'))),
    forgery("a header that is null", lambda s: changed(s.token(), 0, lambda _: b64(b"null"))),
    forgery("a header that is no JSON", lambda s: changed(s.token(), 0, lambda _: b64(b"{'alg':'HS256'}"))),
    forgery("a header that is no UTF-8", lambda s: changed(s.token(), 0, lambda _: b64(b'{"alg":"\xff"}'))),
    forgery(
        "a header with a UTF-8 BOM",
        lambda s: changed(s.token(), 0, lambda p: b64(b"\xef\xbb\xbf" + unb64(p))),
    ),
    forgery(
        "a header in UTF-16",
        lambda s: changed(s.token(), 0, lambda p: b64(unb64(p).decode().encode("utf-16"))),
    ),
    forgery("a header nested without end", lambda s: changed(s.token(), 0, lambda _: b64(b'{"alg":' * 900))),
    forgery("a header of brackets", lambda s: changed(s.token(), 0, lambda _: b64(b"[" * 5000))),
    forgery(
        "a header with a number of 5000 digits",
        lambda s: changed(s.token(), 0, lambda _: b64(b'{"alg":' + b"9" * 5000 + b"}")),
    ),
    forgery(
        "a header with alg twice, none last",
        lambda s: changed(s.token(), 0, lambda _: b64(b'{"alg":"HS256","alg":"none"}')),
    ),
    forgery(
        "a header with alg twice, none first",
        lambda s: changed(s.token(), 0, lambda _: b64(b'{"alg":"none","alg":"HS256"}')),
    ),
    forgery("only dots", lambda _: ".."),
    forgery("three dots", lambda _: "..."),
    forgery("no dot", lambda _: "abc"),
    forgery("one dot", lambda _: "abc.def"),
    forgery("three parts that are nothing", lambda _: "a.b.c"),
    forgery("four parts", lambda s: s.token() + ".AAAA"),
    forgery("a dot at the end", lambda s: s.token() + "."),
    forgery("a dot at the start", lambda s: "." + s.token()),
    forgery(
        "a JWE of five parts",
        lambda _: ".".join([b64(b'{"alg":"dir","enc":"A256GCM"}'), "", "AAAA", "AAAA", "AAAA"]),
    ),
    forgery(
        "a JWE of five full parts",
        lambda _: ".".join([b64(b'{"alg":"A256KW","enc":"A256GCM"}'), *["AA"] * 4]),
    ),
    forgery("a PASETO", lambda _: "v4.public.AAAA"),
    forgery("a session cookie of Better Auth", lambda _: "kq3Zt9mB0x.dGhpc2lzbm90YWp3dA%3D%3D"),
    forgery("a token of 8191 characters", lambda s: padded(s, 8191)),
    forgery("a token of a megabyte", lambda s: padded(s, 1_000_000)),
    forgery("a megabyte of dots", lambda _: "." * 1_000_000),
    forgery("a megabyte of words", lambda _: "a" * 1_000_000),
]


def stray_bits(part: str) -> str:
    """Another spelling of the same bytes: base64 leaves the last character's low bits unused."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = part[:-1] + alphabet[alphabet.index(part[-1]) ^ 1]
    assert unb64(other) == unb64(part)
    return other


def turned_bit(part: str) -> str:
    data = unb64(part)
    return b64(bytes([data[0] ^ 1]) + data[1:])


def padded(source: Source, length: int) -> str:
    """A correctly signed token of at least `length` characters."""
    token = source.token(padding="x" * length)
    assert len(token) >= length
    return token


def json_serialization(source: Source) -> str:
    header, payload, signature = source.token().split(".")
    flat = {"payload": payload, "protected": header, "signature": signature}
    return json.dumps(flat, separators=(",", ":"))


def header_fault(name: str, **members: Any) -> Case:
    """A correctly signed token whose header asks for what this service does not do."""
    return forgery(f"a signed header with {name}", lambda s: s.token(header=members))


def times(name: str, value: Any) -> list[Case]:
    return [always(f"{claim} is {name}", {claim: value}) for claim in ("exp", "nbf", "iat")]


def always(name: str, values: dict[str, Any]) -> Case:
    return claims(name, lambda: values)


def sub(name: str, value: Any) -> Case:
    return always(f"sub is {name}", {"sub": value})


faults = [
    header_fault("a crit that it does not know", crit=["exp"]),
    header_fault("a crit that is empty", crit=[]),
    header_fault("a crit that is a string", crit="exp"),
    header_fault("a crit that is a number", crit=1),
    header_fault("a crit that is an object", crit={"b64": True}),
    header_fault("a crit of lists", crit=[[]]),
    header_fault("a crit that names alg", crit=["alg"]),
    header_fault("b64 false", b64=False),
    header_fault("b64 false, and crit for it", b64=False, crit=["b64"]),
    header_fault("b64 false and a crit that is a number", b64=False, crit=1),
    header_fault("a kid that is a number", kid=1),
    header_fault("a kid that is an object", kid={}),
    header_fault("a kid that is a list", kid=[1]),
    forgery("b64 false over an empty payload", lambda s: detached(s)),
    forgery(
        "a compressed payload",
        lambda s: s.compact(
            json.dumps({"alg": s.alg, "zip": "DEF", **s.header}).encode(),
            zlib.compress(b'{"sub":"victim","exp":9999999999}'),
        ),
    ),
    forgery("a token within a token", lambda s: s.raw(s.token())),
    forgery("a token within a token, as a JSON string", lambda s: s.raw(json.dumps(s.token()))),
    forgery(
        "padding in the signature", lambda s: changed(s.token(), 2, lambda p: p + "=" * (-len(p) % 4 or 4))
    ),
    forgery("padding in every part", lambda s: padded_parts(s)),
    forgery("the alphabet of plain base64", lambda s: plain_base64(s)),
    forgery("a space within", lambda s: s.token().replace(".", ". ", 1)),
    forgery("a tab within", lambda s: s.token().replace(".", ".\t", 1)),
    forgery("a tab after it", lambda s: s.token() + "\t"),
    forgery("a newline within", lambda s: s.token().replace(".", ".\n", 1)),
    forgery("a newline after it", lambda s: s.token() + "\n"),
    forgery("a carriage return after it", lambda s: s.token() + "\r"),
    forgery("a NUL within", lambda s: s.token().replace(".", ".\0", 1)),
    forgery("a NUL after it", lambda s: s.token() + "\0"),
    forgery("a no-break space after it", lambda s: s.token() + "\xa0"),
    forgery("an umlaut for a letter", lambda s: "\xe4" + s.token()[1:]),
    forgery("bytes of UTF-8 after it", lambda s: s.token() + "\xc3\xa4"),
    forgery("a percent-encoded dot", lambda s: s.token().replace(".", "%2E", 1)),
    forgery("quotes around it", lambda s: f'"{s.token()}"'),
    forgery("angle brackets around it", lambda s: f"<{s.token()}>"),
    forgery("a semicolon after it", lambda s: s.token() + ";"),
    forgery("the scheme a second time", lambda s: f"Bearer {s.token()}"),
    forgery("two tokens", lambda s: f"{s.token()} {s.token()}"),
    forgery("two tokens and a comma", lambda s: f"{s.token()},{s.token()}"),
    forgery("two headers joined", lambda s: f"{s.token()}, Bearer {s.token()}"),
    forgery("two headers joined, the second without one", lambda s: f"{s.token()}, Basic YTpi"),
    forgery("a parameter after it", lambda s: f'{s.token()}, realm="x"'),
    forgery("JSON serialization", json_serialization),
    raw("a payload that is an empty list", "[]"),
    raw("a payload that is a list of claims", '[{"sub":"victim","exp":LATER}]'),
    raw("a payload that is a string", '"victim"'),
    raw("a payload that is a number", "1"),
    raw("a payload that is null", "null"),
    raw("a payload that is true", "true"),
    raw("a payload that is no JSON", "victim"),
    raw("a payload that is not closed", '{"sub":"victim","exp":LATER'),
    raw("a payload with something after it", '{"sub":"victim","exp":LATER}{}'),
    raw("a payload that is no UTF-8", b'{"sub":"\xff","exp":LATER}'),
    raw("a payload with an overlong slash", b'{"sub":"\xc0\xaf","exp":LATER}'),
    raw("a payload with a surrogate in its UTF-8", b'{"sub":"\xed\xa0\x80","exp":LATER}'),
    raw("a payload with a UTF-8 BOM", b'\xef\xbb\xbf{"sub":"victim","exp":LATER,"x"}'),
    raw("a payload of brackets", "[" * 5000),
    raw("a payload nested without end", '{"sub":' * 700),
    raw("a sub nested deeply", '{"exp":LATER,"sub":' + "[" * 2500 + "]" * 2500 + "}"),
    raw("a sub of nested objects", '{"exp":LATER,"sub":' + '{"a":' * 700 + "1" + "}" * 700 + "}"),
    raw("exp twice, the second past", '{"sub":"victim","exp":LATER,"exp":1}'),
    raw("sub twice, the second blank", '{"sub":"victim","sub":" ","exp":LATER}'),
    raw("sub twice, the second a list", '{"sub":"victim","sub":[],"exp":LATER}'),
    raw("a sub of 5000 digits", '{"exp":LATER,"sub":' + "9" * 5000 + "}"),
    raw("a sub of 4299 digits", '{"exp":LATER,"sub":' + "9" * 4299 + "}"),
    raw("a sub of 256 digits", '{"exp":LATER,"sub":' + "9" * 256 + "}"),
    raw("an exp of 5000 digits", '{"sub":"victim","exp":' + "9" * 5000 + "}"),
    raw("an iat of 4000 digits", '{"sub":"victim","exp":LATER,"iat":' + "9" * 4000 + "}"),
    raw("an nbf of 4000 digits", '{"sub":"victim","exp":LATER,"nbf":' + "9" * 4000 + "}"),
    raw("an exp of minus 4000 digits", '{"sub":"victim","exp":-' + "9" * 4000 + "}"),
    *(
        raw(f"{claim} is {value}", f'{{"sub":"victim","exp":LATER,"{claim}":{value}}}')
        for claim in ("exp", "nbf", "iat")
        for value in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999")
    ),
    raw("sub is NaN", '{"sub":NaN,"exp":LATER}'),
    raw("sub is a lone surrogate", r'{"sub":"\ud800","exp":LATER}'),
    raw("sub ends with a lone surrogate", r'{"sub":"victim\udfff","exp":LATER}'),
    raw("sub has surrogates in the wrong order", r'{"sub":"\udc00\ud800","exp":LATER}'),
    raw("sub has a NUL", r'{"sub":"victim\u0000","exp":LATER}'),
    claims("exp is missing", dict, without="exp"),
    *times("a string", "9999999999"),
    *times("a string that is no number", "tomorrow"),
    *times("a date", "2999-01-01T00:00:00Z"),
    *times("true", True),
    *times("a list", [9999999999]),
    *times("an object", {"a": 1}),
    *times("an empty string", ""),
    *times("null", None),
    claims("exp is false", lambda: {"exp": False}),
    claims("exp is zero", lambda: {"exp": 0}),
    claims("exp is negative", lambda: {"exp": -1}),
    claims("exp is minus 1e308", lambda: {"exp": -1e308}),
    claims("exp is past the leeway", lambda: {"exp": now() - LEEWAY - 1}),
    claims("exp is a float past the leeway", lambda: {"exp": time.time() - LEEWAY - 1}),
    claims("exp is a day ago", lambda: {"exp": now() - 86400}),
    claims("nbf is in an hour", lambda: {"nbf": now() + 3600}),
    claims("nbf is past the leeway", lambda: {"nbf": now() + LEEWAY + 20}),
    claims("nbf is 1e308", lambda: {"nbf": 1e308}),
    claims("iat is in an hour", lambda: {"iat": now() + 3600}),
    claims("iat is past the leeway", lambda: {"iat": now() + LEEWAY + 20}),
    claims("iat is 1e308", lambda: {"iat": 1e308}),
    claims("sub is missing", dict, without="sub"),
    sub("null", None),
    sub("empty", ""),
    sub("a space", " "),
    sub("a no-break space", "\xa0"),
    sub("an ideographic space", "\u3000"),
    sub("true", True),
    sub("false", False),
    sub("a float", 1.5),
    sub("a float that is whole", 1.0),
    sub("a list", ["victim"]),
    sub("an empty list", []),
    sub("an object", {"id": "victim"}),
    sub("256 characters", "a" * 256),
    sub("256 characters beyond the BMP", "\U0001f600" * 256),
    sub("a tab", "\t"),
    sub("a name with a newline", "victim\n"),
    sub("a name with CR LF", "victim\r\nSet-Cookie: a=b"),
    sub("a name with DEL", "victim\x7f"),
    sub("a name with a C1 control", "victim\x85"),
    sub("a name with ESC", "\x1b[31mvictim"),
    claims("sub is unusable and user_id is good", lambda: {"sub": "", "user_id": USER}),
    claims("sub is false and user_id is good", lambda: {"sub": False, "user_id": USER}),
    claims("sub is a list and user_id is good", lambda: {"sub": [USER], "user_id": USER}),
    claims("sub is null and user_id is a list", lambda: {"sub": None, "user_id": [USER]}),
    claims("sub and user_id are null", lambda: {"sub": None, "user_id": None}),
    claims("only id names the user", lambda: {"id": USER}, without="sub"),
    claims("only email names the user", lambda: {"email": "victim@example.com"}, without="sub"),
]

# Only where no audience is configured.
audiences = [
    always(f"aud is {name}, and none is configured", {"aud": value})
    for name, value in {
        "a string": "https://api.example.com",
        "a list": ["https://api.example.com"],
        "an empty list": [],
        "an empty string": "",
        "a list of an empty string": [""],
        "zero": 0,
        "false": False,
        "an object": {},
        "a star": "*",
        "a list of null": [None],
    }.items()
]


def detached(source: Source) -> str:
    header = json.dumps({"alg": source.alg, "b64": False, "crit": ["b64"], **source.header}).encode()
    return changed(source.compact(header, b""), 1, lambda _: "")


def padded_parts(source: Source) -> str:
    """Every part padded, and signed so."""
    payload = {"sub": USER, "exp": now() + 300, "x": "y"}
    parts = [json.dumps(part).encode() for part in ({"alg": source.alg, **source.header}, payload)]
    signed = ".".join(base64.urlsafe_b64encode(part).decode() for part in parts)
    assert "=" in signed + "="
    return f"{signed}.{base64.urlsafe_b64encode(source.signature(signed.encode())).decode()}="


def plain_base64(source: Source) -> str:
    """Signed over `+` and `/` where base64url has `-` and `_`."""
    header = json.dumps(
        {"alg": source.alg, "x": "\u00ff\u00fe???>>>~~~", **source.header}, ensure_ascii=False
    )
    payload = json.dumps({"sub": USER, "exp": now() + 300, "x": "???>>>~~~???>>"})
    parts = [base64.b64encode(part.encode()).decode().rstrip("=") for part in (header, payload)]
    signed = ".".join(parts)
    assert {"+", "/"} & set(signed)
    return f"{signed}.{base64.b64encode(source.signature(signed.encode())).decode().rstrip('=')}"


def no_credentials(name: str, environ: Callable[[Source], Environ]) -> Case:
    return Case(name, environ, "unauthorized")


def authorization(name: str, make: Callable[[Source], str]) -> Case:
    return no_credentials(name, lambda source: {"HTTP_AUTHORIZATION": make(source)})


syntax = [
    no_credentials("no header", lambda _: {}),
    no_credentials("a token in the query alone", lambda s: {"QUERY_STRING": f"access_token={s.token()}"}),
    no_credentials("a token in the query as token", lambda s: {"QUERY_STRING": f"token={s.token()}"}),
    no_credentials(
        "a token in a cookie alone", lambda s: {"HTTP_COOKIE": f"better-auth.session_token={s.token()}"}
    ),
    no_credentials("a token in a cookie named token", lambda s: {"HTTP_COOKIE": f"token={s.token()}"}),
    no_credentials(
        "a token in a header of another name", lambda s: {"HTTP_X_AUTHORIZATION": f"Bearer {s.token()}"}
    ),
    no_credentials("a token for the proxy", lambda s: {"HTTP_PROXY_AUTHORIZATION": f"Bearer {s.token()}"}),
    no_credentials("a token as an API key", lambda s: {"HTTP_X_API_KEY": s.token()}),
    no_credentials(
        "a user that the web server names", lambda _: {"REMOTE_USER": USER, "HTTP_X_USER_ID": USER}
    ),
    authorization("an empty Authorization header", lambda _: ""),
    authorization("a header of spaces", lambda _: "   "),
    authorization("a header of one comma", lambda _: ","),
    authorization("the scheme alone", lambda _: "Bearer"),
    authorization("the scheme and a space", lambda _: "Bearer "),
    authorization("the scheme and spaces", lambda _: "Bearer     "),
    authorization("the token alone", lambda s: s.token()),
    authorization("a space before the scheme", lambda s: f" Bearer {s.token()}"),
    authorization("a tab for the space", lambda s: f"Bearer\t{s.token()}"),
    authorization("a no-break space for the space", lambda s: f"Bearer\xa0{s.token()}"),
    authorization("a newline for the space", lambda s: f"Bearer\n{s.token()}"),
    authorization("no space", lambda s: f"Bearer{s.token()}"),
    authorization("a colon after the scheme", lambda s: f"Bearer: {s.token()}"),
    authorization("an equals sign after the scheme", lambda s: f"Bearer={s.token()}"),
    authorization("Basic with a password", lambda _: "Basic dmljdGltOnBhc3N3b3Jk"),
    authorization("Basic with a token", lambda s: f"Basic {s.token()}"),
    authorization("Digest", lambda _: 'Digest username="victim"'),
    authorization("Token", lambda s: f"Token {s.token()}"),
    authorization("JWT", lambda s: f"JWT {s.token()}"),
    authorization("DPoP", lambda s: f"DPoP {s.token()}"),
    authorization("a scheme that begins as ours", lambda s: f"Bearers {s.token()}"),
    authorization("a scheme with a long s", lambda s: f"\xc5\xbfearer {s.token()}"),
    authorization("Basic joined with ours", lambda s: f"Basic YTpi, Bearer {s.token()}"),
    authorization("a NUL in the scheme", lambda s: f"Bear\0er {s.token()}"),
]


def good_payload() -> bytes:
    return json.dumps({"sub": USER, "iat": now(), "exp": now() + 300}).encode()


shared_secret_only = [
    *(
        other_digest(alg, digest)
        for alg, digest in (("HS384", "sha384"), ("HS512", "sha512"), ("HS1", "sha1"), ("HS224", "sha224"))
    ),
    *(signed_alg(what, alg) for what, alg in ALGS.items()),
    *(signed_alg(alg, alg) for alg in ("none", "RS256", "ES256", "EdDSA")),
    forgery("a signed header without alg", lambda s: s.compact(b'{"typ":"JWT"}', good_payload())),
    forgery(
        "SHA-256 of the secret and the token, without HMAC",
        lambda s: Source("HS256", lambda data: hashlib.sha256(s.secret + data).digest()).token(),
    ),
]
