#!/bin/sh
# The image's entry point: prepares a start without settings and a SQLite file, then runs the command.
set -eu

# `flask token` and the like need none of it.
[ "$1" != flask ] || exec "$@"

case "${DATABASE_URL:-sqlite}" in
  sqlite*) sqlite=yes ;;
  *) sqlite= ;;
esac
given="${BETTER_AUTH_SECRET:-}${JWT_SECRET_KEY:-}${BETTER_AUTH_URL:-}${JWT_JWKS_URL:-}"

if [ -n "$sqlite" ]; then
  # Containers that share the volume take turns.
  exec 9> instance/.lock
  flock 9
  if [ -z "$given" ] && [ ! -e .env ]; then
    (umask 077 && python deploy/new_env.py > instance/.env.new && mv instance/.env.new instance/.env)
  fi
fi
# The secret of a start without settings must not stand beside those that are set now.
[ -z "$given" ] || export BETTER_AUTH_SECRET="${BETTER_AUTH_SECRET:-}"

# Hosts that share a PostgreSQL are migrated by one of them, before new code starts.
if [ -n "$sqlite" ] || [ "${MIGRATE:-}" = 1 ]; then
  flask db upgrade
fi
if [ -n "$sqlite" ]; then
  exec 9>&-
  # The welcome has a token, which does not belong into the log of a real deployment.
  [ -n "$given" ] || flask welcome
fi
exec "$@"
