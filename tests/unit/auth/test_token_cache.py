"""The cache of verified tokens keeps a token's user for a minute, in little room, and never past `exp`."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import jwt
import pytest

from app.auth.tokens import InvalidToken, TokenCache, TokenUser, TokenVerifier
from app.config import Settings

SECRET = "a-secret-of-more-than-32-bytes-for-tests"


class Times:
    """The clock on the wall and the one that nobody sets, each moved by hand."""

    def __init__(self) -> None:
        self.wall, self.steady = time.time(), 50.0

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    clock = SimpleNamespace(time=lambda: times.wall, monotonic=lambda: times.steady)
    monkeypatch.setattr("app.auth.tokens.time", clock)
    return times


@pytest.fixture
def verifier() -> TokenVerifier:
    return TokenVerifier(Settings.load({"BETTER_AUTH_SECRET": SECRET}))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that were verified by their signature, in order."""
    seen: list[str] = []
    real = jwt.decode

    def decode(token: str, *args: Any, **options: Any) -> Any:
        seen.append(token)
        return real(token, *args, **options)

    monkeypatch.setattr("app.auth.tokens.jwt.decode", decode)
    return seen


def user(name: str) -> TokenUser:
    return TokenUser(name, None, None)


def signed(sub: str = "alice", seconds: float = 3600, **claims: Any) -> str:
    return jwt.encode({"sub": sub, "exp": time.time() + seconds, **claims}, SECRET, "HS256")


def test_a_token_that_is_not_there_has_no_user() -> None:
    assert TokenCache().get("token") is None


def test_a_token_that_was_added_has_its_user(times: Times) -> None:
    cache = TokenCache()
    cache.add("token", user("alice"), times.wall + 3600)
    assert cache.get("token") == user("alice")
    assert cache.get("tokeN") is None
    assert cache.get("toke") is None


def test_an_entry_ends_after_a_minute(times: Times) -> None:
    cache = TokenCache()
    cache.add("token", user("alice"), times.wall + 3600)
    times.go(59.9)
    assert cache.get("token") == user("alice")
    times.go(0.1)
    assert cache.get("token") is None


def test_being_asked_for_does_not_make_an_entry_last_longer(times: Times) -> None:
    cache = TokenCache()
    cache.add("token", user("alice"), times.wall + 3600)
    for _ in range(59):
        times.go(1)
        assert cache.get("token")
    times.go(1)
    assert cache.get("token") is None


def test_an_entry_ends_at_exp(times: Times) -> None:
    cache = TokenCache()
    cache.add("token", user("alice"), times.wall + 10)
    times.go(9.9)
    assert cache.get("token") == user("alice")
    times.go(0.1)
    assert cache.get("token") is None


@pytest.mark.parametrize("expires", [0, -1, -1e308, -(10**400)])
def test_a_token_past_its_exp_is_never_given_out(times: Times, expires: float) -> None:
    cache = TokenCache()
    cache.add("token", user("alice"), expires)
    assert cache.get("token") is None


@pytest.mark.parametrize("expires", [1e308, 10**400], ids=["1e308", "10**400"])
def test_an_exp_without_end_ends_after_a_minute_all_the_same(times: Times, expires: float) -> None:
    cache = TokenCache()
    cache.add("token", user("alice"), expires)
    assert cache.get("token") == user("alice")
    times.go(60)
    assert cache.get("token") is None


@pytest.mark.parametrize(("wall", "there"), [(-86400, True), (3599, True), (3600, False), (86400, False)])
def test_a_clock_on_the_wall_that_is_set_neither_prolongs_the_minute_nor_outlives_exp(
    times: Times, wall: float, there: bool
) -> None:
    cache = TokenCache()
    cache.add("token", user("alice"), times.wall + 3600)
    times.wall += wall
    assert bool(cache.get("token")) is there
    times.steady += 60
    assert cache.get("token") is None


