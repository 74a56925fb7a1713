"""The database's own limit: pgbench sends what the product sends, with no application before it."""

import re
import subprocess
import tempfile

from bench.seed import FIRST
from bench.workload import TASKS, USERS
from tests.postgres import find_install

# As many as two workers have threads.
CLIENTS = 16
DRAW = f"""\\set user random({FIRST}, {FIRST + USERS - 1})
\\set task random({FIRST}, {FIRST + TASKS - 1})
\\set fresh random(100000000000, 999999999999)
"""


def transactions_per_second(url: str, script: str, seconds: float) -> float:
    """How often a second PostgreSQL runs the script for CLIENTS connections."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(DRAW + script)
        file.flush()
        # The simple protocol and whole texts, as psycopg2 sends them.
        command = [f"{find_install()}/bin/pgbench", "--no-vacuum", "--protocol=simple", "--jobs=1"]
        command += [f"--client={CLIENTS}", f"--time={max(1, round(seconds))}", f"--file={file.name}", url]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
    if found is None or "number of failed transactions: 0 " not in output:
        raise RuntimeError(f"pgbench: {output}")
    return float(found[1])
