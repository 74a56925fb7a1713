"""With a published key set, only a token signed with the private half of one of its keys opens the API."""

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask

from tests.security import corpus, test_tokens
from tests.security.conftest import Clock, Fetches, MakeApp, MakeServer
from tests.security.corpus import USER, Source, bearer, hmac_signer
from tests.security.key_server import RSA, ClaimSource, KeyServer, SigningKey, new_key, unb64_n, unb64_x
from tests.security.test_tokens import ask, assert_all_refused, assert_refused, owner

ISSUER = "https://auth.example.com"
AUDIENCE = "https://tasks.example.com"
KEYS = {
    **{alg: new_key(alg, f"key-{alg}") for alg in ("EdDSA", "ES256", "ES512")},
    "RS256": SigningKey("key-RS256", "RS256", RSA),
    "PS256": new_key("PS256", "key-PS256"),
}
CASES = [
    *corpus.forgeries,
    *corpus.faults,
    *corpus.audiences,
    *corpus.syntax,
    *(corpus.signed_alg(what, alg) for what, alg in corpus.ALGS.items()),
    *(corpus.signed_alg(alg, alg) for alg in ("none", "RS384", "ES384", "HS256", "HS512")),
]


def source(alg: str, **claims: Any) -> ClaimSource:
    return KEYS[alg].source(**{"iss": ISSUER, "aud": AUDIENCE, **claims})


@pytest.fixture(scope="module")
def server(key_servers: MakeServer) -> KeyServer:
    """A key server that publishes one key for each algorithm."""
    return key_servers(*KEYS.values())


@pytest.fixture(scope="module")
def attacker(key_servers: MakeServer) -> KeyServer:
    """A key server with the attacker's keys under the ids of the good ones."""
    return key_servers(*(new_key(key.alg, key.kid) for key in KEYS.values()))


@pytest.fixture(scope="module")
def app(key_set_app: MakeApp, server: KeyServer) -> Flask:
    return key_set_app(JWT_JWKS_URL=f"{server.address}/keys", JWT_ISSUER=ISSUER, JWT_AUDIENCE=AUDIENCE)


@pytest.mark.parametrize("alg", KEYS)
def test_a_token_of_each_algorithm_names_its_user(app: Flask, alg: str) -> None:
    assert owner(app, bearer(source(alg).token())) == USER


@pytest.mark.parametrize("alg", KEYS)
def test_a_key_without_alg_works(key_set_app: MakeApp, key_servers: MakeServer, alg: str) -> None:
    jwk = {name: value for name, value in KEYS[alg].jwk().items() if name not in ("alg", "use")}
    app = key_set_app(JWT_JWKS_URL=key_servers(jwk).address, JWT_ISSUER=ISSUER, JWT_AUDIENCE=AUDIENCE)
    assert owner(app, bearer(source(alg).token())) == USER


def test_both_modes_together_are_tried_with_enough_attacks() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 200
    assert len(test_tokens.CASES) + len(CASES) >= 400


def test_an_attack_is_refused_with_a_key_set(app: Flask, subtests: pytest.Subtests) -> None:
    assert_all_refused(CASES, app, source("EdDSA"), subtests)


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256"])
def test_a_good_token_works_before_and_after_all_attacks(app: Flask, server: KeyServer, alg: str) -> None:
    signer = source(alg)
    assert owner(app, bearer(signer.token())) == USER
    assert {case.name for case in CASES if ask(app, case.environ(signer)).status_code != 401} == set()
    assert owner(app, bearer(signer.token())) == USER


def test_the_attacks_made_the_service_fetch_once_in_5_seconds_at_most(
    clock: Clock, fetches: Fetches, key_set_app: MakeApp, server: KeyServer
) -> None:
    app = key_set_app(JWT_JWKS_URL=server.address, JWT_ISSUER=ISSUER, JWT_AUDIENCE=AUDIENCE)
    for n in range(200):
        forged = source("EdDSA").token(header={"kid": f"forged {n}"})
        assert_refused(ask(app, bearer(forged)), "invalid_token")
        clock.go(0.05)
    # 10 s have gone by.
    assert (fetches.begun, fetches.most_at_once) == (2, 1)


