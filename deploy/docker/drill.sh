#!/usr/bin/env bash
# Drills on a shop that docker-compose runs, each with a verdict and an exit code:
#
#   deploy/docker/drill.sh reach     what can be reached from where: nothing but what docker-compose.yml's head says
#   deploy/docker/drill.sh kills     one container of each family is killed, one after the other, under load; then the audit
#   deploy/docker/drill.sh stores    PostgreSQL and Redis are killed and started again under load; then the audit
#   deploy/docker/drill.sh rolling   every container of every family is restarted in turn (SIGTERM), under load; then the audit
#   deploy/docker/drill.sh crash     the process of one node of each family dies, and the engine starts it again
#   deploy/docker/drill.sh scale     two more logic nodes come and go under load, and are used
#   deploy/docker/drill.sh table     memory and size
#
# COMPOSE names the command (default: docker-compose if there is one, else docker compose). Load comes from a container beside
# the shop (profile loadtest), through the balancer; CUSTOMERS (16) and DURATION (such as 180s) say how much and how long.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ -z "${COMPOSE:-}" ]; then COMPOSE=$(command -v docker-compose >/dev/null && echo docker-compose || echo "docker compose"); fi
families=(frontend logic sessions carts catalogue orders payments)
failed=0
say() { printf '%s %s\n' "$(date -u +%H:%M:%S)" "$*"; }
wrong() { say "WRONG: $*"; failed=1; }
ids() { $COMPOSE ps -q "$1"; }
first() { ids "$1" | head -n 1; }
# Every address of a container, in all its networks.
addresses() { docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$1"; }
# Whether a connection can be made from inside a container. bash has sockets, and every image here has bash.
reaches() { docker exec "$1" timeout 1 bash -c "exec 3<>/dev/tcp/$2/$3" 2>/dev/null; }

healthy() {
    for _ in $(seq 120); do
        [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ] && return
        sleep 0.5
    done
    wrong "$1 does not get well"
}

refused() { # FROM NAME PORT
    local address
    for id in $(ids "$2"); do
        for address in $(addresses "$id"); do
            if reaches "$1" "$address" "$3"; then wrong "$4 reaches $2 at $address:$3"; fi
        done
    done
    if reaches "$1" "$2" "$3"; then wrong "$4 reaches $2 by name"; fi
    say "$4 -> $2:$3 refused"
}

reach() {
    local frontend balancer
    frontend=$(first frontend) balancer=$(first balancer)
    reaches "$frontend" logic 7000 || wrong "a frontend does not reach logic: this drill would see nothing"
    say "frontend -> logic:7000 open, as it must be"
    for family in sessions carts catalogue orders payments; do refused "$frontend" "$family" 7000 frontend; done
    refused "$frontend" postgres 5432 frontend
    refused "$frontend" redis 6379 frontend
    refused "$frontend" provider 8099 frontend
    for family in logic sessions carts catalogue orders payments; do refused "$balancer" "$family" 7000 balancer; done
    refused "$balancer" postgres 5432 balancer
    refused "$balancer" redis 6379 balancer
    # A client's container: in the outside network, where the balancer is the only one of the shop.
    local network client
    network=$(docker inspect --format '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}' "$(first provider)" |
        tr ' ' '\n' | grep '_default$')
    client=$(docker run --rm -d --network "$network" --entrypoint sleep postgres:17 60)
    reaches "$client" balancer 8080 || wrong "a client does not reach the balancer: this drill would see nothing"
    say "client -> balancer:8080 open, as it must be"
    refused "$client" frontend 8080 client
    refused "$client" logic 7000 client
    refused "$client" orders 7000 client
    refused "$client" postgres 5432 client
    refused "$client" redis 6379 client
    docker rm -f "$client" >/dev/null
    # What this machine offers to others.
    local published
    published=$($COMPOSE ps -q | xargs docker inspect --format '{{range $port, $to := .NetworkSettings.Ports}}{{range $to}}{{.HostIp}}:{{.HostPort}} {{end}}{{end}}' |
        tr ' ' '\n' | grep . | grep -v '^127\.' | sed 's/.*://' | sort -un | tr '\n' ' ')
    say "published beyond this machine: $published"
    [ "$published" = "${TRESTLE_PORT:-8080} " ] || wrong "more than the balancer's port is published: $published"
}

# Customers at the front door until `stop_load`; the report goes to a file.
report=$(mktemp)
start_load() {
    say "load: ${CUSTOMERS:-16} customers for $1"
    $COMPOSE run --rm -T --no-deps loadtest quick --customers "${CUSTOMERS:-16}" --duration "$1" >"$report" 2>&1 </dev/null &
    load=$!
    for _ in $(seq 60); do
        # Not grep -q: it leaves at the first line, and whoever is still writing would fail.
        if docker ps --format '{{.Names}}' | grep 'loadtest.*run' >/dev/null; then
            load_until=$(($(date +%s) + ${1%s}))
            return
        fi
        sleep 0.25
    done
    wrong "the load does not start: $(cat "$report")"
}
finish_load() {
    # Else something was done to a shop that nobody used.
    [ "$(date +%s)" -lt "$load_until" ] || wrong "the customers went home before the end of the drill; set DURATION, such as 300s"
    wait "$load" || wrong "the load test ended with $?"
    tail -n 16 "$report"
}

kills() {
    start_load "${DURATION:-240s}"
    sleep 3
    for family in "${families[@]}"; do
        local victim
        victim=$(ids "$family" | shuf -n 1)
        say "kill $family ${victim:0:12}"
        docker kill --signal KILL "$victim" >/dev/null
        sleep 4
        docker start "$victim" >/dev/null
        healthy "$victim"
        say "$family is well again"
    done
    finish_load
}

stores() {
    start_load "${DURATION:-150s}"
    sleep 5
    for store in postgres redis; do
        local id began
        id=$(first "$store") began=$(date +%s%3N)
        say "kill and start $store"
        docker kill --signal KILL "$id" >/dev/null
        docker start "$id" >/dev/null
        healthy "$id"
        say "$store is well after $(($(date +%s%3N) - began)) ms"
        sleep 15
    done
    finish_load
}

rolling() {
    start_load "${DURATION:-420s}"
    sleep 3
    for family in "${families[@]}"; do
        for id in $(ids "$family"); do
            # docker restart would start it at once; an upgrade takes a new container, which is much the same to callers.
            docker stop -t 45 "$id" >/dev/null
            docker start "$id" >/dev/null
            healthy "$id"
        done
        say "$family is replaced"
    done
    finish_load
}

crash() {
    for family in "${families[@]}" provider redis postgres balancer; do
        local id before
        id=$(first "$family") before=$(docker inspect --format '{{.RestartCount}}' "$(first "$family")")
        # From outside the container, since a first process is deaf to its own container's signals.
        kill -KILL "$(docker inspect --format '{{.State.Pid}}' "$id")"
        for _ in $(seq 60); do
            [ "$(docker inspect --format '{{.RestartCount}}' "$id")" -gt "$before" ] && break
            sleep 0.25
        done
        [ "$(docker inspect --format '{{.RestartCount}}' "$id")" -gt "$before" ] || wrong "$family is not started again"
        healthy "$id"
        say "$family died and is well again"
    done
}

# How many calls a logic node has served.
served() {
    docker exec "$1" bash -c 'exec 3<>/dev/tcp/127.0.0.1/7001; printf "GET /metrics HTTP/1.0\r\n\r\n" >&3; cat <&3' |
        awk '/^trestle_operation_duration_seconds_count/ { sum += $NF } END { print sum + 0 }'
}

scale() {
    start_load "${DURATION:-180s}"
    sleep 5
    local before
    before=$(ids logic | sort)
    $COMPOSE up -d --no-recreate --scale logic=4 >/dev/null 2>&1
    sleep 15
    for id in $(ids logic | sort | comm -13 <(printf '%s\n' "$before") -); do
        healthy "$id"
        local count
        count=$(served "$id")
        say "new logic node ${id:0:12} served $count calls"
        [ "$count" -gt 0 ] || wrong "it is not used"
    done
    $COMPOSE up -d --no-recreate --scale logic=2 >/dev/null 2>&1
    finish_load
}

table() {
    docker stats --no-stream --format '{{.Name}}|{{.MemUsage}}|{{.CPUPerc}}' $($COMPOSE ps -q) | sort | column -t -s '|'
    docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' | sort
}

case ${1:-} in
    reach | kills | stores | rolling | crash | scale | table) "$1" ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac
rm -f "$report"
[ "$failed" = 0 ] && say "drill $1: all as it must be" || { say "drill $1: FAILED"; exit 1; }
