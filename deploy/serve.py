"""Run the server that SERVER names."""

import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parent

if __name__ == "__main__":
    os.chdir(ROOT)
    # Names a setting that cannot be used, before the server reads the environment itself.
    server = runpy.run_path("gunicorn.conf.py")["settings"].server
    command = {"gunicorn": ["-m", "gunicorn", "wsgi:app"], "granian": ["granian_server.py"]}[server]
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606
