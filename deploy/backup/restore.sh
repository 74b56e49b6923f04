#!/usr/bin/env bash
# Puts a backup in the place of what is there: deploy/backup/restore.sh FOLDER
#
# The nodes must be down: docker-compose stop frontend logic sessions carts catalogue orders payments. Afterwards `docker-compose
# up -d`, and look at `trestle attention`: logic nodes compare the provider's ledger with the restored one within ten minutes of their
# start, and each charge that was made after the backup waits there for a person.
#
# Into the shop of docker-compose. Into others: POSTGRES=postgres://user@host/database, and REDIS_DATA=/folder of a Redis (7 or later) that
# is stopped; REDIS_DATA=none without one.
set -euo pipefail
folder=$(cd "${1:?deploy/backup/restore.sh FOLDER}" && pwd)
cd "$(dirname "$0")/../.."
COMPOSE=${COMPOSE:-$(command -v docker-compose >/dev/null && echo docker-compose || echo "docker compose")}

query() { if [ -n "${POSTGRES:-}" ]; then psql -qtAX "$POSTGRES" -c "$1"; else $COMPOSE exec -T postgres psql -qtAX -U shop -c "$1" shop; fi; }
# All or nothing, and in the place of what is there.
restore() {
    local how=(--clean --if-exists --no-owner --exit-on-error --single-transaction)
    if [ -n "${POSTGRES:-}" ]; then pg_restore "${how[@]}" --dbname "$POSTGRES"; else
        $COMPOSE exec -T postgres pg_restore "${how[@]}" -U shop --dbname shop
    fi
}
# With an append-only file a Redis looks at nothing else; one whose base is the snapshot is as good as one it wrote itself.
place='rm -rf "$1/appendonlydir" && mkdir "$1/appendonlydir" && cat >"$1/appendonlydir/appendonly.aof.1.base.rdb" &&
    echo "file appendonly.aof.1.base.rdb seq 1 type b" >"$1/appendonlydir/appendonly.aof.manifest" &&
    cp "$1/appendonlydir/appendonly.aof.1.base.rdb" "$1/dump.rdb"'

[ -s "$folder/postgres.dump" ] || { echo "$folder has no postgres.dump"; exit 1; }
# A node that is up would go on with what is no more, and keep its connections over the restore.
nodes=$(query "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'trestle %' AND datname = current_database()")
[ "$nodes" = 0 ] || { echo "nodes of the shop still hold $nodes connections: stop them first"; exit 1; }
restore <"$folder/postgres.dump"
if [ "${REDIS_DATA:-}" != none ] && [ -s "$folder/redis.rdb" ]; then
    if [ -n "${REDIS_DATA:-}" ]; then
        sh -c "$place" sh "$REDIS_DATA" <"$folder/redis.rdb"
    else
        $COMPOSE stop redis
        $COMPOSE run --rm -T --no-deps --entrypoint sh redis -c "$place && chown -R redis:redis /data" sh /data <"$folder/redis.rdb"
        $COMPOSE start redis
    fi
fi
echo "restored the backup of $(cat "$folder/taken")"
