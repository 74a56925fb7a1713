"""A small asyncio client that sends requests at a fixed rate, or one after another over many connections."""

import asyncio
import itertools
import time
from collections import Counter, deque

from bench.workload import MARK

TIMEOUT_S = 10
numbers = itertools.count(5_000_000_000)


class Result:
    """Statuses and latencies (ms) of the responses; a broken connection counts as status 0."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []

    def successes(self) -> float:
        """The share of requests with a 2xx response, from 0 to 1."""
        good = sum(count for status, count in self.statuses.items() if 200 <= status < 300)
        return good / (self.statuses.total() or 1)

    def percentile(self, percent: float) -> float:
        """The latency in ms that `percent` of the responses do not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


class Connection:
    """A keep-alive connection, opened by its first request and reopened after a failure."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def status(self, request: bytes) -> int:
        """Send a request, read the whole response and return its status."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._exchange(request)
        except (OSError, EOFError, TimeoutError):
            self.close()
            return 0

    def close(self) -> None:
        """Close the connection if it is open."""
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
    """Send `rate` requests per second; a latency counts from the time when its request was due."""

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
    """Keep `connections` busy for `seconds`; late responses count too."""

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
