#!/bin/sh
# ETTh1 with a tenth of the training rows. The paper's MSE/MAE: .468/.457, .550/.501, .581/.521, .978/.685.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/ETTh1.sh --llm_init random --percent 5
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons ETTh1 \
    --percent 10 \
    --batch_size 256 \
    --learning_rate 0.0005 \
    --train_epochs 100 \
    --patience 10 \
    --tmax 20 \
    "$@"
