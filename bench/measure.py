"""Measures stacks in turns over one PostgreSQL server: requests per second and CPU per request."""

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import psycopg2

from bench import processes
from bench.checks import check, check_floor
from bench.delay import delayed
from bench.load import put
from bench.seed import FIRST, Users, fill, make_peer_tables
from bench.servers import Server, Stack, serve
from bench.workload import BIG_USER, BIG_USER_TASKS, CELLS, TASKS, USERS, Owner, owners, prepare
from tests.live import migrate
from tests.postgres import cluster, scratch_database

CONNECTIONS = 32
WARM_UP_S = 1
# Of a database in another building, for each round trip.
DELAY_MS = 5


@dataclass(frozen=True)
class Database:
    """A running PostgreSQL server with the seed, and the settings and users that belong to it."""

    pid: int
    version: str
    settings: dict[str, str]
    everybody: list[Owner]


class Turn(NamedTuple):
    """One measurement of a server: requests per second, and CPU in µs per request."""

    rate: float
    app_us: float
    database_us: float

    @property
    def cpu_us(self) -> float:
        """CPU of application and database together."""
        return self.app_us + self.database_us


class Turns(dict[tuple[str, str], list[Turn]]):
    """The turns of each cell and stack, in the order of the rounds."""

    def median(self, cell: str, name: str, figure: str) -> float:
        """The median of one figure of Turn."""
        return float(median(getattr(turn, figure) for turn in self[cell, name]))

    def ratios(self, cell: str, name: str, other: str) -> list[float]:
        """How many times less CPU than `other` the stack `name` takes, in each round."""
        pairs = zip(self[cell, name], self[cell, other], strict=True)
        return [there.cpu_us / here.cpu_us for here, there in pairs]


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def seeded_database() -> Iterator[Database]:
    """Run PostgreSQL with the tables and rows of product and peer."""
    with cluster("max_connections=400") as server, scratch_database(server.url) as url:
        settings = {
            "DATABASE_URL": url.replace("postgresql:", "postgresql+psycopg2:"),
            "BETTER_AUTH_SECRET": secrets.token_hex(32),
        }
        say("seeding")
        migrate(settings)
        make_peer_tables(settings)
        fill(url, [Users(FIRST, USERS, TASKS), Users(BIG_USER, 1, BIG_USER_TASKS)], peer=True)
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version')")
            (version,) = cursor.fetchone() or ("",)
        everybody = owners(settings["BETTER_AUTH_SECRET"])
        yield Database(server.process.pid, version, settings, everybody)


@contextmanager
def serving(database: Database, stacks: Mapping[str, Stack], port: int) -> Iterator[dict[str, Server]]:
    """Run the stacks on ports from `port` on, and check their responses."""
    with ExitStack() as contexts:
        servers = {}
        for number, (name, stack) in enumerate(stacks.items()):
            settings = dict(database.settings)
            if stack.delay_ms:
                url = contexts.enter_context(delayed(settings["DATABASE_URL"], stack.delay_ms))
                settings["DATABASE_URL"] = url
            server = contexts.enter_context(serve(stack, port + number, settings))
            if name == "floor":
                check_floor(server.port)
            else:
                check(server.port, *database.everybody[:2])
            servers[name] = server
        yield servers


def measure(
    database: Database,
    servers: Mapping[str, Server],
    cells: tuple[str, ...],
    rounds: int,
    seconds: Mapping[str, float],
) -> Turns:
    """Measure every cell on every server in turns, so that a slow moment affects all of them.

    `seconds` are those of a turn, by the server's name.
    """
    prepared = {cell: prepare(CELLS[cell], database.everybody) for cell in cells}
    for requests in prepared.values():
        for server in servers.values():
            _turn(database, server, requests, WARM_UP_S)
    turns = Turns({(cell, name): [] for cell in cells for name in servers})
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for cell, requests in prepared.items():
            for name, server in servers.items():
                turns[cell, name].append(_turn(database, server, requests, seconds[name]))
    return turns


def _turn(database: Database, server: Server, requests: list[bytes], seconds: float) -> Turn:
    """Put load on one server. Raises RuntimeError if a request failed."""
    app, data = server.cpu_seconds(), processes.cpu_seconds(database.pid)
    load = put(server.port, requests, seconds, CONNECTIONS)
    if load.failed or not load.answers:
        raise RuntimeError(f"{server.label}: {load.failed} of {load.answers} requests failed")
    app, data = server.cpu_seconds() - app, processes.cpu_seconds(database.pid) - data
    return Turn(load.rate, app / load.answers * 1e6, data / load.answers * 1e6)
