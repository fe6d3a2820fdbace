#!/bin/sh
# Imputation on ETTh1 at 12.5, 25, 37.5 and 50 % of hidden values ($RATES names others). Settings: tasks of
# thuml/Time-Series-Library (4e938a1); of CALF and GPT4TS those of DAMO-DI-ML/NeurIPS2023-One-Fits-All (9f3875d).
# A model comes first, CALF if left out; extra flags go to run.py and win:
#   sh scripts/imputation/ETTh1.sh TimesNet --train_epochs 1
set -eu
. "$(dirname -- "$0")/common.sh"

settings() {
    case $1 in
        CALF | GPT4TS) echo --gpt_layers 3 ;;
        TimesNet) echo --e_layers 2 --top_k 3 --d_model 16 --d_ff 32 ;;
    esac
}

run_task imputation ETTh1 "$@"
