#!/bin/sh
# weather at the published settings. The paper's MSE/MAE: .164/.204, .214/.250, .269/.291, .355/.352.
# Extra flags go to run.py and win: sh scripts/long_term_forecasting/weather.sh --llm_init random --train_epochs 1
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons weather \
    --batch_size 64 \
    --learning_rate 0.0005 \
    --train_epochs 100 \
    --patience 5 \
    --tmax 20 \
    --task_loss smooth_l1 \
    --output_loss smooth_l1 \
    --feature_loss smooth_l1 \
    "$@"
