#!/bin/sh
# Trained on ETTh2, tested on the other three, at the published settings. The paper's MSE/MAE:
#   to ETTm1 .897/.589, .864/.584, .816/.585, .768/.589;
#   to ETTm2 .225/.310, .283/.342, .340/.373, .429/.418.
# Extra flags go to run.py and win: sh scripts/zero_shot_forecasting/ETTh2.sh --llm_init random --target_data ETTm2
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons ETTh2 \
    --zero_shot 1 \
    --target_data ETTh1,ETTm1,ETTm2 \
    --batch_size 256 \
    --learning_rate 0.0001 \
    --train_epochs 100 \
    --patience 1 \
    --tmax 20 \
    "$@"
