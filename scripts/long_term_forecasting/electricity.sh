#!/bin/sh
# electricity at the published settings. The paper's MSE/MAE: .145/.238, .161/.252, .175/.267, .222/.303.
# Extra flags go to run.py and win: sh scripts/long_term_forecasting/electricity.sh --llm_init random --train_epochs 1
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons electricity \
    --batch_size 32 \
    --learning_rate 0.0005 \
    --train_epochs 20 \
    --patience 5 \
    --tmax 10 \
    --task_loss smooth_l1 \
    --output_loss smooth_l1 \
    --feature_loss smooth_l1 \
    "$@"
