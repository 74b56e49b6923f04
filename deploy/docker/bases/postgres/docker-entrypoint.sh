#!/usr/bin/env bash
# What the official image's entrypoint does, as far as docker-compose.yml needs it: makes the database at the first start
# from POSTGRES_USER, POSTGRES_PASSWORD_FILE (or POSTGRES_PASSWORD) and POSTGRES_DB, then runs the server as postgres.
set -euo pipefail

if [ "${1:-}" != postgres ]; then exec "$@"; fi
as_postgres() { setpriv --reuid postgres --regid postgres --init-groups -- "$@"; }

mkdir -p "$PGDATA" /var/run/postgresql
chown postgres:postgres "$PGDATA" /var/run/postgresql
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres} database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
    password=${POSTGRES_PASSWORD:-}
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then password=$(cat "$POSTGRES_PASSWORD_FILE"); fi
    if [ -z "$password" ]; then
        echo "no password: set POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD" >&2
        exit 1
    fi
    file=$(mktemp)
    chmod 600 "$file"
    printf '%s\n' "$password" >"$file"
    chown postgres "$file"
    as_postgres initdb --username="$user" --pwfile="$file" --auth-local=trust --auth-host=scram-sha-256 >/dev/null
    rm -f "$file"
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    printf "listen_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
    # On the socket only, so that nobody finds a server that is about to restart.
    as_postgres pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start >/dev/null
    if [ "$database" != postgres ]; then
        as_postgres psql -q -U "$user" -d postgres -c "CREATE DATABASE \"$database\""
    fi
    as_postgres pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
    echo "database $database of user $user made"
fi
exec setpriv --reuid postgres --regid postgres --init-groups -- "$@"
