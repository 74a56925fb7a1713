"""The settings, read from the environment and `.env` and checked once, when the application starts."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from dotenv import dotenv_values
from jwt import algorithms, exceptions
from sqlalchemy import URL, exc, make_url

ROOT = Path(__file__).parent.parent
SECRETS = ("BETTER_AUTH_SECRET", "JWT_SECRET_KEY")
KEY_SETS = ("BETTER_AUTH_URL", "JWT_JWKS_URL")
THREADS = 6
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class ConfigError(click.ClickException):
    """A missing or invalid setting, named first; click prints it as one line in every `flask` command."""


def _number(name: str, default: int, low: int, high: int) -> Any:
    """A setting that is a whole number from `low` to `high`."""

    def read(env: Mapping[str, str]) -> int:
        text = env.get(name) or str(default)
        if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
            raise ConfigError(f"{name}: must be a whole number from {low} to {high}.")
        return int(text)

    return field(metadata={"read": read})


def _choice(name: str, *choices: str, default: str = "") -> Any:
    """A setting that is one of some words in any letter case, by default the first."""

    def read(env: Mapping[str, str]) -> str:
        given = (env.get(name) or default or choices[0]).lower()
        value = next((choice for choice in choices if choice.lower() == given), None)
        if value is None:
            raise ConfigError(f"{name}: must be one of {', '.join(choices)}.")
        return value

    return field(metadata={"read": read})


def _words(name: str, pattern: str, what: str, *default: str) -> Any:
    """A setting that lists words of a pattern, separated by commas or spaces."""

    def read(env: Mapping[str, str]) -> tuple[str, ...]:
        words = tuple(env.get(name, "").replace(",", " ").split()) or default
        if not all(re.fullmatch(pattern, word) for word in words):
            raise ConfigError(f"{name}: must list {what}.")
        return words

    return field(metadata={"read": read})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings. Sizes are counts; times are in seconds unless the name has another unit."""

    # Its query may hold a password too, which SQLAlchemy does not hide.
    database_url: URL = field(repr=False)
    # Either the shared secret or the address of the key set; the other one is empty.
    secret: str = field(repr=False)
    jwks_url: str
    # All accepted spellings; empty if the claim is not checked.
    issuers: tuple[str, ...]
    audiences: tuple[str, ...]
    user_id_claims: tuple[str, ...] = _words(
        "JWT_USER_ID_CLAIMS", r"[\w:/-]+(\.[\w:/-]+)*", "claims such as sub or user.id", "sub", "user_id"
    )
    # The mode decides on the algorithm, so this is only checked.
    algorithm: str = _choice("ALGORITHM", "HS256")
    access_token_expire_minutes: int = _number("ACCESS_TOKEN_EXPIRE_MINUTES", 30, 1, 5_256_000)
    # Exact origins (RFC 6454, section 6.2), not patterns, which flask-cors would accept.
    cors_origins: tuple[str, ...] = _words(
        "CORS_ORIGINS", r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", "origins such as https://app.example.com"
    )
    threads: int = _number("THREADS", THREADS, 1, 64)
    pool_size: int = _number("DB_POOL_SIZE", THREADS, 1, 1000)
    max_overflow: int = _number("DB_MAX_OVERFLOW", 4, 0, 1000)
    pool_timeout: int = _number("DB_POOL_TIMEOUT", 5, 1, 60)
    pool_recycle: int = _number("DB_POOL_RECYCLE", 300, 1, 86_400)
    connect_timeout: int = _number("DB_CONNECT_TIMEOUT", 10, 1, 60)
    statement_timeout: int = _number("STATEMENT_TIMEOUT", 5, 1, 60)
    lock_timeout: int = _number("LOCK_TIMEOUT", 3, 1, 60)
    log_level: str = _choice("LOG_LEVEL", *LOG_LEVELS, default="INFO")
    log_user: str = _choice("LOG_USER", "hash", "plain", "off")
    docs: str = _choice("DOCS", "on", "off")
    metrics: str = _choice("METRICS", "local", "on", "off")
    trash_days: int = _number("TRASH_DAYS", 30, 0, 36_500)
    server: str = _choice("SERVER", "gunicorn", "granian")
    host: str
    port: int = _number("PORT", 8000, 1, 65535)
    workers: int = _number("WEB_CONCURRENCY", os.cpu_count() or 1, 1, 1000)
    # Addresses, networks, or `*` for any.
    forwarded_allow_ips: tuple[str, ...]

    @property
    def address(self) -> str:
        """HOST and PORT, as in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from `environ`, by default the process's environment and then `.env`.

        Raises ConfigError, which names the variable, if one is missing or invalid.
        """
        given = _environment() if environ is None else environ
        env = {name: value.strip() for name, value in given.items()}
        secret, auth_url = _secret(env), _auth_url(env)
        jwks_url = _url(env, "JWT_JWKS_URL") or (auth_url and f"{auth_url}/api/auth/jwks")
        _check_mode(env, secret, jwks_url)
        # Sign-in services write their address with and without a trailing slash.
        default = (auth_url, f"{auth_url}/") if auth_url else ()
        # A thread uses one connection at a time.
        env["DB_POOL_SIZE"] = env.get("DB_POOL_SIZE") or env.get("THREADS", "")
        return cls(
            database_url=_database_url(env.get("DATABASE_URL") or "sqlite:///tasks.db"),
            secret=secret,
            jwks_url=jwks_url,
            issuers=(env["JWT_ISSUER"],) if env.get("JWT_ISSUER") else default,
            audiences=(env["JWT_AUDIENCE"],) if env.get("JWT_AUDIENCE") else default,
            host=_host(env),
            forwarded_allow_ips=_proxies(env),
            **{one.name: one.metadata["read"](env) for one in fields(cls) if one.metadata},
        )


