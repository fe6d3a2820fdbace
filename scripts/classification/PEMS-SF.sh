#!/bin/sh
# Classification of PEMS-SF. Settings: classification/TimesNet.sh of thuml/Time-Series-Library (12f05cc), of CALF
# and GPT4TS those of DAMO-DI-ML/NeurIPS2023-One-Fits-All (d7b62e4), the learning rate constant.
# A model comes first, CALF if left out; extra flags go to run.py and win:
#   sh scripts/classification/PEMS-SF.sh TimesNet --train_epochs 1
set -eu
. "$(dirname -- "$0")/common.sh"

settings() {
    case $1 in
        CALF) echo --learning_rate 0.0005 ;;
        GPT4TS) echo --learning_rate 0.0005 --patch_len 16 --stride 8 ;;
        TimesNet) echo --e_layers 6 --d_model 64 --d_ff 64 --top_k 3 ;;
    esac
}

run_task classification PEMS-SF "$@"
