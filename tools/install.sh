#!/usr/bin/env bash
# Installs the missing Debian packages of packages/debian.txt; without the right to do so it
# prints the one command to run as root and fails. Does nothing when all are there.
# usage: install.sh [--tests]     --tests: what ./test needs too
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

kinds="build"
if [ "${1:-}" = "--tests" ]; then
    kinds="build test"
fi

wanted=()
while read -r package kind _; do
    case " $kinds " in
        *" $kind "*) wanted+=("$package") ;;
    esac
done < <(grep -v '^#' "$root/packages/debian.txt")

if ! command -v dpkg-query >/dev/null; then
    echo "install.sh: this is not a Debian system; it needs: ${wanted[*]}" >&2
    exit 0
fi

installed=$(dpkg-query -W -f='${binary:Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null |
    awk '$2 == "installed" {sub(/:.*/, "", $1); print $1}') || true
missing=()
for package in "${wanted[@]}"; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "These Debian packages are missing. Run this as root, then try again:" >&2
        echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo -n)
fi

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as_root[@]}" apt-get update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "install.sh: apt-get failed, see above" >&2
    exit 1
fi
