#!/bin/sh
# electricity with a tenth of the training rows. No published figures are known here.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/electricity.sh --llm_init random --percent 5
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons electricity \
    --percent 10 \
    --batch_size 32 \
    --learning_rate 0.0005 \
    --train_epochs 20 \
    --patience 5 \
    --tmax 10 \
    --task_loss smooth_l1 \
    --output_loss smooth_l1 \
    --feature_loss smooth_l1 \
    "$@"
