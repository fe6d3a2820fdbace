#!/bin/sh
# weather with a tenth of the training rows. No published figures are known here.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/weather.sh --llm_init random --percent 5
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons weather \
    --percent 10 \
    --batch_size 64 \
    --learning_rate 0.0001 \
    --train_epochs 100 \
    --patience 5 \
    --tmax 20 \
    --task_loss smooth_l1 \
    --output_loss smooth_l1 \
    --feature_loss smooth_l1 \
    "$@"
