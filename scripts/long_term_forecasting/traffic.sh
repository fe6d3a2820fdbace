#!/bin/sh
# traffic, the published settings. MSE/MAE in the paper, horizons 96 to 720: .407/.268 .430/.278 .444/.281 .477/.300
# Extra flags go to run.py and win: sh scripts/long_term_forecasting/traffic.sh --llm_init random --train_epochs 1
set -eu
cd "$(dirname "$0")/../.."

for pred_len in 96 192 336 720; do
    "${PYTHON:-python}" run.py \
        --task_name long_term_forecast \
        --is_training 1 \
        --model CALF \
        --model_id "traffic_CALF_96_$pred_len" \
        --data traffic \
        --seq_len 96 \
        --pred_len "$pred_len" \
        --gpt_layers 6 \
        --batch_size 8 \
        --learning_rate 0.0005 \
        --train_epochs 10 \
        --patience 5 \
        --tmax 10 \
        --task_loss smooth_l1 \
        --output_loss smooth_l1 \
        --feature_loss smooth_l1 \
        "$@"
done
