#!/bin/sh
# Anomaly detection on PSM. Settings: tasks of thuml/Time-Series-Library (4e938a1); of CALF and GPT4TS those of
# DAMO-DI-ML/NeurIPS2023-One-Fits-All (9f3875d). --anomaly_protocol release scores as the authors' code does.
# A model comes first, CALF if left out; extra flags go to run.py and win:
#   sh scripts/anomaly_detection/PSM.sh TimesNet --train_epochs 1
set -eu
. "$(dirname -- "$0")/common.sh"

settings() {
    echo --anomaly_ratio 1
    case $1 in
        CALF | GPT4TS) echo --gpt_layers 6 --train_epochs 10 ;;
        TimesNet) echo --e_layers 2 --top_k 3 --d_model 64 --d_ff 64 --train_epochs 3 ;;
    esac
}

run_task anomaly_detection PSM "$@"