def test_the_number_of_entries_is_bounded_and_the_oldest_makes_room(times: Times) -> None:
    cache = TokenCache()
    for n in range(TokenCache.MAX_ENTRIES + 10):
        cache.add(f"token {n}", user(f"user {n}"), times.wall + 3600)
    assert len(cache._entries) == TokenCache.MAX_ENTRIES
    assert [cache.get(f"token {n}") for n in range(10)] == [None] * 10
    last = TokenCache.MAX_ENTRIES + 9
    assert cache.get("token 10") == user("user 10")
    assert cache.get(f"token {last}") == user(f"user {last}")


def test_a_token_added_again_takes_no_other_s_room(times: Times) -> None:
    cache = TokenCache()
    for n in range(TokenCache.MAX_ENTRIES):
        cache.add(f"token {n}", user(f"user {n}"), times.wall + 3600)
    for _ in range(100):
        cache.add("token 7", user("user 7"), times.wall + 3600)
    found = [cache.get(f"token {n}") for n in range(TokenCache.MAX_ENTRIES)]
    assert found == [user(f"user {n}") for n in range(TokenCache.MAX_ENTRIES)]


@pytest.mark.parametrize(("length", "kept"), [(2047, True), (2048, True), (2049, False), (8190, False)])
def test_a_long_token_does_not_enter(times: Times, length: int, kept: bool) -> None:
    cache = TokenCache()
    cache.add("t" * length, user("alice"), times.wall + 3600)
    assert (cache.get("t" * length) is not None) is kept
    assert len(cache._entries) == kept


def test_a_good_token_is_verified_once_a_minute(
    verifier: TokenVerifier, times: Times, decoded: list[str]
) -> None:
    token = signed()
    assert [verifier.verify(token).id for _ in range(5)] == ["alice"] * 5
    assert len(decoded) == 1
    times.go(60)
    assert verifier.verify(token).id == "alice"
    assert len(decoded) == 2


@pytest.mark.parametrize(
    "token",
    [signed(seconds=-60), signed(sub=""), signed(aud="x"), signed(nbf=9e9), signed()[:-5] + "AAAAA"],
    ids=["expired", "of nobody", "for another", "not valid yet", "forged"],
)
def test_a_refusal_is_not_remembered(verifier: TokenVerifier, decoded: list[str], token: str) -> None:
    for times in (1, 2, 3):
        with pytest.raises(InvalidToken):
            verifier.verify(token)
        assert len(decoded) == times
    assert not verifier._verified._entries


def test_a_token_that_becomes_good_is_taken_though_it_was_refused(
    verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed()
    with monkeypatch.context() as patch:
        patch.setattr(verifier, "_audiences", ("other",))
        with pytest.raises(InvalidToken):
            verifier.verify(token)
    assert verifier.verify(token).id == "alice"


def test_a_token_in_the_cache_does_not_open_for_a_forgery_of_it(verifier: TokenVerifier) -> None:
    """Each of its characters counts: the whole token is the name of its entry."""
    token = signed()
    assert verifier.verify(token).id == "alice"
    for place in range(0, len(token), 3):
        other = token[:place] + ("B" if token[place] == "A" else "A") + token[place + 1 :]
        with pytest.raises(InvalidToken):
            verifier.verify(other)


def test_two_verifiers_share_nothing(verifier: TokenVerifier) -> None:
    token = signed()
    assert verifier.verify(token).id == "alice"
    other = TokenVerifier(Settings.load({"BETTER_AUTH_SECRET": SECRET[::-1]}))
    with pytest.raises(InvalidToken):
        other.verify(token)


def test_two_tokens_never_share_a_user_in_many_threads(
    verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a cache that is always too small, so that entries come and go under every request."""
    monkeypatch.setattr(TokenCache, "MAX_ENTRIES", 16)
    tokens = {f"user {n}": signed(f"user {n}") for n in range(40)}

    def ask(start: int) -> list[tuple[str, str]]:
        names = list(tokens)[start:] + list(tokens)[:start]
        return [(name, verifier.verify(tokens[name]).id) for name in names * 10]

    with ThreadPoolExecutor(16) as pool:
        answers = [pair for found in pool.map(ask, range(0, 40, 2)) for pair in found]
    assert len(answers) == 40 * 10 * 20
    assert [pair for pair in answers if pair[0] != pair[1]] == []
    assert len(verifier._verified._entries) == 16
