"""Puts load on a server, with wrk if it is installed."""

import itertools
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.client import closed_loop
from bench.workload import MARK

WRK = shutil.which("wrk")
TOOL = "wrk" if WRK else "bench/client.py (wrk is not installed), which takes CPU from the servers"
# Far apart, so that runs never send the same number.
first_numbers = itertools.count(1_000_000_000, 10_000_000)


class Load(NamedTuple):
    """The result of a load; `failed` counts errors (400 and above) and broken connections."""

    answers: int
    seconds: float
    failed: int

    @property
    def rate(self) -> float:
        """Responses per second."""
        return self.answers / self.seconds


def put(port: int, requests: list[bytes], seconds: float, connections: int) -> Load:
    """Send the requests in turn over `connections`, each as soon as the previous response has arrived."""
    return (_wrk if WRK else _own)(port, requests, seconds, connections)


def _wrk(port: int, requests: list[bytes], seconds: float, connections: int) -> Load:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\0".join(requests))
        file.flush()
        script = Path(__file__).with_name("wrk.lua")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
        command += ["-s", f"{script}", f"http://127.0.0.1:{port}", "--"]
        command += [file.name, MARK, str(next(first_numbers))]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Load(**json.loads(output.splitlines()[-1]))


def _own(port: int, requests: list[bytes], seconds: float, connections: int) -> Load:
    began = time.perf_counter()
    result = closed_loop(port, requests, connections, seconds)
    elapsed = time.perf_counter() - began
    failed = sum(count for status, count in result.statuses.items() if not 200 <= status < 400)
    return Load(result.statuses.total(), elapsed, failed)
