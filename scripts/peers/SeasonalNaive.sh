#!/bin/sh
# SeasonalNaive at 96 steps. Settings: none, it does not train.
# Data sets come first, every one on disk if left out; extra flags go to run.py and win:
#   sh scripts/peers/SeasonalNaive.sh ETTh1 ETTm1 --train_epochs 1
set -eu
. "$(dirname -- "$0")/common.sh"

settings() {
    :
}

run_peer SeasonalNaive "$@"
