#!/bin/sh
# ETTh2 with a tenth of the training rows. The paper's MSE/MAE: .314/.360, .404/.411, .458/.452, .502/.487.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/ETTh2.sh --llm_init random --percent 5
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons ETTh2 \
    --percent 10 \
    --batch_size 256 \
    --learning_rate 0.0005 \
    --train_epochs 100 \
    --patience 5 \
    --tmax 20 \
    "$@"
