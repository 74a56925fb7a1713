"""Run the server that SERVER names."""

import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

if __name__ == "__main__":
    os.chdir(ROOT)
    # Validate settings first: gunicorn reads some variables itself and would not name an invalid one.
    server = runpy.run_path("gunicorn.conf.py")["settings"].server
    command = {"gunicorn": ["-m", "gunicorn", "wsgi:app"], "granian": ["-m", "deploy.granian_server"]}[server]
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606
