#!/usr/bin/env bash
# Makes the images that the Dockerfile and docker-compose.yml start from, for a machine with a Docker engine and a mirror of
# Debian's packages but no registry of images. The stand-ins carry the official images' names, programs, paths and
# environment variables (as far as docker-compose.yml uses them), so that nothing else knows the difference.
#
#   deploy/docker/offline-bases.sh [--mirror URL] [--ca FILE] [IMAGE...]
#
#   --mirror URL   Debian mirror [default: http://deb.debian.org/debian]
#   --ca FILE      bundle of certificates to trust while building, where a proxy re-signs TLS [default: none]
#   IMAGE          only these of: bookworm trixie rust postgres redis haproxy docker-cli prometheus [default: all]
#
# An image that is there already is kept; remove it first (docker image rm NAME) to make it again. Needs root, debootstrap,
# and for `rust` a Rust 1.95 toolchain on this machine, which is copied.
set -euo pipefail
cd "$(dirname "$0")/bases"

mirror=http://deb.debian.org/debian ca='' images=()
while [ $# -gt 0 ]; do
    case $1 in
        --mirror) mirror=${2:?--mirror needs a URL}; shift 2 ;;
        --ca) ca=$(realpath "${2:?--ca needs a file}"); shift 2 ;;
        -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "../$(basename "$0")"; exit ;;
        -*) echo "unknown option $1; see --help" >&2; exit 2 ;;
        *) images+=("$1"); shift ;;
    esac
done
[ ${#images[@]} -gt 0 ] || images=(bookworm trixie rust postgres redis haproxy docker-cli prometheus)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

there() { docker image inspect "$1" >/dev/null 2>&1 && echo "$1 is there"; }

# A minimal Debian of a suite, by debootstrap.
debian() {
    local suite=$1 name=debian:$1-slim
    there "$name" && return
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/$suite" "$mirror" >"$work/$suite.log" 2>&1 ||
        { tail -20 "$work/$suite.log" >&2; return 1; }
    rm -rf "$work/$suite"/var/cache/apt/archives/*.deb "$work/$suite"/var/lib/apt/lists/* "$work/$suite"/var/log/* \
        "$work/$suite"/usr/share/{doc,man,locale,info}/*
    # Documents and translations stay out of what is installed later, as in the official slim images.
    printf 'path-exclude /usr/share/%s/*\n' doc man locale info >"$work/$suite/etc/dpkg/dpkg.cfg.d/slim"
    if [ -n "$ca" ]; then
        install -m 644 "$ca" "$work/$suite/usr/local/share/ca-certificates/offline-bases.crt"
        # The bundle may hold many; update-ca-certificates copies the file whole, which all TLS libraries read.
        chroot "$work/$suite" update-ca-certificates >/dev/null 2>&1
    fi
    tar -C "$work/$suite" -c . | docker import --change 'CMD ["bash"]' - "$name" >/dev/null
    rm -rf "${work:?}/$suite"
    echo "$name made"
}

# An image from the folder of the same name. The host's network: the daemon's own may have no resolver here.
stand_in() {
    local folder=$1 name=$2 context=${3:-$1}
    there "$name" && return
    docker build --quiet --network host --file "$folder/Dockerfile" --tag "$name" "$context" >"$work/log" 2>&1 ||
        { tail -20 "$work/log" >&2; return 1; }
    echo "$name made"
}

# The toolchain of this machine, since the official one comes from a registry that is not there.
rust() {
    there rust:1.95-slim-bookworm && return
    local root
    root=$(rustc --print sysroot)
    case $("$root/bin/rustc" --version) in
        "rustc 1.95."*) ;;
        *) echo "rust: this machine has $("$root/bin/rustc" --version), and the image is named for 1.95" >&2; return 1 ;;
    esac
    mkdir -p "$work/rust/toolchain/lib/rustlib"
    cp -al "$root/bin" "$work/rust/toolchain/" 2>/dev/null || cp -a "$root/bin" "$work/rust/toolchain/"
    cp -a "$root"/lib/*.so* "$work/rust/toolchain/lib/"
    cp -a "$root/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')" "$work/rust/toolchain/lib/rustlib/"
    stand_in rust rust:1.95-slim-bookworm "$work/rust"
}

for image in "${images[@]}"; do
    case $image in
        bookworm | trixie) debian "$image" ;;
        rust) rust ;;
        postgres) stand_in postgres postgres:17 ;;
        redis) stand_in redis redis:8 ;;
        haproxy) stand_in haproxy haproxy:3.0 ;;
        docker-cli) stand_in docker-cli docker:26-cli ;;
        prometheus) stand_in prometheus prom/prometheus:v2.53.3 ;;
        *) echo "no stand-in for $image; see --help" >&2; exit 2 ;;
    esac
done
