#!/bin/sh
# traffic at the published settings. The paper's MSE/MAE: .407/.268, .430/.278, .444/.281, .477/.300.
# Extra flags go to run.py and win: sh scripts/long_term_forecasting/traffic.sh --llm_init random --train_epochs 1
set -eu
. "$(dirname -- "$0")/../horizons.sh"

four_horizons traffic \
    --batch_size 8 \
    --learning_rate 0.0005 \
    --train_epochs 10 \
    --patience 5 \
    --tmax 10 \
    --task_loss smooth_l1 \
    --output_loss smooth_l1 \
    --feature_loss smooth_l1 \
    "$@"
