#!/bin/sh
# ETTm1 with a tenth of the training rows. The paper's MSE/MAE: .468/.445, .479/.446, .499/.463, .572/.496.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/ETTm1.sh --llm_init random --percent 5
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons ETTm1 \
    --percent 10 \
    --batch_size 256 \
    --learning_rate 0.0005 \
    --train_epochs 100 \
    --patience 5 \
    --tmax 20 \
    "$@"
