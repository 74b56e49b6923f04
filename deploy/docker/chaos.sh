#!/bin/sh
# Kills a random replica of a random family by SIGKILL, starts it again after a while, and so on for a bounded number of
# times; never one whose family has no other that is running. On the host or in a container that holds the engine's socket:
#
#   COMPOSE_PROJECT=trestle CHAOS_TIMES=10 sh deploy/docker/chaos.sh
set -eu
project=${COMPOSE_PROJECT:-trestle} every=${CHAOS_EVERY_S:-10} down=${CHAOS_DOWN_S:-5} times=${CHAOS_TIMES:-30}
families=${CHAOS_FAMILIES:-frontend logic sessions carts catalogue orders payments}

running() {
    docker ps -q --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1"
}
# One word of those given.
any() { shuf -n 1 -e -- "$@"; }

while [ "$times" -gt 0 ]; do
    times=$((times - 1))
    family=$(any $families)
    replicas=$(running "$family")
    if [ "$(printf '%s\n' "$replicas" | grep -c .)" -ge 2 ]; then
        victim=$(any $replicas)
        echo "$(date -u +%H:%M:%S) killed $family $victim"
        docker kill "$victim" >/dev/null
        sleep "$down"
        docker start "$victim" >/dev/null
    fi
    sleep "$every"
done
