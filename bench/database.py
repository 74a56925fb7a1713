"""The limit of the database: pgbench sends the statements of the product without an application."""

import re
import subprocess
import tempfile

from bench.seed import FIRST
from bench.workload import TASKS, USERS
from tests.postgres import find_install

# A few more than the threads of two workers.
CLIENTS = 16
DRAW = f"""\\set user random({FIRST}, {FIRST + USERS - 1})
\\set task random({FIRST}, {FIRST + TASKS - 1})
\\set fresh random(100000000000, 999999999999)
"""


def transactions_per_second(url: str, script: str, seconds: float) -> float:
    """Run the script over CLIENTS connections and return its transactions per second."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(DRAW + script)
        file.flush()
        # The simple protocol, as psycopg2 uses it.
        command = [f"{find_install()}/bin/pgbench", "--no-vacuum", "--protocol=simple", "--jobs=1"]
        command += [f"--client={CLIENTS}", f"--time={max(1, round(seconds))}", f"--file={file.name}", url]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
    if found is None or "number of failed transactions: 0 " not in output:
        raise RuntimeError(f"pgbench: {output}")
    return float(found[1])