# What everybody knows of a public key, in each encoding in which a library may take it for an HMAC's secret.
ENCODINGS: dict[str, Callable[[SigningKey], bytes]] = {
    "PEM": lambda key: key.pem,
    "PEM without its last newline": lambda key: key.pem.rstrip(b"\n"),
    "PEM on one line": lambda key: key.pem.replace(b"\n", b""),
    "PEM with CR LF": lambda key: key.pem.replace(b"\n", b"\r\n"),
    "the base64 of PEM": lambda key: b"".join(key.pem.splitlines()[1:-1]),
    "DER": lambda key: key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "the JWK": lambda key: json.dumps(key.jwk()).encode(),
    "the JWK without spaces": lambda key: json.dumps(key.jwk(), separators=(",", ":")).encode(),
    "its x or n in base64": lambda key: str(key.jwk().get("x") or key.jwk()["n"]).encode(),
    "the bytes of its x or n": lambda key: unb64_x(key) if "x" in key.jwk() else unb64_n(key),
    "its id": lambda key: key.kid.encode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_public_key_is_no_hmac_secret(app: Flask, encoding: str) -> None:
    for (alg, key), digest in product(KEYS.items(), ("sha256", "sha384", "sha512")):
        signer, header = hmac_signer(ENCODINGS[encoding](key), digest), {"kid": key.kid}
        # Under the HMAC's own name, and under that of the key.
        for named in (f"HS{digest.removeprefix('sha')}", alg):
            forged = ClaimSource.of(Source(named, signer, header), iss=ISSUER, aud=AUDIENCE)
            assert_refused(ask(app, bearer(forged.token())), "invalid_token")


@pytest.mark.parametrize("signer", KEYS)
def test_a_token_is_verified_with_the_key_it_names_alone(app: Flask, signer: str) -> None:
    """Signed with one good key under the id of another, with the algorithm of either."""
    for claimed, key in KEYS.items():
        for alg in {claimed, signer}:
            response = ask(app, bearer(source(signer).token(header={"kid": key.kid, "alg": alg})))
            if claimed == signer:
                assert response.status_code == 200
            else:
                assert_refused(response, "invalid_token")


@pytest.mark.parametrize(
    ("key", "alg"),
    [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS512"), ("ES256", "ES512"), ("ES512", "ES256")],
)
def test_a_key_is_good_for_the_algorithm_that_it_names_alone(app: Flask, key: str, alg: str) -> None:
    """The right private key, signing correctly under an algorithm that its `alg` does not name."""
    if key[0] == "E":
        signed = SigningKey(KEYS[key].kid, key, KEYS[key].private).source(iss=ISSUER, aud=AUDIENCE)
        token = signed.token(header={"alg": alg})
    else:
        token = SigningKey(KEYS[key].kid, alg, KEYS[key].private).source(iss=ISSUER, aud=AUDIENCE).token()
    assert_refused(ask(app, bearer(token)), "invalid_token")


@pytest.mark.parametrize("curve", ["ES256", "ES384", "ES512"])
def test_a_signature_of_another_curve_is_refused(app: Flask, curve: str) -> None:
    other = new_key(curve, KEYS["ES256"].kid).source(iss=ISSUER, aud=AUDIENCE)
    for alg in ("ES256", curve):
        assert_refused(ask(app, bearer(other.token(header={"alg": alg}))), "invalid_token")


@pytest.mark.parametrize(
    "kid",
    [
        "unknown",
        "",
        " key-EdDSA",
        "key-eddsa",
        "key-EdDSA\0",
        None,
        1,
        0,
        True,
        ["key-EdDSA"],
        {},
        "k" * 3000,
    ],
    ids=repr,
)
def test_a_key_id_that_the_set_does_not_hold_is_refused(app: Flask, kid: Any) -> None:
    assert_refused(ask(app, bearer(source("EdDSA").token(header={"kid": kid}))), "invalid_token")


@pytest.mark.parametrize("alg", KEYS)
def test_a_token_without_a_key_id_is_refused(app: Flask, alg: str) -> None:
    signer = ClaimSource.of(Source(alg, KEYS[alg].sign), iss=ISSUER, aud=AUDIENCE)
    assert_refused(ask(app, bearer(signer.token())), "invalid_token")


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c", "x5t", "x5t#S256", "url", "iss"])
def test_the_header_never_chooses_where_keys_come_from(app: Flask, attacker: KeyServer, member: str) -> None:
    evil = SigningKey("key-EdDSA", "EdDSA", corpus.ED_KEY)
    value: Any = {"jwk": evil.jwk(), "x5c": [evil.jwk()["x"]]}.get(member, f"{attacker.address}/keys")
    signer = ClaimSource.of(Source("EdDSA", evil.sign), iss=ISSUER, aud=AUDIENCE)
    for kid, iss in product(
        ({"kid": "key-EdDSA"}, {"kid": "the attacker's"}, {}), (ISSUER, attacker.address)
    ):
        token = signer.token(header={member: value, **kid}, iss=iss)
        assert_refused(ask(app, bearer(token)), "invalid_token")
    assert attacker.fetches == 0


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c"])
def test_a_good_token_whose_header_names_another_server_is_verified_here(
    app: Flask, attacker: KeyServer, member: str
) -> None:
    token = source("EdDSA").token(header={member: f"{attacker.address}/keys"})
    assert owner(app, bearer(token)) == USER
    assert attacker.fetches == 0


def test_a_token_from_elsewhere_is_refused_with_a_key_set(
    key_set_app: MakeApp, server: KeyServer, subtests: pytest.Subtests
) -> None:
    app = key_set_app(
        JWT_JWKS_URL=f"{server.address}/keys",
        JWT_ISSUER=test_tokens.ISSUER,
        JWT_AUDIENCE=test_tokens.AUDIENCE,
    )
    plain = KEYS["EdDSA"].source()
    good = bearer(plain.token(iss=test_tokens.ISSUER, aud=test_tokens.AUDIENCE))
    assert owner(app, good) == USER
    assert_all_refused(test_tokens.CONFIGURED, app, plain, subtests)


@pytest.mark.parametrize("path", ["", "/", "/api/auth", "/api/auth/"])
class TestBetterAuth:
    """BETTER_AUTH_URL alone, in each spelling that Better Auth itself takes."""

    @pytest.fixture
    def auth(self, key_set_app: MakeApp, server: KeyServer, path: str) -> Flask:
        return key_set_app(BETTER_AUTH_URL=server.address + path)

    def test_the_keys_are_fetched_from_its_one_address(
        self, key_set_app: MakeApp, key_servers: MakeServer, path: str
    ) -> None:
        server = key_servers(*KEYS.values())
        app = key_set_app(BETTER_AUTH_URL=server.address + path)
        signer = KEYS["EdDSA"].source(iss=server.address, aud=server.address)
        assert owner(app, bearer(signer.token())) == USER
        assert server.paths == ["/api/auth/jwks"]

    def test_a_slash_on_either_side_is_fine(self, auth: Flask, server: KeyServer) -> None:
        for iss, aud in product(("", "/"), repeat=2):
            signer = KEYS["EdDSA"].source(iss=server.address + iss, aud=server.address + aud)
            assert owner(auth, bearer(signer.token())) == USER
            listed = signer.token(aud=["https://other.example.com", server.address + aud])
            assert owner(auth, bearer(listed)) == USER

    def test_another_issuer_or_audience_is_refused(
        self, auth: Flask, server: KeyServer, subtests: pytest.Subtests
    ) -> None:
        right: dict[str, Any] = {"iss": server.address, "aud": server.address}
        ends = ("//", ".evil.example.com", "/api", "@evil.example.com")
        wrong: list[Any] = [None, "", [], {}, 1, True, *(server.address + end for end in ends)]
        missing = [{"iss": right["iss"]}, {"aud": right["aud"]}]
        for claims in (*missing, *(right | {name: value} for name in right for value in wrong)):
            with subtests.test(**claims):
                token = KEYS["EdDSA"].source(**claims).token()
                assert_refused(ask(auth, bearer(token)), "invalid_token")
