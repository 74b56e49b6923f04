#!/usr/bin/env bash
# Copies what the shop keeps while it runs: deploy/backup/backup.sh FOLDER
#
#   FOLDER/postgres.dump   orders, charges, stock and accounts, all as of one moment: one transaction reads all of them
#   FOLDER/redis.rdb       carts and sessions, as of a moment later
#   FOLDER/taken           when
#
# From the shop of docker-compose; COMPOSE names the command. From others: POSTGRES=postgres://user@host/database (the password by
# PGPASSWORD or ~/.pgpass, since arguments are public) and REDIS=redis://host:port (REDISCLI_AUTH); REDIS=none without one.
#
# PostgreSQL goes first. An order made between the two is then in neither copy, and reconciliation finds its charge. The other way
# round it would be in the dump, with its books back in the cart, to be bought once more.
set -euo pipefail
folder=${1:?deploy/backup/backup.sh FOLDER}
umask 077
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/../.."
COMPOSE=${COMPOSE:-$(command -v docker-compose >/dev/null && echo docker-compose || echo "docker compose")}

dump() { if [ -n "${POSTGRES:-}" ]; then pg_dump --format=custom "$POSTGRES"; else $COMPOSE exec -T postgres pg_dump -U shop --format=custom shop; fi; }
listed() { if [ -n "${POSTGRES:-}" ]; then pg_restore --list; else $COMPOSE exec -T postgres pg_restore --list; fi; }
# Into a file first: to standard output redis-cli leaves the 40 bytes of the stream's end mark behind the snapshot, and a Redis refuses
# to start on that.
snapshot() { # FILE
    if [ -n "${REDIS:-}" ]; then redis-cli -u "$REDIS" --rdb "$1"; else
        $COMPOSE exec -T redis sh -c 'REDISCLI_AUTH=$(cat /keys/redis/password) redis-cli --rdb /tmp/copy.rdb >&2 && cat /tmp/copy.rdb && rm /tmp/copy.rdb' >"$1"
    fi
}

date -u +%Y-%m-%dT%H:%M:%SZ >"$folder/taken"
# Under another name until it is whole: half a copy must not be taken for one.
dump >"$folder/postgres.part"
# Not grep -q: it leaves at the first line, and whoever is still writing would fail.
listed <"$folder/postgres.part" | grep 'TABLE DATA orders' >/dev/null || { echo "the dump has no orders: is it the shop's database?"; exit 1; }
mv "$folder/postgres.part" "$folder/postgres.dump"
if [ "${REDIS:-}" != none ]; then
    snapshot "$folder/redis.part" >"$folder/redis.log" 2>&1 || { cat "$folder/redis.log"; exit 1; }
    [ "$(head -c 5 "$folder/redis.part")" = REDIS ] || { echo "what Redis sent is no snapshot"; exit 1; }
    mv "$folder/redis.part" "$folder/redis.rdb"
    rm "$folder/redis.log"
fi
echo "backup of $(cat "$folder/taken"): $(du -sh "$folder" | cut -f1) in $folder"