def _environment() -> dict[str, str]:
    """The process's environment over the literal values of `.env`, where a secret may contain `${NAME}`."""
    literal, interpolated = (dotenv_values(ROOT / ".env", interpolate=replace) for replace in (False, True))
    # The `flask` command copies the file into the environment with `${NAME}` replaced; ignore those copies.
    process = {name: value for name, value in os.environ.items() if value != interpolated.get(name)}
    return {name: value for name, value in literal.items() if value is not None} | process


def _database_url(text: str) -> URL:
    try:
        url = make_url(text)
    except exc.ArgumentError:
        # Do not repeat the text: it may hold a password.
        raise ConfigError("DATABASE_URL: is not a database URL.") from None
    except ValueError:
        raise ConfigError("DATABASE_URL: the port is not a number.") from None
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg2"):
        if not url.database and "service" not in url.query:
            raise ConfigError("DATABASE_URL: names no database.")
        return url.set(drivername="postgresql+psycopg2")
    if url.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ConfigError("DATABASE_URL: must begin with postgresql:// or sqlite:///.")
    if url.host:
        raise ConfigError("DATABASE_URL: a SQLite file takes three slashes, or four before an absolute path.")
    if not url.database or ":memory:" in url.database or url.query:
        # Each worker would have its own database, which ends with the worker.
        raise ConfigError("DATABASE_URL: must name a file for SQLite, and no options.")
    return url


def _secret(env: Mapping[str, str]) -> str:
    given = {name: env[name] for name in SECRETS if env.get(name)}
    if not given:
        return ""
    if len(set(given.values())) > 1:
        raise ConfigError("BETTER_AUTH_SECRET: differs from JWT_SECRET_KEY; remove one of them.")
    name, secret = next(iter(given.items()))
    try:
        algorithms.HMACAlgorithm(algorithms.HMACAlgorithm.SHA256).prepare_key(secret)
    except exceptions.InvalidKeyError:
        raise ConfigError(f"{name}: looks like a public key; set a secret.") from None
    except UnicodeEncodeError:
        raise ConfigError(f"{name}: is not UTF-8.") from None
    if len(secret.encode()) < 32:
        raise ConfigError(f"{name}: must have at least 32 bytes (RFC 7518, section 3.2).")
    if len(set(secret)) == 1:
        raise ConfigError(f"{name}: must not be one character repeated.")
    return secret


def _auth_url(env: Mapping[str, str]) -> str:
    # Accept Better Auth's `baseURL` with its default path too.
    url = _url(env, "BETTER_AUTH_URL")
    if "?" in url:
        raise ConfigError("BETTER_AUTH_URL: takes no query.")
    return url.rstrip("/").removesuffix("/api/auth")


def _url(env: Mapping[str, str], name: str) -> str:
    text = env.get(name) or ""
    if text and not _is_safe_url(text):
        raise ConfigError(f"{name}: must be an address with https, or with http on this machine.")
    return text


def _is_safe_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        # Reading an invalid port raises ValueError.
        whole = bool(host) and parts.port != 0 and not re.search(r"[\s@#]", text)
        loopback = host == "localhost" or (parts.scheme == "http" and ip_address(host).is_loopback)
    except ValueError:
        return False
    return whole and (parts.scheme == "https" or (parts.scheme == "http" and loopback))


def _check_mode(env: Mapping[str, str], secret: str, jwks_url: str) -> None:
    key_set = next((name for name in KEY_SETS if env.get(name)), None)
    if not secret and not key_set:
        raise ConfigError(
            "BETTER_AUTH_SECRET: is not set, nor is BETTER_AUTH_URL; set one of them to verify tokens."
        )
    if secret and key_set:
        name = next(name for name in SECRETS if env.get(name))
        raise ConfigError(f"{name}: is set beside {key_set}; remove {name} to verify with the key set.")
    if key_set and not env.get("BETTER_AUTH_URL"):
        for name in ("JWT_ISSUER", "JWT_AUDIENCE"):
            if not env.get(name):
                raise ConfigError(f"{name}: must be set with JWT_JWKS_URL.")


def _host(env: Mapping[str, str]) -> str:
    host = env.get("HOST") or "localhost"
    try:
        return "127.0.0.1" if host == "localhost" else str(ip_address(host))
    except ValueError:
        raise ConfigError("HOST: must be an IP address such as 127.0.0.1, 0.0.0.0 or ::.") from None


def _proxies(env: Mapping[str, str]) -> tuple[str, ...]:
    # Only commas separate them, because gunicorn reads this variable too.
    given = (env.get("FORWARDED_ALLOW_IPS") or "127.0.0.1,::1").split(",")
    proxies = tuple(proxy.strip() for proxy in given)
    try:
        for proxy in set(proxies) - {"*"}:
            ip_network(proxy)
    except ValueError:
        raise ConfigError(
            "FORWARDED_ALLOW_IPS: must list IP addresses and networks such as 10.0.0.0/8, or be * for any."
        ) from None
    return proxies
