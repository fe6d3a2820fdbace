#!/bin/sh
# ETTh1, the published settings. MSE/MAE in the paper, horizons 96 to 720: .369/.389 .427/.423 .456/.436 .479/.467
# Extra flags go to run.py and win: sh scripts/long_term_forecasting/ETTh1.sh --llm_init random --train_epochs 1
set -eu
cd "$(dirname "$0")/../.."

for pred_len in 96 192 336 720; do
    "${PYTHON:-python}" run.py \
        --task_name long_term_forecast \
        --is_training 1 \
        --model CALF \
        --model_id "ETTh1_CALF_96_$pred_len" \
        --data ETTh1 \
        --seq_len 96 \
        --pred_len "$pred_len" \
        --gpt_layers 6 \
        --batch_size 256 \
        --learning_rate 0.0005 \
        --train_epochs 100 \
        --patience 10 \
        --tmax 20 \
        "$@"
done
