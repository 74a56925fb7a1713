"""A small asyncio client: requests at a fixed rate, or from many connections that wait for each answer."""

import asyncio
import itertools
import time
from collections import Counter, deque

from bench.workload import MARK

TIMEOUT_S = 10
numbers = itertools.count(5_000_000_000)


class Result:
    """Statuses of the answers, and latencies in ms; a connection that broke counts as status 0."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []

    def successes(self) -> float:
        """The share of requests that were answered with 2xx."""
        good = sum(count for status, count in self.statuses.items() if 200 <= status < 300)
        return good / (self.statuses.total() or 1)

    def percentile(self, percent: float) -> float:
        """The latency that so many percent of the answers do not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


class Connection:
    """A keep-alive connection, opened by its first request and again after one that failed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def status(self, request: bytes) -> int:
        """Send a request and read its answer to the end."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._exchange(request)
        except (OSError, EOFError, TimeoutError):
            self.close()
            return 0

    def close(self) -> None:
        """Close it, if it is open."""
        if self._streams:
            self._streams[1].close()
        self._streams = None

    async def _exchange(self, request: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request.replace(MARK.encode(), b"%010d" % next(numbers)))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        if b"\r\nconnection: close" in head:
            self.close()
        return int(head[9:12])


def fixed_rate(port: int, requests: list[bytes], rate: int, seconds: float) -> Result:
    """Send at a fixed rate, whatever the answers do; a latency counts from the time the request was due."""

    async def send_all() -> Result:
        result = Result()
        idle: deque[Connection] = deque()

        async def send(request: bytes, due: float) -> None:
            connection = idle.pop() if idle else Connection(port)
            result.statuses[await connection.status(request)] += 1
            result.latencies.append((time.perf_counter() - due) * 1000)
            idle.append(connection)

        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due = start + number / rate
                await asyncio.sleep(max(0, due - time.perf_counter()))
                group.create_task(send(requests[number % len(requests)], due))
        for connection in idle:
            connection.close()
        return result

    return asyncio.run(send_all())


def closed_loop(port: int, requests: list[bytes], connections: int, seconds: float) -> Result:
    """Keep so many connections busy; each waits for its last answer, so that a late one counts too."""

    async def send_all() -> Result:
        result = Result()
        turn = itertools.cycle(requests)
        end = time.perf_counter() + seconds

        async def send() -> None:
            connection = Connection(port)
            while (began := time.perf_counter()) < end:
                result.statuses[await connection.status(next(turn))] += 1
                result.latencies.append((time.perf_counter() - began) * 1000)
            connection.close()

        await asyncio.gather(*(send() for _ in range(connections)))
        return result

    return asyncio.run(send_all())
