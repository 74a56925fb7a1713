"""Run the demo: the service, and the web app with its Better Auth. Ctrl-C ends both."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="the port of the service")
    parser.add_argument("--web-port", type=int, default=3000, help="the port of the web app and Better Auth")
    parser.add_argument("--folder", type=Path, default=ROOT / "instance" / "demo", help="keeps the data")
    return parser.parse_args()


def settings(port: int, origin: str, database: Path) -> dict[str, str]:
    """The service's environment. An empty variable wins over the same one in `.env`."""
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    names = [line.lstrip("# ").partition("=")[0] for line in lines if "=" in line]
    return {
        **os.environ,
        **dict.fromkeys(names, ""),
        "BETTER_AUTH_URL": origin,
        "CORS_ORIGINS": origin,
        "DATABASE_URL": f"sqlite:///{database}",
        "LOG_LEVEL": "WARNING",
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
    }


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def main() -> int | str:
    given = arguments()
    given.folder.mkdir(parents=True, exist_ok=True)
    folder = given.folder.resolve()
    api, origin = f"http://127.0.0.1:{given.port}", f"http://localhost:{given.web_port}"
    env = settings(given.port, origin, folder / "tasks.db")
    subprocess.run([sys.executable, "-m", "flask", "db", "upgrade"], cwd=ROOT, env=env, check=True)
    commands = {
        "The service": [sys.executable, "deploy/serve.py"],
        "The web app": ["node", str(HERE / "server.mjs"), str(given.web_port), api, str(folder)],
    }
    # SIGTERM and a closed terminal end the demo as Ctrl-C does, which a script's background jobs ignore.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    processes = {}
    try:
        for name, command in commands.items():
            processes[name] = subprocess.Popen(command, cwd=ROOT, env=env)
        waiting = True
        while all(process.poll() is None for process in processes.values()):
            if waiting and answers(f"{api}/ready") and answers(f"{origin}/api/auth/ok"):
                waiting = False
                print(f"The demo runs on {origin} (data in {folder}). Ctrl-C ends it.", flush=True)
            time.sleep(0.2)
        ended = next(name for name, process in processes.items() if process.poll() is not None)
        return f"{ended} has ended, so the demo ends too."
    except KeyboardInterrupt:
        return 0
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
