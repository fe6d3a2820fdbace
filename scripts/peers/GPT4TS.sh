#!/bin/sh
# GPT4TS at 96 steps. Settings: DAMO-DI-ML/NeurIPS2023-One-Fits-All (9f3875d), Long-term_Forecasting, but for
# the steps: the authors have no run at 96. A batch there counts windows of one channel: it is divided by the channels.
# Data sets come first, every one on disk if left out; extra flags go to run.py and win:
#   sh scripts/peers/GPT4TS.sh ETTh1 ETTm1 --train_epochs 1
set -eu
. "$(dirname -- "$0")/common.sh"

settings() {
    echo --gpt_layers 6 --patch_len 16 --learning_rate 0.0001 --train_epochs 10 --patience 3
    case $1 in
        ETTm*) echo --stride 16 --batch_size 37 --cos 1 --tmax 10 ;;
        weather) echo --stride 8 --batch_size 24 --cos 0 --lradj type3 ;;
        electricity) echo --stride 8 --batch_size 6 --cos 1 --tmax 10 ;;
        traffic) echo --stride 8 --batch_size 2 --cos 1 --tmax 10 --learning_rate 0.001 ;;
        *) echo --stride 8 --batch_size 37 --cos 1 --tmax 20 ;;
    esac
}

run_peer GPT4TS "$@"
