#!/bin/sh
# What the official image's entrypoint does: options alone mean redis-server, and the server does not run as root.
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- redis-server "$@"; fi
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    chown redis:redis .
    exec setpriv --reuid redis --regid redis --init-groups -- "$@"
fi
exec "$@"
