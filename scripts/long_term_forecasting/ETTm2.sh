#!/bin/sh
# ETTm2 at the published settings. The paper's MSE/MAE: .178/.256, .242/.297, .307/.339, .397/.393.
# Extra flags go to run.py and win: sh scripts/long_term_forecasting/ETTm2.sh --llm_init random --train_epochs 1
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons ETTm2 \
    --batch_size 256 \
    --learning_rate 0.0001 \
    --train_epochs 100 \
    --patience 5 \
    --tmax 20 \
    "$@"
