#!/bin/sh
# From a fresh clone to a forecast: makes .venv, trains CALF with a small random GPT-2 on the embedded sample,
# prints the test errors beside simple forecasts, forecasts what comes after its end and draws pictures. No download
# beyond the packages.
# Extra flags go to run.py: sh scripts/quickstart.sh --pred_len 48
set -eu
CDPATH= cd -- "$(dirname -- "$0")/.."

. scripts/environment.sh
make_environment requirements.txt

"$python" run.py \
    --model_id quickstart \
    --data sample \
    --llm gpt2-tiny \
    --llm_init random \
    --seq_len 96 \
    --pred_len 24 \
    --batch_size 32 \
    --learning_rate 0.0002 \
    --train_epochs 8 \
    --patience 5 \
    --tmax 8 \
    --do_predict \
    "$@"
