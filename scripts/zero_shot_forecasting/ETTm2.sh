#!/bin/sh
# Trained on ETTm2, tested on the other three. No published figures or settings from it are known:
# these settings are those of its long-term runs, with the patience of the published zero-shot runs, 1.
# Extra flags go to run.py and win: sh scripts/zero_shot_forecasting/ETTm2.sh --llm_init random --target_data ETTm1
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons ETTm2 \
    --zero_shot 1 \
    --target_data ETTh1,ETTh2,ETTm1 \
    --batch_size 256 \
    --learning_rate 0.0001 \
    --train_epochs 100 \
    --patience 1 \
    --tmax 20 \
    "$@"
