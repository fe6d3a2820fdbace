#!/bin/sh
# ETTh2 at the published settings. The paper's MSE/MAE: .279/.331, .353/.380, .362/.394, .404/.426.
# Extra flags go to run.py and win: sh scripts/long_term_forecasting/ETTh2.sh --llm_init random --train_epochs 1
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons ETTh2 \
    --batch_size 256 \
    --learning_rate 0.0005 \
    --train_epochs 100 \
    --patience 5 \
    --tmax 20 \
    "$@"
