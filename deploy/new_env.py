"""Print the settings for a first try: a new secret, and the origins of frontends on this machine."""

import os
import secrets

# Where the development servers of frontends listen.
PORTS = (3000, 5173, 8080)
HOSTS = ("localhost", "127.0.0.1")

if not os.environ.get("BETTER_AUTH_URL") and not os.environ.get("JWT_JWKS_URL"):
    print(f"BETTER_AUTH_SECRET={secrets.token_hex(32)}")
print("CORS_ORIGINS=" + ",".join(f"http://{host}:{port}" for host in HOSTS for port in PORTS))
