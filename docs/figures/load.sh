#!/bin/bash
# Makes this host busy for three minutes, in steps, and says how to draw what a Prometheus has seen of it: runqlat.py.
set -euo pipefail
cd "$(dirname "$0")/../.."

begun=$(date +%s)
marks=()

# phase BUSY-LOOPS SECONDS WORDS
phase() {
    marks+=("--mark '$(($(date +%s) - begun)):$3'")
    for ((i = 0; i < $1; i++)); do timeout "$2" bash -c 'while :; do :; done' & done
    sleep "$2"
    wait
}

phase 0 20 '0 loops'
phase 1 20 1
phase 2 25 2
phase 4 25 4
phase 8 25 8
phase 16 25 16
phase 0 30 0
echo "docs/figures/runqlat.py --start $begun --end $(date +%s) ${marks[*]} docs/src/figures/runqlat.png"
