#!/usr/bin/env bash
# How long the parts of `make check` and `make test` take.
#   stage.sh --first   forgets earlier runs
#   stage.sh NAME      the part NAME begins here, and the one before it ends
#   stage.sh --last    prints every part with its seconds of wall clock, and their sum
set -euo pipefail
log="$(dirname "$0")/../target/stages.txt"
mkdir -p "$(dirname "$log")"

case "$1" in
    --first) : > "$log" ;;
    --last)
        date "+%s end" >> "$log"
        awk '
            NR > 1 { part($1 - since, name) }
            { since = $1; name = substr($0, length($1) + 2) }
            NR == 1 { first = $1 }
            END { part(since - first, "together") }
            function part(seconds, what) { printf "%6d s  %s\n", seconds, what }
        ' "$log"
        ;;
    *)
        date "+%s $*" >> "$log"
        printf '\n== %s\n' "$*"
        ;;
esac
