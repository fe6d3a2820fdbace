#!/bin/sh
# ETTm1 at the published settings. The paper's MSE/MAE: .323/.349, .374/.375, .409/.399, .477/.438.
# Extra flags go to run.py and win: sh scripts/long_term_forecasting/ETTm1.sh --llm_init random --train_epochs 1
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons ETTm1 \
    --batch_size 256 \
    --learning_rate 0.0005 \
    --train_epochs 100 \
    --patience 5 \
    --tmax 20 \
    "$@"
