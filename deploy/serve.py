"""Run the server that SERVER names."""

import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

if __name__ == "__main__":
    os.chdir(ROOT)
    # Names an invalid setting before gunicorn, which reads some of them itself, does so in its own words.
    server = runpy.run_path("gunicorn.conf.py")["settings"].server
    command = {"gunicorn": ["-m", "gunicorn", "wsgi:app"], "granian": ["-m", "deploy.granian_server"]}[server]
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606
