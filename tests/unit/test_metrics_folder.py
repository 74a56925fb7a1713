"""The folder of the workers' metrics: counts of workers that exited stay, and a scrape costs no more."""

import subprocess
import sys
from pathlib import Path

from tests.live import ROOT

# Workers in turn, each killed during a request, beside one that runs all the time.
WORKERS = """
import os, signal
import apispec, flask_cors, flask_migrate, jwt, marshmallow, prometheus_client, psycopg2, uuid_utils

def work(number):
    from app.metrics import IN_FLIGHT, REQUESTS, SECONDS
    REQUESTS.labels("/health", "GET", 200).inc()
    SECONDS.labels("/health", "GET").observe(0.001 if number % 2 else 60)
    IN_FLIGHT.inc()
    os.kill(os.getpid(), signal.SIGKILL)

read, write = os.pipe()
if not (first := os.fork()):
    import app.metrics
    os.write(write, b"ready")
    signal.pause()
os.read(read, 5)
for number in range(10):
    if not os.fork():
        work(number)
    os.wait()
os.kill(first, signal.SIGKILL)
os.wait()
from app.metrics import IN_FLIGHT, exposition
IN_FLIGHT.inc()
print(exposition().decode())
"""


def test_ten_killed_workers_are_counted_and_leave_the_files_of_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKERS],
        cwd=ROOT,
        env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = set(done.stdout.splitlines())
    labels = 'method="GET",route="/health"'
    assert f'http_requests_total{{{labels},status="200"}} 10.0' in lines
    assert f'http_request_duration_seconds_bucket{{le="0.0025",{labels}}} 5.0' in lines
    assert f'http_request_duration_seconds_bucket{{le="10.0",{labels}}} 5.0' in lines
    assert f'http_request_duration_seconds_bucket{{le="+Inf",{labels}}} 10.0' in lines
    assert f"http_request_duration_seconds_count{{{labels}}} 10.0" in lines
    assert "http_requests_in_flight 1.0" in lines
    assert [file.name for file in tmp_path.glob("counter_*")] == ["counter_1.db"]
    assert [file.name for file in tmp_path.glob("gauge_*")] == ["gauge_livesum_0.db"]
