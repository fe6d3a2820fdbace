#!/bin/sh
# ETTh1 at the published settings. The paper's MSE/MAE: .369/.389, .427/.423, .456/.436, .479/.467.
# Extra flags go to run.py and win: sh scripts/long_term_forecasting/ETTh1.sh --llm_init random --train_epochs 1
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons ETTh1 \
    --batch_size 256 \
    --learning_rate 0.0005 \
    --train_epochs 100 \
    --patience 10 \
    --tmax 20 \
    "$@"
