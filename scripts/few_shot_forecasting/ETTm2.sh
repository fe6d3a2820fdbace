#!/bin/sh
# ETTm2 with a tenth of the training rows. The paper's MSE/MAE: .190/.268, .257/.311, .323/.334, .441/.410.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/ETTm2.sh --llm_init random --percent 5
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons ETTm2 \
    --percent 10 \
    --batch_size 256 \
    --learning_rate 0.0001 \
    --train_epochs 100 \
    --patience 5 \
    --tmax 20 \
    "$@"
