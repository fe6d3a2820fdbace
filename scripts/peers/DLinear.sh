#!/bin/sh
# DLinear at 96 steps. Settings: the defaults of thuml/Time-Series-Library (4e938a1).
# Data sets come first, every one on disk if left out; extra flags go to run.py and win:
#   sh scripts/peers/DLinear.sh ETTh1 ETTm1 --train_epochs 1
set -eu
. "$(dirname -- "$0")/common.sh"

settings() {
    of_library
}

run_peer DLinear "$@"
