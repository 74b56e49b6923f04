#!/bin/sh
# Makes one Redis Cluster of the six servers behind the name redis-cluster, unless it is one already.
set -eu
REDISCLI_AUTH=$(cat /keys/redis/password)
export REDISCLI_AUTH
if redis-cli -h redis-cluster cluster info | grep -q cluster_state:ok; then
    echo "the cluster is there"
    exit
fi
servers=$(getent ahostsv4 redis-cluster | awk '{print $1 ":6379"}' | sort -u)
redis-cli --cluster create $servers --cluster-replicas 1 --cluster-yes
